//! Who gets a connection, in `pass` mode.

mod message;

pub use message::{Action, Batch, CloseReason, Event, MAX_BATCH, ProbeState};
