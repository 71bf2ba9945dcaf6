//! Jobs of the app's own at their times (feature `services`).
//!
//! | module | what it holds |
//! |---|---|
//! | `schedule` | when a job is due, and how it is run |
//! | `client` | the herd's jobs, as a worker sees them |
//! | `serve` | running them |
//! | `error` | what can go wrong |

mod client;
mod error;
mod schedule;
mod serve;

pub use client::Jobs;
pub use error::JobsError;
pub use herder_core::schedule::{Misfire, Overlap, Target};
pub use herder_services::jobs::{JobDefinition, Start};
pub use herder_services::library::{HistoryEntry, JobView};
pub use schedule::Schedule;
pub use serve::Run;
