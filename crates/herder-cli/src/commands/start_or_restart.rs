//! `herder start-or-restart`

use std::path::PathBuf;

use herder_api::control::Known;

use super::Outcome;
use super::context::Context;
use super::outcome::show_list;
use super::targets::{FileArgs, start_files};

/// Start the apps of a file, and restart those that run.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "startOrRestart")]
pub(crate) struct Args {
    /// The file, or - for one on stdin.
    #[arg(value_name = "FILE")]
    path: PathBuf,

    #[command(flatten)]
    file: FileArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        start_files(context, &[args.path], &args.file, Known::Restart).await?;
        show_list(context).await
    })
}
