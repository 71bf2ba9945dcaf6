//! What the edge is told once.

use std::time::Duration;

use herder_wire::gateway::{GatewayConfig, Origins};

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
    /// A WebSocket client is pinged after so much silence, and gone after as much again; so is any
    /// client that takes nothing of the much that waits for it.
    pub(crate) keep_alive: Option<Duration>,
    /// Whose pages may connect.
    pub(crate) origins: Origins,
    /// Path of the live feed of the workers' states.
    pub(crate) feed: Option<String>,
}

impl From<&GatewayConfig> for Settings {
    fn from(config: &GatewayConfig) -> Settings {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let millis = |number: u32| Duration::from_millis(number.into());
        Settings {
            max_message: count(config.max_message),
            max_clients: count(config.max_clients),
            handshake_timeout: millis(config.handshake_timeout_millis),
            close_timeout: millis(config.close_timeout_millis),
            keep_alive: config.keep_alive_millis.map(millis),
            origins: config.origins.clone(),
            feed: config.feed.clone(),
        }
    }
}
