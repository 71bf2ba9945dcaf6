//! What the tests can tell it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use herder::Cluster;

/// A herd with libraries for tests.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Args {
    #[arg(long, default_value = "test-library")]
    name: String,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// The libraries, in order.
    #[arg(long = "library", default_value = "core")]
    pub(crate) libraries: Vec<String>,
    /// How long the setup of a library takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) setup: u64,
    /// The setup of a library fails while this file exists.
    #[arg(long)]
    pub(crate) fails_while: Option<PathBuf>,
    /// Milliseconds.
    #[arg(long, default_value_t = 10_000)]
    hang: u64,
    /// Milliseconds.
    #[arg(long, default_value_t = 5000)]
    grace: u64,
    /// Milliseconds.
    #[arg(long, default_value_t = 60_000)]
    boot_timeout: u64,
    #[arg(long, default_value_t = 5)]
    max_restarts: u32,
    /// Milliseconds.
    #[arg(long, default_value_t = 60_000)]
    window: u64,
}

impl Args {
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new()
            .name(&self.name)
            .listen(&self.listen)
            .workers(self.workers)
            .hang(Some(Duration::from_millis(self.hang)))
            .grace(Duration::from_millis(self.grace))
            .boot_timeout(Duration::from_millis(self.boot_timeout))
            .max_restarts(Some(self.max_restarts))
            .restart_window(Duration::from_millis(self.window))
    }
}
