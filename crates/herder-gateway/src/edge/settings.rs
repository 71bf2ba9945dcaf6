//! What the edge is told once.

use std::time::Duration;

/// How the edge treats its clients.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Longest message, in bytes.
    pub(crate) max_message: usize,
    /// Most connections at a time; more wait in the kernel's queue.
    pub(crate) max_clients: usize,
    /// How long a client may take for each request's head; also one that sends nothing at all.
    pub(crate) handshake_timeout: Duration,
    /// How long a client that says goodbye waits for the answers it is owed.
    pub(crate) close_timeout: Duration,
    /// A WebSocket client is pinged after so much silence, and gone after as much again.
    pub(crate) keep_alive: Option<Duration>,
    /// Whose pages may connect.
    pub(crate) origins: Origins,
    /// Path of the live feed of the workers' states.
    pub(crate) feed: Option<String>,
}

/// Whose pages may connect. Requests without an `Origin` come from no page and are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Everybody's.
    Any,
    /// Those of the host that the request names.
    Same,
    /// These, as a browser writes them: `https://example.org`.
    Listed(Vec<String>),
}
