//! `herder send-signal`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action};

/// Send a signal to the workers of apps.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "sendSignal")]
pub(crate) struct Args {
    /// HUP, SIGUSR2 ... or a number.
    #[arg(value_name = "SIGNAL")]
    signal: String,

    /// Names, numbers, namespaces, /patterns/ or all.
    #[arg(value_name = "APP", required = true)]
    targets: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let signal = Verb::Signal {
        signal: args.signal,
    };
    context.wait(act(context, &action(signal, args.targets)))
}
