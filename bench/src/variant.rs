//! What is compared, and how each is started.

use crate::bare::{Role, WORKERS};
use herder_e2e::herd::Herd;
use herder_e2e::process::{self, Process};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde::Serialize;
use std::env;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(10);

/// A way to bring connections to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Workers race on one listener (`EPOLLEXCLUSIVE`), no master in the way.
    BareShared,
    /// A bare accept + sendmsg loop.
    BarePass,
}

impl Variant {
    /// All of them; the first is what rates are compared with, the second what a master's work is compared with.
    pub const ALL: [Variant; 2] = [Variant::BareShared, Variant::BarePass];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Variant::BareShared => "bare shared",
            Variant::BarePass => "bare pass",
        }
    }

    /// Starts it in `scene`, with two workers, and waits until it serves.
    pub fn start(self, scene: &Scene) -> Server {
        let own = env::current_exe().expect("/proc is mounted");
        let (role, worker) = match self {
            Variant::BareShared => (Role::Shared, Role::Sharing),
            Variant::BarePass => (Role::Master, Role::Passed),
        };
        let herd = scene.program(own).arg(role.name()).start();
        let address = herd.wait_for_line("where it listens", START, |line| {
            line.strip_prefix("listening ")?.parse().ok()
        });
        let is_worker = |process: &Process| process.title.ends_with(worker.name());
        let workers = wait::until(START, "all workers run", || {
            let mut all = herd.descendants();
            all.retain(is_worker);
            (all.len() == WORKERS).then_some(all)
        });
        Server {
            master: vec![herd.pid()],
            workers: pids(&workers),
            address,
            herd,
        }
    }
}

/// A variant that serves.
#[derive(Debug)]
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    /// Its processes.
    pub herd: Herd,
    master: Vec<i32>,
    workers: Vec<i32>,
}

impl Server {
    /// Processor time used so far by what stands before the workers.
    pub fn master_time(&self) -> Duration {
        self.master
            .iter()
            .copied()
            .map(process::processor_time)
            .sum()
    }

    /// Processor time used so far by the workers.
    pub fn worker_time(&self) -> Duration {
        self.workers
            .iter()
            .copied()
            .map(process::processor_time)
            .sum()
    }
}

fn pids(processes: &[Process]) -> Vec<i32> {
    processes.iter().map(|process| process.pid).collect()
}
