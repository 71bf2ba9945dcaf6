//! Which workers live: see `LIFECYCLE.md` beside this file for the whole table.

mod message;

pub use message::{Action, Cause, DrainReason, Event, Notice, Outcome, RecycleReason};
