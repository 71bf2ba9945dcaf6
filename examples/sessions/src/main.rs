#![forbid(unsafe_code)]
//! Login sessions that all workers share.
//!
//! They outlive the workers, the library that holds them, and, in a file or in Redis, the herd.

mod args;
mod count;
mod live;
mod sessions;
mod web;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use herder::jobs::Schedule;
use herder::state::Backend;
use herder::{AsyncWorker, Cluster, ClusterError};

use args::{Args, Place};
use live::Live;
use sessions::Sessions;
use web::Desk;

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let cluster = Cluster::new().name("sessions").listen(args.listen).job(
        count::JOB,
        Schedule::new("* * * * *").timeout(Duration::from_secs(30)),
    );
    let cluster = match args.workers {
        Some(workers) => cluster.workers(workers),
        None => cluster,
    };
    // The one line that says where sessions are; nothing else knows.
    let cluster = match args.sessions {
        Place::Here(backend) => cluster.state(sessions::NAMESPACE, backend),
        Place::Redis(url) => cluster
            .store(url)
            .state(sessions::NAMESPACE, Backend::Store),
    };
    cluster.run_async(serve)
}

/// A worker: an HTTP server that holds nothing itself.
async fn serve(worker: AsyncWorker) -> Result<(), Box<dyn std::error::Error>> {
    let sessions = Sessions::new(&worker);
    let live = Live::follow(&worker.bus()).await?;
    let counting = tokio::spawn(count::run(worker.jobs(), sessions.clone()));
    let desk = Desk {
        name: format!("pid:{} worker:{}", worker.pid(), worker.id()),
        sessions,
        live,
        worker: worker.handle(),
    };
    worker.serve(web::router(desk)).await?;
    // It ends with the worker, when it has counted to the end.
    Ok(counting.await??)
}
