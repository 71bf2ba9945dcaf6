//! `herder init`

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::context::Context;
use super::{Failure, Outcome};
use crate::render::text::escape;

/// Write a herder.toml to begin with.
#[derive(clap::Args, Debug)]
#[command(visible_alias = "ecosystem")]
pub(crate) struct Args {
    /// Where to. - = stdout.
    #[arg(value_name = "FILE", default_value = "herder.toml")]
    path: PathBuf,
}

pub(crate) fn run(mut args: Args, context: &Context) -> Outcome {
    // `pm2 init simple`: ours is as simple.
    if args.path.as_os_str() == "simple" {
        args.path = PathBuf::from("herder.toml");
    }
    write(context, &args.path, herder_config::init())?;
    if args.path.as_os_str() == "-" {
        return Ok(());
    }
    let file = escape(&args.path.display().to_string());
    context.say(&format!(
        "{file} is written. Change it, and then: herder start {file}\n"
    ))
}

/// Writes a file that is not there yet, or to stdout.
pub(super) fn write(context: &Context, path: &Path, text: &str) -> Outcome {
    if path.as_os_str() == "-" {
        return Ok(context.screen.print(text)?);
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let name = path.display().to_string();
    if error.kind() == io::ErrorKind::AlreadyExists {
        let problem = Problem::new(ProblemKind::Conflict, "It is there already, and stays.");
        return problem.place(name).hint("name another file").into();
    }
    let message = format!("It cannot be written: {error}.");
    Problem::new(ProblemKind::Invalid, message)
        .place(name)
        .into()
}
