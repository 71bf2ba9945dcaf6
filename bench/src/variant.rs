//! What is compared, and how each is started.

use crate::bare::{Role, WORKERS};
use clap::ValueEnum;
use herder_e2e::binary::Binary;
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::process::{self, Process};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde::Serialize;
use std::env;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(10);
/// The herd with native workers.
const HERD: Binary = Binary::new("herder-bench", "bench-worker");

/// A way to bring connections to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// One process that sends every message back (tokio-tungstenite, one thread).
    BareEcho,
    /// A bare accept + sendmsg loop.
    BarePass,
    /// Workers race on one listener (`EPOLLEXCLUSIVE`), no master in the way.
    BareShared,
    /// A herd whose gateway keeps the clients and gives each message to the next worker, which sends it back.
    HerderMessages,
    /// A herd whose master passes connections to native workers.
    HerderPass,
    /// A herd whose native workers race on one listener.
    HerderShared,
}

impl Variant {
    /// All of them, in the order of the table.
    pub const ALL: [Variant; 6] = [
        Variant::BareShared,
        Variant::BarePass,
        Variant::HerderShared,
        Variant::HerderPass,
        Variant::BareEcho,
        Variant::HerderMessages,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Variant::BareEcho => "bare echo",
            Variant::BarePass => "bare pass",
            Variant::BareShared => "bare shared",
            Variant::HerderMessages => "herder messages",
            Variant::HerderPass => "herder pass",
            Variant::HerderShared => "herder shared",
        }
    }

    /// Whether a master has a hand in every connection.
    pub fn passes(self) -> bool {
        matches!(self, Variant::BarePass | Variant::HerderPass)
    }

    /// Whether its clients keep their connections and send messages.
    pub fn keeps_clients(self) -> bool {
        matches!(self, Variant::BareEcho | Variant::HerderMessages)
    }

    /// Starts it in `scene`, with two workers, and waits until it serves.
    pub fn start(self, scene: &Scene) -> Server {
        match self {
            Variant::BareEcho => start_echo(scene),
            Variant::BarePass => start_bare(scene, Role::Master, Role::Passed),
            Variant::BareShared => start_bare(scene, Role::Shared, Role::Sharing),
            Variant::HerderMessages => start_herd(scene, "messages", WORKERS),
            Variant::HerderPass => start_herd(scene, "pass", WORKERS),
            Variant::HerderShared => start_herd(scene, "shared", WORKERS),
        }
    }
}

/// Starts a herd of native workers in `scene` and waits until it serves.
pub fn start_herd(scene: &Scene, dispatch: &str, workers: usize) -> Server {
    let herd = scene
        .herd(HERD)
        .arg(workers.to_string())
        .arg(dispatch)
        .start();
    let address = address(&herd);
    let (workers, others) = split(&herd, workers, |process| {
        process.title.starts_with("herder: worker")
    });
    let gateway = pids(&herd.titled("herder: gateway"));
    Server {
        address,
        herd,
        before: others
            .into_iter()
            .filter(|pid| !gateway.contains(pid))
            .collect(),
        front: gateway,
        workers,
    }
}

fn start_bare(scene: &Scene, first: Role, worker: Role) -> Server {
    let own = env::current_exe().expect("/proc is mounted");
    let herd = scene.program(own).arg(first.name()).start();
    let address = address(&herd);
    let (workers, before) = split(&herd, WORKERS, |process| {
        process.title.ends_with(worker.name())
    });
    Server {
        address,
        herd,
        before,
        front: Vec::new(),
        workers,
    }
}

fn start_echo(scene: &Scene) -> Server {
    let own = env::current_exe().expect("/proc is mounted");
    let herd = scene.program(own).arg(Role::Echo.name()).start();
    Server {
        address: address(&herd),
        before: Vec::new(),
        front: vec![herd.pid()],
        herd,
        workers: Vec::new(),
    }
}

fn address(herd: &Herd) -> SocketAddr {
    herd.wait_for_line("where it listens", START, |line| {
        // A bare loop says `listening ADDRESS`, a herd's log `…: listening on ADDRESS`.
        let (_, address) = line.split_once("listening ")?;
        let address = address.strip_prefix("on ").unwrap_or(address);
        address.parse().ok()
    })
}

/// The pids of all `count` workers, once they run, and of everything else.
fn split(herd: &Herd, count: usize, is_worker: impl Fn(&Process) -> bool) -> (Vec<i32>, Vec<i32>) {
    wait::until(START, "all workers run", || {
        let (workers, others): (Vec<_>, Vec<_>) =
            herd.descendants().into_iter().partition(&is_worker);
        (workers.len() == count).then(|| (pids(&workers), pids(&others)))
    })
}

fn pids(processes: &[Process]) -> Vec<i32> {
    processes.iter().map(|process| process.pid).collect()
}

/// A variant that serves.
#[derive(Debug)]
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    /// Its processes.
    pub herd: Herd,
    before: Vec<i32>,
    front: Vec<i32>,
    workers: Vec<i32>,
}

impl Server {
    /// Processor time used so far by a keeper and a master (or the bare loop that passes connections), by the process
    /// that keeps the clients' connections, and by the workers.
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
