//! The half that gives jobs to workers, and the seam to the other half.
//!
//! | module | what it is |
//! |---|---|
//! | [`seat`] | one client at the hub: what the edge holds ([`Seat`]), what the hub holds ([`Place`]) |
//! | [`desk`] | what the edge asks of the hub ([`Hub`], a handle to a [`Desk`]) |
//! | [`feed`] | the states of the workers, for whoever watches |
//! | `loopback` | a desk that echoes, for tests of the edge |

pub(crate) mod desk;
pub(crate) mod feed;
#[cfg(any(test, feature = "loopback"))]
pub(crate) mod loopback;
pub(crate) mod seat;

pub(crate) use desk::{Desk, Hub};
pub(crate) use feed::{Board, WorkerState, WorkerView, Workers};
pub(crate) use seat::{CloseReason, Message, Outgoing, Place, Seat};

// PROVISIONAL: these come from herder-core (`ClientId`) and herder-wire (`link::Kind`,
// `gateway::Protocol`) as soon as they are there; use them from here only.

/// One connection of a client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ClientId(pub(crate) u64);

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// Anything.
    Bytes,
}

/// What clients of a listener speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// RFC 6455, with pages over HTTP on the same port.
    WebSocket,
    /// One message per line.
    Lines,
}
