//! `herder check`

use std::path::PathBuf;

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Outcome;
use super::context::Context;
use super::targets::{FileArgs, default_file, load};
use crate::render::text::{count, escape};

/// Say what is wrong with files that define apps, without starting anything.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The files, or - for one on stdin. [default: herder.toml or the ecosystem file of this directory]
    #[arg(value_name = "FILE")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    file: FileArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let mut paths = args.paths;
    if paths.is_empty() {
        paths.push(default_file()?.ok_or_else(no_file)?);
    }
    let mut worst = Ok(());
    for path in paths {
        match load(context, &path, &args.file) {
            Ok(loaded) => {
                let apps = count(loaded.apps.len() as u64, "app");
                let verb = if loaded.apps.len() == 1 { "is" } else { "are" };
                let file = escape(&path.display().to_string());
                context.answer(&loaded.apps, || format!("{file}: {apps} {verb} fine\n"))?;
            }
            Err(failure) => {
                failure.tell(context.screen, context.format);
                worst = Err(super::Failure::Told(failure.status()));
            }
        }
    }
    worst
}

/// There is no file that could be meant.
pub(super) fn no_file() -> Problem {
    let message = "This directory has no herder.toml and no ecosystem file.";
    Problem::new(ProblemKind::Invalid, message).hint("name the file, or write one: herder init")
}
