//! The `herder` command.
#![forbid(unsafe_code)]

mod cli;
mod launcher;
mod render;
mod run;
mod sig;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use herder_master::role::{self, Assumed, LibrarySeat, MasterSeat};
use herder_master::status;

use cli::{Cli, Verb};
use run::RunArgs;

fn main() -> ExitCode {
    // First of all: a child of a herd finds out here what it is. A launcher does not come back.
    let seat = match role::assume() {
        Ok(Assumed::Entry) => None,
        Ok(Assumed::Master(seat)) => Some(seat),
        Ok(Assumed::Library(seat)) => return library(seat),
        Ok(Assumed::Gateway(_) | Assumed::Worker(_)) => {
            return failed("this executable is no worker and no gateway");
        }
        Err(error) => return failed(&error.to_string()),
    };
    if let Some(text) = refusal() {
        render::error(&text);
        return ExitCode::from(status::USAGE);
    }
    match Cli::parse().verb {
        Verb::Run(args) => run(*args, seat),
        Verb::Sig(args) => match sig::print(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                render::error(&error.to_string());
                ExitCode::FAILURE
            }
        },
    }
}

fn run(args: RunArgs, seat: Option<MasterSeat>) -> ExitCode {
    match run::config(args) {
        Ok(config) => ExitCode::from(herder_master::run(config, seat)),
        Err(error) => {
            render::error(&error.to_string());
            ExitCode::from(status::USAGE)
        }
    }
}

/// The library that is built in: the master started this executable with its own arguments.
fn library(seat: LibrarySeat) -> ExitCode {
    let Verb::Run(args) = Cli::parse().verb else {
        return failed("a library belongs to herder run");
    };
    run::services::live(&args, seat).unwrap_or_else(|error| failed(&error.to_string()))
}

fn failed(text: &str) -> ExitCode {
    render::error(text);
    ExitCode::from(status::INTERNAL)
}

/// What was typed is a launcher. It is looked for before the arguments are parsed, of which its own
/// options would be the first to be wrong.
fn refusal() -> Option<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let command = Cli::command();
    launcher::refusal(&words.collect::<Vec<_>>(), command.find_subcommand("run")?)
}
