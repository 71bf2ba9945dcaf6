//! A clustered, self-healing server in ten lines: `cargo run -p herder --example ten-lines`, then
//! `curl http://127.0.0.1:8080`.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use herder::{Cluster, ClusterError, Worker};

fn main() -> Result<ExitCode, ClusterError> {
    herder::init();
    Cluster::new().listen("127.0.0.1:8080").run(serve)
}

fn serve(worker: Worker) -> io::Result<()> {
    while let Some(mut connection) = worker.accept()? {
        let _request = connection.read(&mut [0; 4096])?;
        let body = format!("hello from worker {}\n", worker.slot());
        write!(
            connection,
            "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}
