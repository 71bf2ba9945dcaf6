//! `herder resurrect`

use super::Outcome;
use super::context::Context;
use super::outcome::{follow, show_list};

/// Start the apps that were saved, or ended with the daemon, as far as they do not run.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    context.wait(async {
        follow(context, context.client().resurrect().await?).await?;
        show_list(context).await
    })
}
