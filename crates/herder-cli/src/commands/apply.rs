//! `herder apply`

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use herder_api::Problem;
use herder_api::control::Apply;
use herder_api::problem::ProblemKind;
use herder_config::STDIN;

use super::context::{Context, environment};
use super::outcome::{follow, show_list};
use super::targets::{FileArgs, default_file, load};
use super::{Failure, Outcome};
use crate::render::Format;
use crate::render::plan::{interrupts, is_empty, plan};

const AFTER_HELP: &str = "\
What the file and the list differ in is shown first, and what it takes: nothing, another number of
workers, a reload (without loss), a restart, a start, or the end of an app that is not in the file
any more. Then exactly that is done. If something would be interrupted, it asks; --yes answers, and
so does a missing terminal.";

/// Make what runs be as a file says, with as little interruption as it takes.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The file, or - for one on stdin. [default: herder.toml or the ecosystem file of this directory]
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,

    /// Only show what would be done.
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,

    /// Do not ask.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    file: FileArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let mut apply = wanted(&args, context)?;
    context.wait(async {
        let client = context.client();
        let steps = client.plan(&apply).await?;
        if args.plan {
            return context.answer(&steps, || plan(&steps, context.screen.out));
        }
        context.say(&plan(&steps, context.screen.out))?;
        if is_empty(&steps) {
            return Ok(());
        }
        if interrupts(&steps) && !args.yes && !confirmed(context)? {
            let problem = Problem::new(ProblemKind::Failed, "Nothing was done.");
            return Err(problem.into());
        }
        apply.fingerprint = Some(steps.fingerprint);
        follow(context, client.apply(&apply).await?).await?;
        show_list(context).await
    })
}

/// What the file wants.
fn wanted(args: &Args, context: &Context) -> Result<Apply, Failure> {
    let path = match &args.path {
        Some(path) => path.clone(),
        None => default_file()?.ok_or_else(super::check::no_file)?,
    };
    let loaded = load(context, &path, &args.file)?;
    // Stdin is not the same file twice.
    let is_file = path.as_os_str() != STDIN;
    Ok(Apply {
        apps: loaded.apps,
        environment: environment(),
        profile: args.file.env.clone(),
        source: is_file.then_some(loaded.source),
        // What was left out by --only is not gone.
        partial: !args.file.only.is_empty(),
        fingerprint: None,
    })
}

/// Asks, if there is somebody to ask.
fn confirmed(context: &Context) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    let screen = context.screen;
    if !stdin.is_terminal() || !screen.err.is_terminal() || context.format == Format::Json {
        return Ok(true);
    }
    screen.tell("Go ahead? [y/N] ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
