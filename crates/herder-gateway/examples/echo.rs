//! An echo at the gateway's edge, without workers: `echo PORT`, where 0 is any free port. The first
//! line that it prints is the port.

use std::io::{self, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1);
    let port = port.and_then(|port| port.parse().ok()).ok_or_else(|| {
        let usage = "usage: echo PORT";
        io::Error::new(io::ErrorKind::InvalidInput, usage)
    })?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?.port())?;
    stdout.flush()?;
    herder_gateway::serve_echo(listener)
}
