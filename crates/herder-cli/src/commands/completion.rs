//! `herder completion`

use std::path::PathBuf;

use clap::CommandFactory;
use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Outcome;
use super::context::Context;
use crate::cli::Cli;
use crate::completion::{Shell, script};
use crate::render::text::escape;

const AFTER_HELP: &str = "\
Names of apps are completed, too: for them the shell asks the daemon, if one runs.

  source <(herder completion bash)        in this shell only
  herder completion zsh --install         in all that begin from now on";

/// Have a shell complete verbs, options and names of apps.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,

    /// Write the script to where the shell finds it, in your home.
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let text = script(args.shell, Cli::command());
    if !args.install {
        return Ok(context.screen.print(&text)?);
    }
    let data = directory("XDG_DATA_HOME", ".local/share")?;
    let configuration = directory("XDG_CONFIG_HOME", ".config")?;
    let file = args.shell.file(data, configuration);
    let parent = file.parent().unwrap_or(&file);
    let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| {
        let text = format!("It cannot be written: {error}.");
        Problem::new(ProblemKind::Failed, text).place(file.display().to_string())
    })?;
    let file = escape(&file.display().to_string());
    context.say(&format!("{file} is written. {}\n", args.shell.note()))
}

/// A directory of the user: as a variable says, or below HOME.
pub(super) fn directory(variable: &str, below: &str) -> Result<PathBuf, Problem> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let told = set(variable).filter(|path| path.is_absolute());
    let own = || {
        set("HOME")
            .filter(|path| path.is_absolute())
            .map(|home| home.join(below))
    };
    told.or_else(own).ok_or_else(|| {
        let text =
            format!("Nothing says where your files are: neither {variable} nor HOME is set.");
        Problem::new(ProblemKind::Invalid, text)
    })
}
