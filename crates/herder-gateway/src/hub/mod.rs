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

pub(crate) use herder_core::ClientId;
pub(crate) use herder_wire::gateway::Protocol;
pub(crate) use herder_wire::link::Kind;
