//! One request, for tests that look at a single answer.

use crate::client::load::Load;
use crate::client::outcome::Outcome;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a single request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The body of the answer to `GET path` on a connection of its own.
///
/// # Errors
/// What became of the request instead.
pub fn get(address: SocketAddr, path: &str) -> Result<String, Outcome> {
    body(Load::http(address, path))
}

/// What the server says to `greeting` (often empty) until it closes the connection.
///
/// # Errors
/// What became of the connection instead.
pub fn ask(address: SocketAddr, greeting: &[u8]) -> Result<String, Outcome> {
    body(Load::plain(address, greeting))
}

fn body(load: Load) -> Result<String, Outcome> {
    let ledger = load.count(1).timeout(PATIENCE).detailed().run();
    let entry = ledger
        .entries
        .into_iter()
        .next()
        .expect("one request makes one entry");
    if !entry.outcome.is_complete() {
        return Err(entry.outcome);
    }
    Ok(String::from_utf8_lossy(&entry.body.unwrap_or_default()).into_owned())
}
