//! The words of a gateway's configuration.

/// How the clients of a listener talk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Protocol {
    /// HTTP, upgraded to a WebSocket.
    WebSocket = 1,
    /// Lines of UTF-8 that end with a line feed.
    Lines = 2,
}

impl Protocol {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Protocol::WebSocket),
            2 => Some(Protocol::Lines),
            _ => None,
        }
    }
}

/// What becomes of a job whose worker died having started it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Retry {
    /// Its client is told; nobody does it again.
    #[default]
    Never = 0,
    /// Another worker does it again: doing it twice does no harm.
    Idempotent = 1,
}

impl Retry {
    pub(super) fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Retry::Never),
            1 => Some(Retry::Idempotent),
            _ => None,
        }
    }
}

/// Which worker gets the next job.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Policy {
    /// One after another.
    #[default]
    RoundRobin = 0,
    /// The one with the fewest unfinished jobs.
    LeastConnections = 1,
}

impl Policy {
    pub(super) fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Policy::RoundRobin),
            1 => Some(Policy::LeastConnections),
            _ => None,
        }
    }
}

/// Whether the master is told of each job that goes out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Reports {
    /// It is not.
    #[default]
    Never = 0,
    /// By [`ToMaster::Dispatched`](crate::control::ToMaster::Dispatched).
    EachJob = 1,
}

impl Reports {
    pub(super) fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Reports::Never),
            1 => Some(Reports::EachJob),
            _ => None,
        }
    }
}

/// Whose pages may talk to the gateway. A request without an `Origin` header is always let in: it
/// does not come from a page.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Origins {
    /// Everybody's.
    Any,
    /// Those whose `Origin` names the request's `Host`.
    #[default]
    Same,
    /// Those whose `Origin` is one of these, such as `https://example.org`; at most
    /// [`MAX_ORIGINS`](super::MAX_ORIGINS).
    Listed(Vec<String>),
}
