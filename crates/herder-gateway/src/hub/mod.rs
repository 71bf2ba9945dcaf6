//! The half that gives jobs to workers, and the seam to the other half.
//!
//! | module | what it is |
//! |---|---|
//! | [`seat`] | one client at the hub: what the edge holds ([`Seat`]), what the hub holds ([`Place`]) |
//! | [`desk`] | what the edge asks of the hub ([`Hub`], a handle to a [`Desk`]) |
//! | [`feed`] | the states of the workers, for whoever watches |
//! | [`shell`] | the desk with workers behind it: what happens to a job |
//! | [`job`], [`worker`] | one message and its client; one worker |
//! | [`link`], [`inlet`] | the socket pair to a worker, and what a worker says on it |
//! | [`sentences`] | what a client is told of a message that failed |
//! | `loopback` | a desk that echoes, for tests of the edge |

pub(crate) mod desk;
pub(crate) mod feed;
mod inlet;
mod job;
mod link;
#[cfg(any(test, feature = "loopback"))]
pub(crate) mod loopback;
pub(crate) mod seat;
mod sentences;
pub(crate) mod shell;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use desk::{Desk, Hub};
pub(crate) use feed::{Board, WorkerState, WorkerView, Workers};
pub(crate) use seat::{CloseReason, Message, Outgoing, Place, Seat};

pub(crate) use herder_core::ClientId;
pub(crate) use herder_wire::gateway::Protocol;
pub(crate) use herder_wire::link::Kind;
