//! Everything that a gateway is told about how to work.

use super::settings::{Origins, Policy, Protocol, Reports, Retry};
use super::{MAX_ORIGINS, MAX_TEXT};
use crate::link::MAX_MESSAGE;
use crate::plan::MAX_DESCRIPTORS;

/// How a gateway works. All times are in milliseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GatewayConfig {
    /// How the clients of each listener talk, in the order of the launch plan's listeners.
    pub protocols: Vec<Protocol>,
    /// How often to say [`Beat`](crate::control::ToMaster::Beat); `None` for never.
    pub beat_millis: Option<u32>,
    /// Which worker gets the next job.
    pub policy: Policy,
    /// Jobs of a worker's whole life; `None` for any number.
    pub max_jobs: Option<u32>,
    /// What becomes of a job whose worker died having started it.
    pub retry: Retry,
    /// Whether the master is told of each job.
    pub reports: Reports,
    /// Unfinished jobs of one client, at most.
    pub client_window: u32,
    /// Jobs at one worker that it has not started, at most.
    pub worker_window: u32,
    /// Unfinished jobs at one worker, at most.
    pub worker_jobs: u32,
    /// Jobs that wait for a worker, at most, in all.
    pub pending: u32,
    /// The longest message of a client, in bytes, at most [`MAX_MESSAGE`].
    pub max_message: u32,
    /// Clients at one time, at most.
    pub max_clients: u32,
    /// How long a client may take until it has asked for its WebSocket.
    pub handshake_timeout_millis: u32,
    /// How long the close of a client waits for its unfinished jobs.
    pub close_timeout_millis: u32,
    /// How long a job waits for a worker that is being started.
    pub starting_wait_millis: u32,
    /// How long a worker may leave a job unstarted while another one has room.
    pub steal_after_millis: u32,
    /// How long a job waits for any worker.
    pub pending_timeout_millis: u32,
    /// After how much silence a client is pinged, and how long it then has for the answer; `None`
    /// never pings.
    pub keep_alive_millis: Option<u32>,
    /// Whose pages may talk to the gateway.
    pub origins: Origins,
    /// Path of the live feed, such as `/robots`; `None` for no feed.
    pub feed: Option<String>,
    /// What a client is told of a job that was lost, in place of the built-in sentence.
    pub lost_reply: Option<String>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            protocols: Vec::new(),
            beat_millis: None,
            policy: Policy::default(),
            max_jobs: None,
            retry: Retry::default(),
            reports: Reports::default(),
            client_window: 32,
            worker_window: 8,
            worker_jobs: 1024,
            pending: 4096,
            max_message: 1024 * 1024,
            max_clients: 10_000,
            handshake_timeout_millis: 10_000,
            close_timeout_millis: 5000,
            starting_wait_millis: 250,
            steal_after_millis: 50,
            pending_timeout_millis: 10_000,
            keep_alive_millis: Some(30_000),
            origins: Origins::default(),
            feed: None,
            lost_reply: None,
        }
    }
}

/// A setting has a value that no gateway can work with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("setting `{name}` of the gateway is out of range")]
pub struct BadSetting {
    /// Name of the field.
    pub name: &'static str,
}

impl GatewayConfig {
    /// Checks what both sides rely on. A configuration that fails this is neither encoded nor
    /// decoded.
    ///
    /// # Errors
    ///
    /// [`BadSetting`] for a count or an interval of zero, a message longer than [`MAX_MESSAGE`],
    /// too many listeners or origins, a text that is empty or longer than [`MAX_TEXT`], and a feed
    /// that does not begin with `/`.
    pub fn check(&self) -> Result<(), BadSetting> {
        let message = 1..=MAX_MESSAGE;
        let good = [
            ("protocols", self.protocols.len() <= MAX_DESCRIPTORS),
            ("beat_millis", self.beat_millis != Some(0)),
            ("max_jobs", self.max_jobs != Some(0)),
            ("client_window", self.client_window > 0),
            ("worker_window", self.worker_window > 0),
            ("worker_jobs", self.worker_jobs > 0),
            ("pending", self.pending > 0),
            (
                "max_message",
                message.contains(&(self.max_message as usize)),
            ),
            ("max_clients", self.max_clients > 0),
            (
                "handshake_timeout_millis",
                self.handshake_timeout_millis > 0,
            ),
            ("pending_timeout_millis", self.pending_timeout_millis > 0),
            ("keep_alive_millis", self.keep_alive_millis != Some(0)),
            ("origins", self.has_good_origins()),
            ("feed", self.has_good_feed()),
            (
                "lost_reply",
                self.lost_reply.as_deref().is_none_or(is_good_text),
            ),
        ];
        match good.into_iter().find(|(_, good)| !good) {
            Some((name, _)) => Err(BadSetting { name }),
            None => Ok(()),
        }
    }

    fn has_good_origins(&self) -> bool {
        match &self.origins {
            Origins::Any | Origins::Same => true,
            Origins::Listed(origins) => {
                origins.len() <= MAX_ORIGINS && origins.iter().all(|origin| is_good_text(origin))
            }
        }
    }

    fn has_good_feed(&self) -> bool {
        let is_good = |path: &str| path.starts_with('/') && is_good_text(path);
        self.feed.as_deref().is_none_or(is_good)
    }
}

fn is_good_text(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len())
}
