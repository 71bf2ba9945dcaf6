//! What the herd can be told: a flag for each setting that a test needs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use herder::{Cluster, Dispatch, Policy};

/// Starts a thread before `herder::init`, which must refuse then. Looked for before anything is parsed.
pub(crate) const EARLY_THREAD: &str = "--early-thread";

/// Times are in milliseconds.
#[derive(Clone, Parser)]
pub(crate) struct Args {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: Vec<String>,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    #[arg(long, default_value = "pass")]
    dispatch: Mode,
    #[arg(long, default_value = "round-robin")]
    policy: Picker,
    #[arg(long, default_value_t = 5000)]
    grace: u64,
    #[arg(long, default_value_t = 10_000)]
    hang: u64,
    #[arg(long, default_value_t = 0)]
    max_requests: u64,
    #[arg(long)]
    max_lifetime: Option<u64>,
    /// In MiB.
    #[arg(long, default_value_t = 0)]
    max_memory: u64,
    #[arg(long, default_value_t = 0)]
    max_restarts: u32,
    #[arg(long)]
    restart_window: Option<u64>,
    /// How long a new version has to prove itself.
    #[arg(long)]
    soak: Option<u64>,
    /// The workers serve one connection at a time, in their main thread.
    #[arg(long)]
    blocking: bool,
    /// The workers end with this status before they are ready.
    #[arg(long)]
    pub(crate) exit_at_start: Option<i32>,
    /// The workers never say that they are ready.
    #[arg(long)]
    pub(crate) never_ready: bool,
    #[arg(long, default_value_t = 60_000)]
    boot_timeout: u64,
    /// The workers do not leave when they are told to.
    #[arg(long)]
    pub(crate) ignore_drain: bool,
    /// Where to note what was received (`got PORT PID`) and read (`saw ID PID`).
    #[arg(long)]
    pub(crate) ledger: Option<PathBuf>,
    /// See [`EARLY_THREAD`].
    #[arg(long, hide = true)]
    early_thread: bool,
}

/// How the workers wait.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Async,
    Blocking,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Auto,
    Kernel,
    Pass,
    Reuseport,
    Shared,
}

#[derive(Clone, Copy, ValueEnum)]
enum Picker {
    IpHash,
    LeastConnections,
    RoundRobin,
    TwoChoices,
}

impl Args {
    pub(crate) fn kind(&self) -> Kind {
        if self.blocking {
            Kind::Blocking
        } else {
            Kind::Async
        }
    }

    pub(crate) fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new()
            .name("test-herd")
            .workers(self.workers)
            .dispatch(match self.dispatch {
                Mode::Auto => Dispatch::Auto,
                Mode::Kernel => Dispatch::Kernel,
                Mode::Pass => Dispatch::Pass,
                Mode::Reuseport => Dispatch::Reuseport,
                Mode::Shared => Dispatch::Shared,
            })
            .policy(match self.policy {
                Picker::IpHash => Policy::IpHash,
                Picker::LeastConnections => Policy::LeastConnections,
                Picker::RoundRobin => Policy::RoundRobin,
                Picker::TwoChoices => Policy::TwoChoices,
            })
            .grace(Duration::from_millis(self.grace))
            .boot_timeout(Duration::from_millis(self.boot_timeout))
            .hang(Some(Duration::from_millis(self.hang)))
            .max_requests(self.max_requests)
            .max_memory(self.max_memory * 1024 * 1024)
            .max_restarts(Some(self.max_restarts));
        for address in &self.listen {
            cluster = cluster.listen(address);
        }
        if let Some(limit) = self.max_lifetime {
            cluster = cluster.max_lifetime(Duration::from_millis(limit));
        }
        if let Some(soak) = self.soak {
            cluster = cluster.soak(Duration::from_millis(soak));
        }
        if let Some(window) = self.restart_window {
            cluster = cluster.restart_window(Duration::from_millis(window));
        }
        cluster
    }
}
