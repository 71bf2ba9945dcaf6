//! Work of the app's own at its times: every night at three, every ten seconds.
//!
//! What is decided is decided by [`herder_core::schedule`]; here are the calendar, the clocks, the
//! store of claims and the processes that run the jobs.

mod definition;
mod desk;
mod keeping;
mod roster;
mod timing;

pub use definition::{JobDefinition, JobError, JobState, Start};
pub use desk::Jobs;
pub use keeping::Keeping;
pub use roster::{Order, Server};
pub use timing::{Timing, TimingError};
