//! Who gets a connection, in `pass` mode: see [`Dispatcher`]. What two dispatchers of one herd say together: see
//! [`Accord`].

mod accord;
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

pub use accord::{Accord, Engine};
pub use dispatcher::Dispatcher;
pub use message::{Action, Batch, CloseReason, Event, MAX_BATCH, ProbeState};
