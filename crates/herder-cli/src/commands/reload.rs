//! `herder reload`

use herder_api::control::{Known, Verb};

use super::Outcome;
use super::context::Context;
use super::restart::{Replace, replace};

const AFTER_HELP: &str = "\
New workers are started beside the old ones, which leave when the new ones are ready: no connection
is lost. If the new version does not become ready, or dies soon, the old one serves on, and this
ends with 1.";

/// Replace the workers of apps by new ones, without losing a connection.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    with: Replace,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    replace(args.with, context, Verb::Reload, Known::Reload)
}
