//! A clustered, self-healing server in ten lines: `cargo run -p herder --example ten-lines`, then
//! `curl http://127.0.0.1:8080`.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use herder::{Cluster, ClusterError, Connection, Worker};

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    Cluster::new().listen("127.0.0.1:8080").run(serve)
}

fn serve(worker: Worker) -> io::Result<()> {
    while let Some(connection) = worker.accept()? {
        // A client that has gone is no reason to end.
        let _gone = answer(connection, worker.slot());
    }
    Ok(())
}

fn answer(mut connection: Connection, slot: u16) -> io::Result<()> {
    let _request = connection.read(&mut [0; 4096])?;
    write!(
        connection,
        "HTTP/1.0 200 OK\r\n\r\nhello from worker {slot}\n"
    )
}
