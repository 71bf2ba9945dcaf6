//! Herds of Node programs, and the same programs under Node's own primary.
//!
//! A scenario starts a [`Cluster`] by each [`Primary`] and compares what its workers found: what Node does is
//! not written down in a test, but seen. The workers are any program, or `actor.js`, which does what the test
//! tells it to over a connection of its own ([`Actor`]).

mod actor;
mod cluster;
mod compare;
mod event;
mod herd;
mod wire;

pub use actor::Actor;
pub use cluster::{Case, Cluster, ClusterSetup, Primary, Scheduling};
pub use compare::{compare, found, masked};
pub use event::{End, Event};
pub use herd::{end, free_address, listen_at, programs, run};
pub use wire::Wire;
