//! A WebSocket calculator: each message of a connection goes to the next worker.
//!
//! A worker serves two messages, then it is replaced; no client's connection notices. What clients
//! send is evaluated as JavaScript.

mod args;
mod engine;
mod evaluation;
mod log;
mod robot;
mod talk;

use std::process::ExitCode;

use clap::Parser;
use herder::{Cluster, ClusterError};

use args::{Args, Command, Serve};
use robot::Manner;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    match args.command {
        Some(Command::Talk(talk)) => Ok(talk::run(&talk)),
        None => serve(args.serve),
    }
}

fn serve(args: Serve) -> Result<ExitCode, ClusterError> {
    if !herder::is_worker() {
        args.require_page();
    }
    let manner = Manner {
        think: args.think,
        limit: args.eval_limit,
    };
    let mut cluster = Cluster::new()
        .name("calculator")
        .workers(args.workers.into())
        .max_jobs(args.max_jobs)
        .max_message(MAX_MESSAGE)
        // Whoever opens a WebSocket test page is welcome.
        .any_origin()
        .page(args.page)
        .feed("/robots")
        // What clients send is what ends workers; that is no reason to serve them later.
        .max_restarts(None);
    for address in args.listen {
        cluster = cluster.messages(address);
    }
    let outcome = log::attach(cluster).run_jobs_async(move |worker| robot::work(worker, manner));
    if let Err(ClusterError::Setting {
        method: "messages",
        problem,
    }) = &outcome
    {
        args::refuse(&format!(
            "invalid value for '--listen <ADDRESS>': {problem}"
        ));
    }
    outcome
}
