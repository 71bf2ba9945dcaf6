//! Every request kills its worker, and no client notices.
//!
//! A worker answers a request and then meets an exception that nobody catches. It announces its
//! end, the master starts a replacement at once, the old worker takes no new connections, finishes
//! those it has, and exits with 1.

mod args;
mod http;
mod log;

use std::process::ExitCode;

use clap::Parser;
use herder::{Cluster, ClusterError};

use args::Args;

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let mut cluster = Cluster::new()
        .name("smooth-restart")
        .listen(args.listen)
        .max_restarts(args.max_restarts)
        .restart_window(args.restart_window)
        .title_master("node-master")
        .title_worker("node-worker")
        .on_event(log::Log::default().observer());
    if let Some(workers) = args.workers {
        cluster = cluster.workers(workers);
    }
    cluster.run_async(http::serve)
}
