//! Who gets a connection, in `pass` mode: see [`Dispatcher`].

mod dispatcher;
mod message;
mod news;
mod pending;
mod picker;
mod settle;
mod worker;

pub use dispatcher::Dispatcher;
pub use message::{Action, Batch, CloseReason, Event, MAX_BATCH, ProbeState};
