//! `herder upgrade`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action, or_all};

const AFTER_HELP: &str = "\
The build that is installed is tried first; if it cannot take over, the one that runs goes on, and
this ends with 1. Workers and connections are not touched.";

/// After herder was updated: go on with the new build. No app is interrupted.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "update", after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Names, numbers, namespaces or /patterns/. [default: all, and the daemon]
    #[arg(value_name = "APP")]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(act(context, &action(Verb::Upgrade, or_all(args.targets))))
}
