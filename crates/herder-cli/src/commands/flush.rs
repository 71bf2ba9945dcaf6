//! `herder flush`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action, or_all};

/// Empty the log files of apps.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names, numbers, namespaces or /patterns/. [default: all]
    #[arg(value_name = "APP")]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(act(context, &action(Verb::Flush, or_all(args.targets))))
}
