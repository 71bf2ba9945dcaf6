//! What can be said about one call, one stream, and an agent.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// What can be said about one call; the default leaves everything to the method.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// How long the caller waits; else the method's deadline, else the agent's.
    pub deadline: Option<Duration>,
    /// An idempotency key, at most 64 KiB: a method that remembers keys runs once for each.
    pub key: Option<Bytes>,
}

impl CallOptions {
    /// The options with this deadline.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// The options with this idempotency key.
    #[must_use]
    pub fn key(self, key: impl Into<Bytes>) -> Self {
        Self {
            key: Some(key.into()),
            ..self
        }
    }
}

/// What can be said about one stream.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// How many items may be on the way or waiting to be taken; at least 1.
    pub credits: u32,
    /// How long the library may take to open the stream; else the method's deadline, else the
    /// agent's.
    pub deadline: Option<Duration>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            credits: 256,
            deadline: None,
        }
    }
}

impl StreamOptions {
    /// The options with this many credits.
    #[must_use]
    pub fn credits(self, credits: u32) -> Self {
        Self { credits, ..self }
    }

    /// The options with this deadline for the opening.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }
}

/// The moment at which this time is over. No time is longer than a call can carry, 49 days: whoever
/// gives [`Duration::MAX`] means that there is no end.
pub(super) fn moment(begin: Instant, time: Duration) -> Instant {
    begin + time.min(Duration::from_millis(u64::from(u32::MAX)))
}

/// How an agent behaves; the defaults are right for a worker.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// How long a call waits for its answer when neither it nor its method says.
    pub deadline: Duration,
    /// How long a call waits for a library that was there and is being restarted.
    pub reconnect_wait: Duration,
    /// How long [`Agent::ready`](super::Agent::ready) waits for a library that was never there.
    pub init: Duration,
    /// How long a new connection may take to be welcomed. A connection to a library that is
    /// stopped or being restarted waits in the queue of its socket, so patience costs nothing.
    pub handshake: Duration,
    /// The first and the last delay between connections that fail.
    pub backoff: (Duration, Duration),
    /// How many calls may wait for a place in the window or for the library; the next fail at
    /// once, so that a stalled library does not fill the memory of its callers.
    pub waiting: usize,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            reconnect_wait: Duration::from_secs(1),
            init: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            backoff: (Duration::from_millis(5), Duration::from_millis(500)),
            waiting: 768,
        }
    }
}
