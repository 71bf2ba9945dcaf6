//! When a job runs, and who runs it: see [`Scheduler`].
//!
//! A job is work of the app's own: every night at three, every ten seconds. (The messages of
//! clients are jobs of [`crate::jobs`].) Two clocks are involved: *when* is a matter of the wall
//! clock, *how long* one of the monotonic clock, so that a leap of the former moves the next tick
//! but ends no run.

mod claim;
mod due;
mod message;
mod placing;
mod plan;
mod run;
mod scheduler;
mod wall;

pub use message::{Action, ClaimAnswer, Definition, Entry, Event, Fate, Outcome, Verdict};
pub use plan::{JobName, JobNameError, JobPlan, Misfire, Overlap, Target};
pub use run::{RunId, ServerId, ServerKind};
pub use scheduler::{JobView, Scheduler};
pub use wall::{Calendar, Now, Wall};
