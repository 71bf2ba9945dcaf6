//! `cargo run --release -p herder-bench`: what a connection, a message, a call, a line of a log, a
//! daemon and a proxy cost.

#![forbid(unsafe_code)]

use clap::Parser;
use herder_bench::bare::Role;
use herder_bench::calls::contest::{CallContest, SHAPES};
use herder_bench::contest::{Contest, Field};
use herder_bench::daemon::{self, DaemonContest};
use herder_bench::logs::{self, LogContest};
use herder_bench::part::Part;
use herder_bench::proxy::{self, ProxyContest};
use herder_bench::reloads::{ReloadContest, Rival};
use herder_bench::report::guide::{self, Circumstances};
use herder_bench::variant::{League, Variant};
use herder_bench::{calls, ending, goals, memory, reloads, report};
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

/// Measures what a connection, a message and a call cost under herder beside loops with nothing around them, and
/// beside the peers.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How many times each variant is measured, all of them taking turns
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long each measurement takes
    #[arg(long, default_value_t = 2, value_name = "S", value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// Measure only connections, and only with who stands in a goal or shows what it is about
    #[arg(long, conflicts_with_all = ["only", "calls", "reloads", "logs", "daemon", "proxy"])]
    short: bool,
    /// Measure only these, and not the memory (more than one: --only A --only B)
    #[arg(long, value_name = "VARIANT")]
    only: Vec<Variant>,
    /// Of connections and messages measure only this (more than one: --part A --part B)
    #[arg(long, value_name = "PART", conflicts_with_all = ["calls", "reloads", "logs", "daemon"])]
    part: Vec<Part>,
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
    /// Measure only proxies
    #[arg(long, conflicts_with_all = ["only", "part", "calls", "reloads", "logs", "daemon"])]
    proxy: bool,
    /// With --reloads: only these (more than one: --rival A --rival B)
    #[arg(long, value_name = "RIVAL", requires = "reloads")]
    rival: Vec<Rival>,
    /// Also write every sample to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write tables of connections and messages into DIR/performance.md, of proxies into DIR/proxy.md, and
    /// pictures beside them
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
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
    let options = Options::parse();
    if let Some(status) = ending::outlive()? {
        return Ok(status.into());
    }
    run(&options, &arguments)
}

/// What can be measured alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Calls,
    Connections,
    Daemon,
    Logs,
    Memory,
    Proxy,
    Reloads,
}

impl Options {
    fn want(&self, subject: Subject) -> bool {
        let connections = self.short || !self.only.is_empty() || !self.part.is_empty();
        let alone = [
            (self.calls, &[Subject::Calls][..]),
            (self.reloads, &[Subject::Reloads]),
            (self.logs, &[Subject::Logs]),
            (self.daemon, &[Subject::Daemon, Subject::Logs]),
            (self.proxy, &[Subject::Proxy]),
            (connections, &[Subject::Connections]),
        ];
        let asked = alone.iter().find(|(is_asked, _)| *is_asked);
        asked.is_none_or(|(_, subjects)| subjects.contains(&subject))
    }

    fn rounds(&self) -> usize {
        self.rounds.into()
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn wants_part(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }

    /// Who is asked for in `part`.
    fn wants(&self, part: Part, variant: Variant) -> bool {
        let named = self.only.is_empty() || self.only.contains(&variant);
        let short = !self.short || part.is_essential(variant);
        self.wants_part(part) && part.suits(variant) && named && short
    }
}

fn run(options: &Options, arguments: &[String]) -> io::Result<ExitCode> {
    let circumstances = Circumstances::now(format!("herder-bench {}", arguments.join(" ")));
    let (rounds, time) = (options.rounds(), options.time());
    let (mut field, mut contests) = (Field::default(), Vec::new());
    if options.want(Subject::Connections) {
        (field, contests) = hold_contests(options)?;
        if let Some(directory) = &options.report {
            guide::write(directory, &circumstances, &field, &contests)?;
        }
    }
    let mut calls = Vec::new();
    if options.want(Subject::Calls) {
        calls = hold_call_contests(rounds, time)?;
    }
    let mut reloads = ReloadContest::default();
    if options.want(Subject::Reloads) {
        reloads = hold_reloads(options)?;
    }
    let mut daemons = DaemonContest::default();
    if options.want(Subject::Daemon) {
        daemons = DaemonContest::hold(rounds);
        writeln!(io::stdout(), "{}", daemon::report::table(&daemons))?;
    }
    let mut logs = LogContest::default();
    if options.want(Subject::Logs) {
        logs = LogContest::hold(rounds, time);
        writeln!(io::stdout(), "{}", logs::report::table(&logs))?;
    }
    let mut proxies = Vec::new();
    if options.want(Subject::Proxy) {
        proxies = hold_proxies(rounds, time)?;
        if let Some(directory) = &options.report {
            proxy::report::write(directory, &circumstances, &proxies)?;
        }
    }
    let mut memory = Vec::new();
    if options.want(Subject::Memory) {
        memory = memory::of_idle_herd(IDLE_WORKERS);
        write!(io::stdout(), "{}", report::memory(&memory))?;
    }
    if let Some(path) = &options.json {
        let left_out: Vec<_> = field.left_out().collect();
        let all = serde_json::json!({
            "contests": contests, "left_out": left_out, "calls": calls, "reloads": reloads,
            "daemon": daemons, "logs": logs, "proxy": proxies, "idle_memory": memory,
        });
        fs::write(path, serde_json::to_vec_pretty(&all)?)?;
    }
    let clean = contests.iter().all(Contest::is_ours_clean)
        && calls.iter().all(CallContest::is_clean)
        && reloads.is_clean()
        && proxies.iter().all(ProxyContest::is_clean);
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn hold_contests(options: &Options) -> io::Result<(Field, Vec<Contest>)> {
    let parts = Part::ALL.into_iter();
    let asked = |variant: &Variant| parts.clone().any(|part| options.wants(part, *variant));
    let field = Field::of(Variant::all().filter(asked));
    writeln!(io::stdout(), "{}", report::left_out(&field))?;
    let mut contests = Vec::new();
    for part in Part::ALL {
        for league in League::ALL {
            let taking: Vec<_> = field
                .taking_part()
                .filter(|variant| variant.league() == league && options.wants(part, *variant))
                .collect();
            if taking.is_empty() {
                continue;
            }
            let contest = Contest::hold(&taking, part, league, options.rounds(), options.time());
            writeln!(io::stdout(), "{}", report::table(&contest))?;
            contests.push(contest);
        }
    }
    let verdicts: Vec<_> = contests.iter().flat_map(goals::judge).collect();
    if !verdicts.is_empty() {
        writeln!(io::stdout(), "{}", report::summary(&verdicts))?;
    }
    Ok((field, contests))
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

fn hold_proxies(rounds: usize, time: Duration) -> io::Result<Vec<ProxyContest>> {
    let mut contests = Vec::new();
    for part in proxy::Part::ALL {
        let contest = ProxyContest::hold(part, &proxy::Rival::ALL, rounds, time);
        writeln!(io::stdout(), "{}", proxy::report::table(&contest))?;
        contests.push(contest);
    }
    Ok(contests)
}

fn hold_reloads(options: &Options) -> io::Result<ReloadContest> {
    let rivals = if options.rival.is_empty() {
        &Rival::ALL[..]
    } else {
        &options.rival
    };
    // A reload takes its time; a few rounds tell what there is to tell.
    let contest = ReloadContest::hold(rivals, options.rounds().min(RELOAD_ROUNDS));
    writeln!(io::stdout(), "{}", reloads::report::table(&contest))?;
    Ok(contest)
}
