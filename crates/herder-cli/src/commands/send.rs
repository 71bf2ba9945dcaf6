//! `herder send`

use herder_api::control::Verb;

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action};

/// Write a line to the stdin of an app's workers, where they have one.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name or number.
    #[arg(value_name = "APP")]
    app: String,

    /// The line: several words are one.
    #[arg(
        value_name = "LINE",
        required = true,
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    line: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let line = Verb::Send {
        line: args.line.join(" "),
    };
    context.wait(act(context, &action(line, vec![args.app])))
}
