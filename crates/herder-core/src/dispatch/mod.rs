//! Who gets a connection, in `pass` mode: see [`Dispatcher`].

mod assign;
mod dispatcher;
mod invariants;
mod message;
mod news;
mod pending;
mod picker;
mod settle;
mod verdict;
mod worker;

pub use dispatcher::Dispatcher;
pub use message::{Action, Batch, CloseReason, Event, MAX_BATCH, ProbeState};
