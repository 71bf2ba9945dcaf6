//! `herder list`

use super::Outcome;
use super::context::{Context, now_ms};
use crate::render::list::{SortBy, briefly, list};

const AFTER_HELP: &str = "\
States: waiting (for the apps it depends on), starting, online, degraded (with fewer workers than it
shall have), reloading, stopping, stopped, done (a job that has ended), errored, unhealthy (its
checks fail).";

/// Show the apps.
#[derive(clap::Args, Debug)]
#[command(visible_aliases = ["ls", "l", "ps", "status"], after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Only these: names, numbers, namespaces or /patterns/.
    #[arg(value_name = "APP")]
    targets: Vec<String>,

    /// By id, name, namespace, state, workers, restarts, uptime, cpu or memory; with :desc behind it, the
    /// largest first.
    #[arg(long, value_name = "FIELD[:asc|desc]")]
    sort: Option<SortBy>,

    /// Several lines for each app, and no table.
    #[arg(short, long)]
    mini_list: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let mut apps = context.client().apps(&args.targets).await?;
        if let Some(sort) = args.sort {
            sort.sort(&mut apps);
        }
        let draw = if args.mini_list { briefly } else { list };
        context.answer(&apps, || draw(&apps, now_ms(), context.screen.out))
    })
}
