//! Which workers live: see `LIFECYCLE.md` beside this file for the whole table.
//!
//! [`Supervisor`] is told an [`Event`] and asks for [`Action`]s. An incarnation is in one
//! [`Phase`]; a slot's [`Seat`] says which incarnation holds it, or why nobody does.

mod completion;
mod deploy;
mod farewell;
mod heir;
mod invariants;
mod jitter;
mod ladder;
mod message;
mod news;
mod orders;
mod phase;
mod recycle;
mod reload;
mod respec;
mod restart;
mod rollback;
mod seat;
mod state;
mod succession;
mod timers;

pub use deploy::Rollout;
pub use message::{
    Action, Cause, DrainReason, Event, Failure, FailureKind, Notice, Outcome, RecycleReason,
};
pub use phase::{Phase, Standing, Tenure};
pub use recycle::{Due, Limits};
pub use seat::{Completion, Counters, Seat, Start};
pub use state::Supervisor;
