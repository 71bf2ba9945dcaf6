//! `cargo run --release -p herder-bench`: what a connection and a message cost.

#![forbid(unsafe_code)]

use clap::Parser;
use herder_bench::bare::Role;
use herder_bench::contest::Contest;
use herder_bench::measure::Pressure;
use herder_bench::variant::Variant;
use herder_bench::{memory, report};
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Workers of the herd whose memory is printed.
const IDLE_WORKERS: usize = 4;

/// Measures what a connection and a message cost under herder beside loops with nothing around them.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How many times each variant is measured, all of them taking turns
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long each measurement takes
    #[arg(long, default_value_t = 2, value_name = "S", value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// Measure only these, and not the memory (more than one: --only A --only B)
    #[arg(long, value_name = "VARIANT")]
    only: Vec<Variant>,
    /// Also write every sample to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> io::Result<ExitCode> {
    // The servers that are compared are this program again, with a role for its only argument.
    if let Some(role) = env::args()
        .nth(1)
        .and_then(|argument| Role::named(&argument))
    {
        role.play()?;
        return Ok(ExitCode::SUCCESS);
    }
    run(&Options::parse())
}

fn run(options: &Options) -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let time = Duration::from_secs(options.seconds.into());
    let variants = if options.only.is_empty() {
        &Variant::ALL[..]
    } else {
        &options.only
    };
    let mut contests = Vec::new();
    for pressure in Pressure::ALL {
        let contest = Contest::hold(variants, pressure, options.rounds.into(), time);
        if contest.samples.is_empty() {
            continue; // Nobody who was asked for takes part.
        }
        writeln!(
            out,
            "{}{}",
            report::table(&contest),
            report::verdict(&contest)
        )?;
        contests.push(contest);
    }
    let mut memory = Vec::new();
    if options.only.is_empty() {
        memory = memory::of_idle_herd(IDLE_WORKERS);
        write!(out, "{}", report::memory(&memory))?;
    }
    if let Some(path) = &options.json {
        let all = serde_json::json!({ "contests": contests, "idle_memory": memory });
        fs::write(path, serde_json::to_vec_pretty(&all)?)?;
    }
    let clean = contests.iter().all(Contest::is_clean);
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
