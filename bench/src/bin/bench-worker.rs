//! The herd that the benchmark measures: native workers that read, answer and close.
//!
//! `bench-worker WORKERS pass|shared`. Prints `listening ADDRESS` as the bare loops do.

#![forbid(unsafe_code)]

use herder::{Cluster, Connection, Dispatch, HerdEvent, Worker};
use herder_bench::answer;
use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    herder::init();
    let mut arguments = env::args().skip(1);
    let workers = arguments.next().ok_or("how many workers?")?.parse()?;
    let dispatch = match arguments.next().as_deref() {
        Some("pass") => Dispatch::Pass,
        Some("shared") => Dispatch::Shared,
        _ => return Err("pass or shared?".into()),
    };
    let cluster = Cluster::new().name("bench").listen("127.0.0.1:0");
    Ok(cluster
        .workers(workers)
        .dispatch(dispatch)
        .on_event(announce)
        .run(serve)?)
}

fn announce(event: &HerdEvent) {
    if let HerdEvent::Listening { address } = event {
        // Without a reader there is no benchmark either.
        let _gone = writeln!(io::stdout().lock(), "listening {address}");
    }
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
