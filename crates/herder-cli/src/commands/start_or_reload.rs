//! `herder start-or-reload`

use std::path::PathBuf;

use herder_api::control::Known;

use super::Outcome;
use super::context::Context;
use super::outcome::show_list;
use super::targets::{FileArgs, start_files};

/// Start the apps of a file, and reload those that run.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "startOrReload", alias = "startOrGracefulReload")]
pub(crate) struct Args {
    /// The file, or - for one on stdin.
    #[arg(value_name = "FILE")]
    path: PathBuf,

    #[command(flatten)]
    file: FileArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        start_files(context, &[args.path], &args.file, Known::Reload).await?;
        show_list(context).await
    })
}
