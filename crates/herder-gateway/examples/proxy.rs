//! A proxy without a master: `proxy SETTINGS ADDRESS WORKER...`, where the settings are JSON
//! (`{"app": "a", "kind": "tcp"}`). The first line that it prints is where it listens.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use herder_gateway::proxy::settings::ProxySettings;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [settings, address, workers @ ..] = &arguments[..] else {
        return Err(wrong("usage: proxy SETTINGS ADDRESS WORKER..."));
    };
    let settings: ProxySettings = serde_json::from_str(settings)?;
    let workers = workers.iter().map(|worker| worker.parse().map_err(wrong));
    let workers: Vec<SocketAddr> = workers.collect::<io::Result<_>>()?;
    let listener = TcpListener::bind(address)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    herder_gateway::serve_proxy(listener, settings, &workers)
}

fn wrong(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
