//! `herder save`

use super::Outcome;
use super::context::Context;
use super::outcome::follow;

/// Save the list of apps as it is now, for `resurrect`.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "dump")]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    context.wait(async { follow(context, context.client().save().await?).await })
}
