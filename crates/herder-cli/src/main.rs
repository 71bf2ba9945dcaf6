//! The `herder` command.
#![forbid(unsafe_code)]

mod cli;
mod launcher;
mod render;
mod run;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use herder_master::role::{self, Assumed};
use herder_master::status;

use cli::{Cli, Verb};

fn main() -> ExitCode {
    // First of all: a child of a herd finds out here what it is. A launcher does not come back.
    let seat = match role::assume() {
        Ok(Assumed::Entry) => None,
        Ok(Assumed::Master(seat)) => Some(seat),
        Ok(Assumed::Gateway(_) | Assumed::Library(_) | Assumed::Worker(_)) => {
            render::error("this executable is no worker, no gateway and no library");
            return ExitCode::from(status::INTERNAL);
        }
        Err(error) => {
            render::error(&error.to_string());
            return ExitCode::from(status::INTERNAL);
        }
    };
    if let Some(text) = refusal() {
        render::error(&text);
        return ExitCode::from(status::USAGE);
    }
    let Cli {
        verb: Verb::Run(args),
    } = Cli::parse();
    match run::config(args) {
        Ok(config) => ExitCode::from(herder_master::run(config, seat)),
        Err(error) => {
            render::error(&error.to_string());
            ExitCode::from(status::USAGE)
        }
    }
}

/// What was typed is a launcher. It is looked for before the arguments are parsed, of which its own
/// options would be the first to be wrong.
fn refusal() -> Option<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let command = Cli::command();
    launcher::refusal(&words.collect::<Vec<_>>(), command.find_subcommand("run")?)
}
