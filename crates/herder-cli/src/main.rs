//! The `herder` command.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod completion;
mod doctor;
#[cfg(test)]
mod flags;
mod launcher;
mod monit;
mod render;
mod run;
mod sig;
mod spare;
mod startup;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use herder_master::role::{self, Assumed, GatewaySeat, LibrarySeat, MasterSeat};
use herder_master::status;

use cli::{Cli, Verb};
use run::{Apps, Description, Origin, RunError};

fn main() -> ExitCode {
    // First of all: a child of a herd finds out here what it is. A launcher does not come back.
    let seat = match role::assume() {
        Ok(Assumed::Entry) => None,
        Ok(Assumed::Master(seat)) => Some(seat),
        Ok(Assumed::Library(seat)) => return library(seat),
        Ok(Assumed::Gateway(seat)) => return ExitCode::from(gateway(seat)),
        Ok(Assumed::Worker(_)) => return failed("this executable is no worker"),
        Err(error) => return failed(&error.to_string()),
    };
    if let Some(text) = refusal() {
        render::error(&text);
        return ExitCode::from(status::USAGE);
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(error),
    };
    match cli.verb {
        Verb::OfDaemon(verb) => ExitCode::from(verb.run()),
        Verb::Run(args) => match Apps::of_args(&args) {
            Ok(None) => run(Description::of_args(&args), seat),
            Ok(Some(apps)) => follow(Origin::File(Box::new(apps)), seat),
            Err(error) => misused(&error),
        },
        Verb::Herd(args) => follow(args.origin(), seat),
        Verb::Sig(args) => match sig::print(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                render::error(&error.to_string());
                ExitCode::FAILURE
            }
        },
    }
}

fn parse() -> Result<Cli, clap::Error> {
    let spare = spare::parse(std::env::args_os().skip(1));
    spare.map_or_else(Cli::try_parse, Ok)
}

fn run(description: Result<Description, RunError>, seat: Option<MasterSeat>) -> ExitCode {
    match description.and_then(|description| run::config(&description)) {
        Ok(config) => ExitCode::from(herder_master::run(config, seat)),
        Err(error) => misused(&error),
    }
}

/// Runs what a file says, as it is now and as it is at each reload.
fn follow(origin: Origin, seat: Option<MasterSeat>) -> ExitCode {
    ExitCode::from(herder_master::run_from(Box::new(origin), seat))
}

fn misused(error: &RunError) -> ExitCode {
    render::error(&error.to_string());
    ExitCode::from(status::USAGE)
}

/// What keeps the clients' connections, and forwards them.
fn gateway(seat: GatewaySeat) -> u8 {
    let gateway = herder_gateway::Gateway {
        app: seat.app,
        number: seat.number,
        incarnation: seat.incarnation,
        control: seat.control,
        listeners: seat.listeners,
        page: seat.page,
    };
    gateway.run()
}

/// The library that is built in: the master started this executable with its own arguments.
fn library(seat: LibrarySeat) -> ExitCode {
    let description = match parse().unwrap_or_else(|error| error.exit()).verb {
        Verb::Run(args) => match Apps::of_args(&args) {
            Ok(Some(apps)) => Origin::File(Box::new(apps)).held(),
            Ok(None) => Description::of_args(&args).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        },
        Verb::Herd(args) => args.origin().held(),
        Verb::Sig(_) | Verb::OfDaemon(_) => return failed("a library belongs to herder run"),
    };
    let lived = description.and_then(|description| run::services::live(&description, seat));
    lived.unwrap_or_else(|error| failed(&error))
}

/// Help and version are no errors; a verb or an option of PM2 that herder has not, has its answer.
fn unparsed(mut error: clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(instead) = commands::instead_of(verb)
    {
        render::error(&format!("there is no {verb}: {instead}"));
        return ExitCode::from(status::USAGE);
    }
    // Of verbs that look alike, only the last, which does most, is a hint.
    if let Some(ContextValue::Strings(alike)) = error.get(ContextKind::SuggestedSubcommand)
        && let Some(most) = alike.last().cloned()
    {
        let most = ContextValue::Strings(vec![most]);
        error.insert(ContextKind::SuggestedSubcommand, most);
    }
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg)
        && let Some(verb) = std::env::args().nth(1)
        && let Some(instead) = commands::instead_of_option(&verb, option)
    {
        render::error(&format!("{verb} has no {option}: {instead}"));
        return ExitCode::from(status::USAGE);
    }
    error.exit()
}

fn failed(text: &str) -> ExitCode {
    render::error(text);
    ExitCode::from(status::INTERNAL)
}

/// What was typed is a launcher. It is looked for before the arguments are parsed, of which its own
/// options would be the first to be wrong.
fn refusal() -> Option<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.collect();
    if words.get(1).is_none_or(|verb| verb != "run") {
        return None;
    }
    launcher::refusal(&words, Cli::command().find_subcommand("run")?)
}
