//! The job of the cluster: one write to a resource outside, which checks the token.
//!
//! It says `begin TICK TOKEN ATTEMPT PID`, waits for `go`, and writes by `write TICK TOKEN ATTEMPT PID`;
//! whatever the answer is, the tick is dealt with.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use herder::WorkerHandle;
use herder::jobs::Run;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Who was cut off offers itself again after this.
const AGAIN: Duration = Duration::from_millis(20);

/// Runs the job, as long as the worker lives.
pub(crate) async fn run(worker: WorkerHandle, resource: SocketAddr) {
    let jobs = worker.jobs();
    loop {
        let _cut_off = jobs.run("effect", |run| write(run, resource)).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn write(run: Run, resource: SocketAddr) -> io::Result<()> {
    let token = run.token().unwrap_or_default();
    let (tick, attempt, pid) = (run.tick_millis(), run.attempt(), std::process::id());
    let mut resource = BufReader::new(TcpStream::connect(resource).await?);
    for word in ["begin", "write"] {
        let line = format!("{word} {tick} {token} {attempt} {pid}\n");
        resource.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        if resource.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
