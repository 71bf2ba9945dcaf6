//! What the tests can tell it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use herder::Cluster;
use herder::jobs::{Misfire, Overlap, Schedule, Target};
use herder::state::Backend;

/// One of several machines that share a store.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Args {
    #[arg(long, default_value = "test-machine")]
    name: String,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// The Redis or Valkey.
    #[arg(long)]
    store: String,
    /// How long the right to a tick stands, in milliseconds.
    #[arg(long, default_value_t = 30_000)]
    claim: u64,
    /// How often the job of the cluster is due, in milliseconds.
    #[arg(long)]
    every: Option<u64>,
    /// What the job of the cluster writes to.
    #[arg(long)]
    pub(crate) resource: Option<SocketAddr>,
    /// Milliseconds.
    #[arg(long, default_value_t = 1000)]
    grace: u64,
}

impl Args {
    pub(crate) fn cluster(&self) -> Cluster {
        let cluster = Cluster::new()
            .name(&self.name)
            .listen(&self.listen)
            .workers(self.workers)
            .grace(Duration::from_millis(self.grace))
            // Tests kill it more often than chance would.
            .max_restarts(None)
            .state("shared", Backend::Store)
            .store(&self.store)
            .claim(Duration::from_millis(self.claim));
        match self.every {
            Some(millis) => cluster.job("effect", effect(millis)),
            None => cluster,
        }
    }
}

/// Every tick counts, however late it is and however often whoever carries it out is killed.
fn effect(millis: u64) -> Schedule {
    Schedule::new(format!("every {millis}ms"))
        .target(Target::Cluster)
        .overlap(Overlap::Allow)
        .misfire(Misfire::All(1000))
        .timeout(Duration::from_secs(30))
        .retries(20)
}
