//! The herd that the benchmark measures: native workers that read, answer and close, or send messages back.
//!
//! `bench-worker WORKERS pass|shared|messages`. Its log says where it listens.

#![forbid(unsafe_code)]

use herder::{Cluster, Connection, Dispatch, JobWorker, Worker};
use herder_bench::answer;
use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    herder::init();
    let mut arguments = env::args().skip(1);
    let workers = arguments.next().ok_or("how many workers?")?.parse()?;
    let cluster = Cluster::new().name("bench").workers(workers);
    let dispatch = match arguments.next().as_deref() {
        Some("messages") => return Ok(cluster.messages("127.0.0.1:0").run_jobs(send_back)?),
        Some("pass") => Dispatch::Pass,
        Some("shared") => Dispatch::Shared,
        _ => return Err("pass, shared or messages?".into()),
    };
    Ok(cluster
        .listen("127.0.0.1:0")
        .dispatch(dispatch)
        .run(serve)?)
}

fn serve(worker: Worker) -> io::Result<()> {
    let answer = answer::own();
    while let Some(connection) = worker.accept()? {
        // A client that has gone is no reason to end.
        let _gone = reply(connection, &answer);
    }
    Ok(())
}

/// The request is mostly there already, and the clients send it in one piece.
fn reply(mut connection: Connection, answer: &[u8]) -> io::Result<()> {
    let mut request = [0; 1024];
    let length = connection.read(&mut request)?;
    if answer::is_whole_request(&request[..length]) {
        connection.write_all(answer)?;
    }
    Ok(())
}

fn send_back(worker: JobWorker) -> io::Result<()> {
    while let Some(job) = worker.next_job()? {
        let text = job.text().unwrap_or_default().to_owned();
        // A client that has gone is no reason to end.
        let _gone = job.finish_with(text);
    }
    Ok(())
}
