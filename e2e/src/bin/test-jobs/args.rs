//! What the herd can be told: a flag for each setting that a test needs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use herder::{Cluster, Exit, Policy, WorkerInfo};

/// Times are in milliseconds, sizes in bytes.
#[derive(Clone, Parser)]
pub(crate) struct Args {
    /// Where WebSocket clients are let in; none with `--lines` alone.
    #[arg(long)]
    messages: Vec<String>,
    /// Where clients with lines are let in.
    #[arg(long)]
    lines: Vec<String>,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    #[arg(long, default_value = "round-robin")]
    policy: Picker,
    #[arg(long, default_value_t = 0)]
    max_jobs: u32,
    /// Between the two replies of `twice`.
    #[arg(long, default_value_t = 50)]
    think: u64,
    #[arg(long)]
    idempotent: bool,
    #[arg(long)]
    page: Option<PathBuf>,
    #[arg(long)]
    feed: Option<String>,
    #[arg(long)]
    any_origin: bool,
    #[arg(long)]
    origin: Vec<String>,
    #[arg(long)]
    max_message: Option<usize>,
    #[arg(long)]
    max_clients: Option<u32>,
    #[arg(long)]
    client_window: Option<u32>,
    /// 0 = never.
    #[arg(long)]
    keep_alive: Option<u64>,
    #[arg(long)]
    handshake_timeout: Option<u64>,
    #[arg(long)]
    lost_reply: Option<String>,
    #[arg(long, default_value_t = 5000)]
    grace: u64,
    #[arg(long, default_value_t = 10_000)]
    hang: u64,
    #[arg(long)]
    max_lifetime: Option<u64>,
    #[arg(long, default_value_t = 0)]
    max_restarts: u32,
    #[arg(long, default_value_t = 10_000)]
    soak: u64,
    /// The workers take one job after the other, in their main thread.
    #[arg(long)]
    blocking: bool,
    /// Every message is answered with itself.
    #[arg(long)]
    pub(crate) echo: bool,
}

/// How the workers wait.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Async,
    Blocking,
}

#[derive(Clone, Copy, ValueEnum)]
enum Picker {
    LeastConnections,
    RoundRobin,
}

impl Args {
    pub(crate) fn kind(&self) -> Kind {
        if self.blocking {
            Kind::Blocking
        } else {
            Kind::Async
        }
    }

    pub(crate) fn think(&self) -> Duration {
        Duration::from_millis(self.think)
    }

    pub(crate) fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new()
            .name("test-jobs")
            .workers(self.workers)
            .policy(match self.policy {
                Picker::LeastConnections => Policy::LeastConnections,
                Picker::RoundRobin => Policy::RoundRobin,
            })
            .max_jobs(self.max_jobs)
            .grace(Duration::from_millis(self.grace))
            .hang(Some(Duration::from_millis(self.hang)))
            .max_restarts(Some(self.max_restarts))
            .soak(Duration::from_millis(self.soak));
        if let Some(limit) = self.max_lifetime {
            cluster = cluster.max_lifetime(Duration::from_millis(limit));
        }
        announced(self.limits(self.doors(cluster)))
    }

    fn doors(&self, mut cluster: Cluster) -> Cluster {
        if self.messages.is_empty() && self.lines.is_empty() {
            cluster = cluster.messages("127.0.0.1:0");
        }
        for address in &self.messages {
            cluster = cluster.messages(address);
        }
        for address in &self.lines {
            cluster = cluster.lines(address);
        }
        if let Some(directory) = &self.page {
            cluster = cluster.page(directory);
        }
        if let Some(path) = &self.feed {
            cluster = cluster.feed(path);
        }
        if self.any_origin {
            cluster = cluster.any_origin();
        }
        if !self.origin.is_empty() {
            cluster = cluster.origins(&self.origin);
        }
        cluster
    }

    fn limits(&self, mut cluster: Cluster) -> Cluster {
        if self.idempotent {
            cluster = cluster.idempotent();
        }
        if let Some(bytes) = self.max_message {
            cluster = cluster.max_message(bytes);
        }
        if let Some(clients) = self.max_clients {
            cluster = cluster.max_clients(clients);
        }
        if let Some(jobs) = self.client_window {
            cluster = cluster.client_window(jobs);
        }
        if let Some(time) = self.keep_alive {
            cluster = cluster.keep_alive((time > 0).then(|| Duration::from_millis(time)));
        }
        if let Some(time) = self.handshake_timeout {
            cluster = cluster.handshake_timeout(Duration::from_millis(time));
        }
        if let Some(text) = &self.lost_reply {
            cluster = cluster.lost_reply(text);
        }
        cluster
    }
}

/// The log of the calculator.
fn announced(cluster: Cluster) -> Cluster {
    cluster
        .on_dispatched(|_, worker| say(&format!("Dispatch to {}", worker.id)))
        .on_exhausted(|worker| say(&format!("worker {} success!", worker.id)))
        .on_exit(|worker: &WorkerInfo, _: &Exit| say(&format!("worker {} died", worker.pid)))
}

#[expect(clippy::print_stdout, reason = "the herd's own log")]
fn say(line: &str) {
    println!("{line}");
}
