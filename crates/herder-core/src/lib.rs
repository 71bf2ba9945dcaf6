//! The decisions of herder, without I/O.
//!
//! Four state machines decide everything: the [`Supervisor`](supervisor::Supervisor) says which
//! workers live, the [`Dispatcher`](dispatch::Dispatcher) says who gets a connection, the
//! [`JobDispatcher`](jobs::JobDispatcher) says who gets a client's message, and the
//! [`Scheduler`](schedule::Scheduler) says when a job of the app's own runs, and where. All have the
//! same face:
//!
//! * `handle(event, now)` is the only way in,
//! * `poll_action()` is drained after every `handle`,
//! * `poll_timeout()` names the one moment at which the core wants to be called again
//!   (with a `Timer` event).
//!
//! The [`Balancer`](proxy::Balancer), which says who gets a request, is asked so often that it has a
//! method for each question and each piece of news; else it keeps the same contract.
//!
//! The contract, checked by the simulator in `tests/`:
//!
//! 1. The same events with the same seed give the same actions.
//! 2. `now` never goes back. It may stand still or leap.
//! 3. Identity is (slot, incarnation). News about a dead incarnation changes nothing.
//! 4. Actions are requests: the world answers with an event, and nothing is assumed in between.
#![forbid(unsafe_code)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod dispatch;
mod exit;
mod id;
pub mod jobs;
pub mod mutation;
pub mod proxy;
mod random;
pub mod rotation;
pub mod schedule;
pub mod spec;
pub mod supervisor;
mod time;

pub use exit::Exit;
pub use id::{ClientId, ConnId, Generation, Incarnation, JobId, Origin, Slot, WorkerId};
pub use time::Tick;
