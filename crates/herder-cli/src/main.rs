//! The `herder` command.
#![forbid(unsafe_code)]

mod cli;
mod render;
mod run;

use std::process::ExitCode;

use clap::Parser;
use herder_master::role::{self, Assumed};
use herder_master::status;

use cli::{Cli, Verb};

fn main() -> ExitCode {
    // First of all: a child of a herd finds out here what it is. A launcher does not come back.
    let seat = match role::assume() {
        Ok(Assumed::Entry) => None,
        Ok(Assumed::Master(seat)) => Some(seat),
        Ok(Assumed::Gateway(_) | Assumed::Worker(_)) => {
            render::error("this executable is neither a worker nor a gateway program");
            return ExitCode::from(status::INTERNAL);
        }
        Err(error) => {
            render::error(&error.to_string());
            return ExitCode::from(status::INTERNAL);
        }
    };
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
