//! `cargo run --release -p herder-bench`: what a connection, a message, a call, a line of a log and a
//! daemon cost.

#![forbid(unsafe_code)]

use clap::Parser;
use herder_bench::bare::Role;
use herder_bench::calls::contest::{CallContest, SHAPES};
use herder_bench::contest::Contest;
use herder_bench::daemon::{self, DaemonContest};
use herder_bench::logs::{self, LogContest};
use herder_bench::measure::Pressure;
use herder_bench::reloads::{ReloadContest, Rival};
use herder_bench::variant::Variant;
use herder_bench::{calls, memory, reloads, report};
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Workers of the herd whose memory is printed.
const IDLE_WORKERS: usize = 4;

/// Rounds of reloads, at most.
const RELOAD_ROUNDS: usize = 2;

/// Measures what a connection, a message and a call cost under herder beside loops with nothing around them.
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
    /// Measure only calls to a library
    #[arg(long, conflicts_with = "only")]
    calls: bool,
    /// Measure only reloads
    #[arg(long, conflicts_with_all = ["only", "calls"])]
    reloads: bool,
    /// Measure only how fast lines come into log files
    #[arg(long, conflicts_with_all = ["only", "calls", "reloads"])]
    logs: bool,
    /// Measure only the daemon, and how fast lines come into log files
    #[arg(long, conflicts_with_all = ["only", "calls", "reloads", "logs"])]
    daemon: bool,
    /// With --reloads: only these (more than one: --rival A --rival B)
    #[arg(long, value_name = "RIVAL", requires = "reloads")]
    rival: Vec<Rival>,
    /// Also write every sample to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> io::Result<ExitCode> {
    // The servers that are compared are this program again, with a role for its first argument.
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((role, arguments)) = arguments.split_first()
        && let Some(role) = Role::named(role)
    {
        role.play(arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    run(&Options::parse())
}

/// What can be measured alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Calls,
    Connections,
    Daemon,
    Logs,
    Memory,
    Reloads,
}

impl Options {
    fn want(&self, part: Part) -> bool {
        let alone = [
            (self.calls, &[Part::Calls][..]),
            (self.reloads, &[Part::Reloads]),
            (self.logs, &[Part::Logs]),
            (self.daemon, &[Part::Daemon, Part::Logs]),
            (!self.only.is_empty(), &[Part::Connections]),
        ];
        let asked = alone.iter().find(|(is_asked, _)| *is_asked);
        asked.is_none_or(|(_, parts)| parts.contains(&part))
    }
}

fn run(options: &Options) -> io::Result<ExitCode> {
    let (rounds, time) = (
        options.rounds.into(),
        Duration::from_secs(options.seconds.into()),
    );
    let mut contests = Vec::new();
    if options.want(Part::Connections) {
        let variants = if options.only.is_empty() {
            &Variant::ALL[..]
        } else {
            &options.only
        };
        contests = hold_contests(variants, rounds, time)?;
    }
    let mut calls = Vec::new();
    if options.want(Part::Calls) {
        calls = hold_call_contests(rounds, time)?;
    }
    let mut reloads = ReloadContest::default();
    if options.want(Part::Reloads) {
        let rivals = if options.rival.is_empty() {
            &Rival::ALL[..]
        } else {
            &options.rival
        };
        // A reload takes its time; a few rounds tell what there is to tell.
        reloads = ReloadContest::hold(rivals, rounds.min(RELOAD_ROUNDS));
        writeln!(io::stdout(), "{}", reloads::report::table(&reloads))?;
    }
    let mut daemons = DaemonContest::default();
    if options.want(Part::Daemon) {
        daemons = DaemonContest::hold(rounds);
        writeln!(io::stdout(), "{}", daemon::report::table(&daemons))?;
    }
    let mut logs = LogContest::default();
    if options.want(Part::Logs) {
        logs = LogContest::hold(rounds, time);
        writeln!(io::stdout(), "{}", logs::report::table(&logs))?;
    }
    let mut memory = Vec::new();
    if options.want(Part::Memory) {
        memory = memory::of_idle_herd(IDLE_WORKERS);
        write!(io::stdout(), "{}", report::memory(&memory))?;
    }
    if let Some(path) = &options.json {
        let all = serde_json::json!({
            "contests": contests, "calls": calls, "reloads": reloads, "daemon": daemons, "logs": logs,
            "idle_memory": memory,
        });
        fs::write(path, serde_json::to_vec_pretty(&all)?)?;
    }
    let clean = contests.iter().all(Contest::is_clean)
        && calls.iter().all(CallContest::is_clean)
        && reloads.is_clean();
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn hold_contests(variants: &[Variant], rounds: usize, time: Duration) -> io::Result<Vec<Contest>> {
    let mut contests = Vec::new();
    for pressure in Pressure::ALL {
        let contest = Contest::hold(variants, pressure, rounds, time);
        if contest.samples.is_empty() {
            continue; // Nobody who was asked for takes part.
        }
        writeln!(
            io::stdout(),
            "{}{}",
            report::table(&contest),
            report::verdict(&contest)
        )?;
        contests.push(contest);
    }
    Ok(contests)
}

fn hold_call_contests(rounds: usize, time: Duration) -> io::Result<Vec<CallContest>> {
    let mut contests = Vec::new();
    for shape in SHAPES {
        let contest = CallContest::hold(shape, rounds, time);
        writeln!(io::stdout(), "{}", calls::report::table(&contest))?;
        contests.push(contest);
    }
    Ok(contests)
}
