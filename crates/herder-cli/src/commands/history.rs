//! `herder history`

use super::Outcome;
use super::context::Context;
use crate::render::history::history;

/// Show why workers of an app ended or were replaced.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name or number.
    #[arg(value_name = "APP")]
    app: String,

    /// How many at most; the newest is last.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: u32,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let incidents = context.client().history(&args.app, args.lines).await?;
        context.answer(&incidents, || history(&incidents, context.screen.out))
    })
}
