//! `herder ping`

use super::Outcome;
use super::context::{Context, now_ms};
use crate::render::describe::daemon;

/// Say whether the daemon answers, after starting it if need be.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    context.wait(async {
        let status = context.client().daemon().await?;
        context.answer(&status, || daemon(&status, now_ms()))
    })
}
