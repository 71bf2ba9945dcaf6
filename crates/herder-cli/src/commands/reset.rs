//! `herder reset`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action};

/// Set the counters of restarts to 0.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names, numbers, namespaces, /patterns/ or all.
    #[arg(value_name = "APP", required = true)]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(act(context, &action(Verb::Reset, args.targets)))
}
