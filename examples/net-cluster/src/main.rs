//! Node's classic cluster program, in Rust.
//!
//! The master forks one worker per CPU and restarts every one that exits. A worker answers each
//! connection after 10 ms with its pid, and closes.

mod args;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use herder::{AsyncConnection, AsyncWorker, Cluster, ClusterError, Exit, WorkerInfo};
use tokio::io::AsyncWriteExt;

use args::Args;

/// How long a worker thinks about a connection.
const THINK: Duration = Duration::from_millis(10);

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    let args = Args::parse();
    let mut cluster = Cluster::new()
        .name("net-cluster")
        .listen(args.listen)
        .dispatch(args.policy.dispatch())
        .max_restarts(None)
        .on_online(created)
        .on_exit(died);
    if let Some(workers) = args.workers {
        cluster = cluster.workers(workers);
    }
    cluster.run_async(serve)
}

async fn serve(worker: AsyncWorker) -> std::io::Result<()> {
    let listener = worker.listener();
    while let Some(connection) = listener.accept().await? {
        tokio::spawn(answer(connection, worker.pid()));
    }
    Ok(())
}

async fn answer(mut connection: AsyncConnection, pid: u32) {
    tokio::time::sleep(THINK).await;
    let text = format!("Request handled by worker-{pid}");
    // A client that has gone needs no answer. Its own side is shut down first, so that the text is
    // not lost when the client had sent something that nobody reads.
    if connection.write_all(text.as_bytes()).await.is_ok() {
        let _gone = connection.shutdown().await;
    }
}

#[expect(clippy::print_stdout, reason = "the example's own log")]
fn created(worker: &WorkerInfo) {
    println!("Create worker-{}", worker.pid);
}

#[expect(clippy::print_stdout, reason = "the example's own log")]
fn died(worker: &WorkerInfo, exit: &Exit) {
    let code = exit
        .code()
        .map_or("null".to_owned(), |code| code.to_string());
    let signal = herder::signal_name(exit).unwrap_or("null");
    println!(
        "[Master] worker {} died with code:{code}, and{signal}",
        worker.pid
    );
}
