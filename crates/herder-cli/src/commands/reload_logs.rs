//! `herder reload-logs`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action, or_all};

/// Open the log files of apps again, after somebody else moved them.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "reloadLogs")]
pub(crate) struct Args {
    /// Names, numbers, namespaces or /patterns/. [default: all]
    #[arg(value_name = "APP")]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(act(
        context,
        &action(Verb::ReopenLogs, or_all(args.targets)),
    ))
}
