//! A variant that serves.

use super::Variant;
use crate::answer;
use crate::bare::WORKERS;
use herder_e2e::client::Load;
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::process;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to be ready.
pub(super) const START: Duration = Duration::from_secs(20);

/// Why a variant takes no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut(pub String);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variant that serves.
#[derive(Debug)]
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    /// Its processes.
    pub herd: Herd,
    pub(super) before: Vec<i32>,
    pub(super) front: Vec<i32>,
    pub(super) workers: Vec<i32>,
}

impl Server {
    /// What `herd` has become: its workers are who answers at `address`.
    pub(super) fn of(herd: Herd, address: SocketAddr) -> Result<Server, LeftOut> {
        let workers = answering(&herd, address)?;
        let others = herd.descendants().into_iter().map(|process| process.pid);
        Ok(Server {
            address,
            before: others.filter(|pid| !workers.contains(pid)).collect(),
            front: Vec::new(),
            workers: workers.into_iter().collect(),
            herd,
        })
    }

    /// One that nobody asks what it costs.
    pub(crate) fn alone(herd: Herd, address: SocketAddr) -> Server {
        Server {
            address,
            herd,
            before: Vec::new(),
            front: Vec::new(),
            workers: Vec::new(),
        }
    }

    /// As [`Server::of`], once `herd` has said where it listens.
    pub(super) fn announced(herd: Herd) -> Result<Server, LeftOut> {
        match address_of(&herd) {
            Some(address) => Server::of(herd, address),
            None => Err(refusal(&herd)),
        }
    }

    /// As [`Server::announced`], of a herd that does what `variant` is named after.
    pub(super) fn of_herd(herd: Herd, variant: Variant) -> Result<Server, LeftOut> {
        let server = Server::announced(herd)?;
        let lines = server.herd.lines();
        let said = lines.iter().find_map(|line| dispatched(&line.text));
        let wanted = variant.dispatch().map(|dispatch| dispatch.mode());
        match (said, wanted) {
            (Some((mode, reason)), Some(wanted)) if mode != wanted => {
                Err(LeftOut(format!("fell back to {mode}: {reason}")))
            }
            _ => Ok(server),
        }
    }

    /// Processor time used so far by a keeper and a master (or whoever else does not answer), by the process that
    /// keeps the clients' connections, and by the workers.
    pub fn times(&self) -> [Duration; 3] {
        [&self.before, &self.front, &self.workers]
            .map(|pids| pids.iter().copied().map(process::processor_time).sum())
    }

    /// Lets `before` pass, then stops one of the workers for `during`.
    pub fn stop_a_worker(&self, before: Duration, during: Duration) {
        let Some(&worker) = self.workers.first() else {
            return;
        };
        thread::sleep(before);
        self.herd.signal_to(worker, Signal::STOP);
        thread::sleep(during);
        self.herd.signal_to(worker, Signal::CONT);
    }
}

/// The pids of all workers, as the answers name them, once all of them have answered.
fn answering(herd: &Herd, address: SocketAddr) -> Result<BTreeSet<i32>, LeftOut> {
    let begun = Instant::now();
    let mut seen = BTreeSet::new();
    let mut outcomes = String::from("nothing was asked");
    while begun.elapsed() < START {
        let load = Load::http(address, "/").clients(32).count(400);
        let load = load.timeout(Duration::from_secs(2));
        let ledger = load.worker_from(answer::worker).run();
        seen.extend(ledger.per_worker().into_keys());
        if seen.len() == WORKERS {
            return Ok(seen);
        }
        outcomes = ledger.to_string();
        if ledger.complete() == 0 {
            thread::sleep(Duration::from_millis(20));
        }
        if !herd.descendants().iter().any(|one| one.pid == herd.pid()) {
            return Err(refusal(herd));
        }
    }
    let count = seen.len();
    Err(LeftOut(format!(
        "{count} of {WORKERS} workers answered within {START:?}: {outcomes}"
    )))
}

fn address_of(herd: &Herd) -> Option<SocketAddr> {
    herd.find_line(START, announcement)
}

/// The address of a line that says where somebody listens: a bare loop says `listening ADDRESS`, a herd's log
/// `…: listening on ADDRESS`.
pub(crate) fn announcement(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("listening ")?;
    let address = address.strip_prefix("on ").unwrap_or(address);
    address.parse().ok()
}

/// The last that a program said which did not come to serve.
fn refusal(herd: &Herd) -> LeftOut {
    let lines = herd.lines();
    let last = lines.iter().rev().find(|line| !line.text.trim().is_empty());
    LeftOut(match last {
        Some(line) => format!("it did not start: {}", line.text.trim()),
        None => "it did not start, and said nothing".to_owned(),
    })
}

/// Mode and reason of a herd's line `…dispatch: MODE (REASON)`.
fn dispatched(line: &str) -> Option<(&str, &str)> {
    let (_, said) = line.split_once("dispatch: ")?;
    let (mode, reason) = said.split_once(" (").unwrap_or((said, ""));
    let mode = mode.split([' ', ',']).next()?;
    Some((mode, reason.strip_suffix(')').unwrap_or(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use herder_e2e::scene::Scene;

    #[test]
    fn what_a_herd_says_of_its_dispatch_is_read() {
        let line =
            "2026-11-21T02:45:08.903Z plain: dispatch: pass (kernel needs CAP_BPF (or root))";
        assert_eq!(
            dispatched(line),
            Some(("pass", "kernel needs CAP_BPF (or root)"))
        );
        assert_eq!(dispatched("web: dispatch: kernel"), Some(("kernel", "")));
        let policy = "web: dispatch: kernel, least-loaded (asked for)";
        assert_eq!(dispatched(policy), Some(("kernel", "asked for")));
        assert_eq!(dispatched("web: listening on 127.0.0.1:80"), None);
    }

    #[test]
    fn a_program_that_does_not_start_is_left_out_with_its_last_words() {
        let scene = Scene::new("server_refused");
        let herd = scene.program("sh");
        let herd = herd.args([
            "-c",
            "echo first >&2; echo 'no such mode' >&2; echo >&2; exit 2",
        ]);
        let left_out = Server::announced(herd.start()).unwrap_err();
        assert_eq!(left_out.to_string(), "it did not start: no such mode");
    }

    #[test]
    fn a_herd_that_fell_back_is_left_out_with_the_reason() {
        let scene = Scene::new("server_fell_back");
        let own = herder_e2e::binary::Binary::new("herder-bench", "herder-bench").path();
        let script = "echo 'x: dispatch: shared (no right)' >&2; exec \"$0\" bare-shared";
        let herd = scene.program("sh").args(["-c", script]).arg(own);
        let wanted = Variant::HerderNative(super::super::Dispatch::Kernel);
        let left_out = Server::of_herd(herd.start(), wanted).unwrap_err();
        assert_eq!(left_out.to_string(), "fell back to shared: no right");
    }
}
