//! `herder pid`

use herder_api::status::AppStatus;

use super::Outcome;
use super::context::Context;

/// Show the processes of apps' workers; without an app, the daemon's.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names, numbers, namespaces, /patterns/ or all.
    #[arg(value_name = "APP")]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let pids = if args.targets.is_empty() {
            vec![context.client().daemon().await?.pid]
        } else {
            let apps = context.client().apps(&args.targets).await?;
            apps.iter().flat_map(workers).collect()
        };
        context.answer(&pids, || {
            pids.iter().map(|pid| format!("{pid}\n")).collect()
        })
    })
}

fn workers(app: &AppStatus) -> Vec<i32> {
    let slots = app.herd.iter().flat_map(|herd| &herd.slots);
    let workers = slots.flat_map(|slot| &slot.workers);
    workers.map(|worker| worker.pid).collect()
}
