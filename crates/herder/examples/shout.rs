//! Messages as jobs: each message of a client goes to the next worker, and comes back in capitals.
//!
//! `cargo run -p herder --example shout --features message`, then connect a WebSocket client to
//! `ws://127.0.0.1:8080/`, or `nc 127.0.0.1 8081` for lines. `panic` costs a worker, not the
//! connection.

use std::process::ExitCode;
use std::time::Duration;

use herder::{AsyncJob, AsyncJobWorker, Cluster, ClusterError, ReplyError};

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let mut arguments = std::env::args().skip(1);
    let mut address = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    Cluster::new()
        .messages(address("127.0.0.1:8080"))
        .lines(address("127.0.0.1:8081"))
        .workers(2)
        .max_jobs(100)
        .run_jobs_async(work)
}

async fn work(worker: AsyncJobWorker) -> std::io::Result<()> {
    let id = worker.id();
    while let Some(job) = worker.next_job().await? {
        // A client that has gone is no reason to end.
        tokio::spawn(shout(job, id));
    }
    Ok(())
}

async fn shout(job: AsyncJob, worker: u64) -> Result<(), ReplyError> {
    let Some(text) = job.text() else {
        job.fail("bytes cannot be shouted");
        return Ok(());
    };
    assert_ne!(text, "panic", "as asked");
    job.reply(format!("worker {worker} takes a deep breath"))
        .await?;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
        () = job.cancelled() => return Err(ReplyError::Gone),
    }
    let loud = text.to_uppercase();
    job.finish_with(loud).await
}
