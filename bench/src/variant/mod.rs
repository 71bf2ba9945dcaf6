//! What is compared, and how each is started.

use crate::bare::{Role, WORKERS};
use clap::ValueEnum;
use herder_e2e::binary::Binary;
use herder_e2e::foreign::wait_for;
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::process::{self, Process};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde::Serialize;
use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// A herd of the Node program that `Node20` runs, by Node 20.
    #[value(name = "herder-node-20")]
    #[serde(rename = "herder-node-20")]
    HerderNode20,
    /// A herd of the Node program that `Node24` runs, by Node 24.
    #[value(name = "herder-node-24")]
    #[serde(rename = "herder-node-24")]
    HerderNode24,
    /// A herd whose master passes connections to native workers.
    HerderPass,
    /// A herd whose native workers race on one listener.
    HerderShared,
    /// Node's own cluster primary with round robin, and its workers: Node 20.
    #[value(name = "node-20")]
    #[serde(rename = "node-20")]
    Node20,
    /// As `Node20`, with Node 24.
    #[value(name = "node-24")]
    #[serde(rename = "node-24")]
    Node24,
}

impl Variant {
    /// All of them, in the order of the table.
    pub const ALL: [Variant; 10] = [
        Variant::BareShared,
        Variant::BarePass,
        Variant::HerderShared,
        Variant::HerderPass,
        Variant::BareEcho,
        Variant::HerderMessages,
        Variant::Node20,
        Variant::HerderNode20,
        Variant::Node24,
        Variant::HerderNode24,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Variant::BareEcho => "bare echo",
            Variant::BarePass => "bare pass",
            Variant::BareShared => "bare shared",
            Variant::HerderMessages => "herder messages",
            Variant::HerderNode20 => "herder, node 20",
            Variant::HerderNode24 => "herder, node 24",
            Variant::HerderPass => "herder pass",
            Variant::HerderShared => "herder shared",
            Variant::Node20 => "node 20",
            Variant::Node24 => "node 24",
        }
    }

    /// What it is compared with, beside what all of its kind are: Node's own primary for a herd of the
    /// same workers.
    pub fn rival(self) -> Option<Variant> {
        match self {
            Variant::HerderNode20 => Some(Variant::Node20),
            Variant::HerderNode24 => Some(Variant::Node24),
            Variant::BareEcho
            | Variant::BarePass
            | Variant::BareShared
            | Variant::HerderMessages
            | Variant::HerderPass
            | Variant::HerderShared
            | Variant::Node20
            | Variant::Node24 => None,
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

    /// Whether its workers are native, and each connection has one answer.
    pub fn is_of_connections(self) -> bool {
        !self.keeps_clients() && !self.is_of_node()
    }

    /// Whether its workers are Node programs.
    pub fn is_of_node(self) -> bool {
        self.rival().is_some() || matches!(self, Variant::Node20 | Variant::Node24)
    }

    /// Starts it in `scene`, with two workers, and waits until it serves.
    pub fn start(self, scene: &Scene) -> Server {
        match self {
            Variant::BareEcho => start_echo(scene),
            Variant::BarePass => start_bare(scene, Role::Master, Role::Passed),
            Variant::BareShared => start_bare(scene, Role::Shared, Role::Sharing),
            Variant::HerderMessages => start_herd(scene, "messages", WORKERS),
            Variant::HerderNode20 => start_node_herd(scene, Node::Version(20)),
            Variant::HerderNode24 => start_node_herd(scene, Node::Version(24)),
            Variant::HerderPass => start_herd(scene, "pass", WORKERS),
            Variant::HerderShared => start_herd(scene, "shared", WORKERS),
            Variant::Node20 => start_primary(scene, Node::Version(20)),
            Variant::Node24 => start_primary(scene, Node::Version(24)),
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

/// The program of all Node workers.
const NODE_WORKER: &str = "serve.js";

fn node_program(name: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/node");
    PathBuf::from(directory).join(name)
}

fn start_node_herd(scene: &Scene, node: Node) -> Server {
    let setup = scene.herd(Binary::HERDER).arg("run");
    let setup = setup.arg(node_program(NODE_WORKER)).arg("--interpreter");
    let setup = setup.arg(node.program()).args(["-i", &WORKERS.to_string()]);
    let herd = setup.start();
    wait_for(&herd, 0, WORKERS, "ready", START);
    serve_by_node(herd)
}

fn start_primary(scene: &Scene, node: Node) -> Server {
    let setup = scene
        .program(node.program())
        .arg(node_program("primary.js"));
    serve_by_node(setup.arg(WORKERS.to_string()).start())
}

fn serve_by_node(herd: Herd) -> Server {
    let address = address(&herd);
    let (workers, before) = split(&herd, WORKERS, |process| {
        process.title.ends_with(NODE_WORKER)
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
