//! `herder resurrect`

use super::Outcome;
use super::context::Context;
use super::outcome::{follow, show_list};

/// Start the apps of the list that was saved, as far as they are not there.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    context.wait(async {
        follow(context, context.client().resurrect().await?).await?;
        show_list(context).await
    })
}
