//! How fast lines come into log files, beside PM2 and `cat`.
//!
//! A program prints lines of 100 bytes as fast as it can. What counts is how much of it stands in the file
//! after a while, what the process in between (herder's master, PM2's daemon, `cat`) needed for it, and how
//! much memory it had at most. Nothing is rotated: PM2 cannot.
//!
//! - [`Rival`]: who takes part, and how each is started;
//! - [`LogContest`]: all of them, interleaved;
//! - [`report`]: the table.

mod contest;
pub mod report;
mod rival;

pub use contest::{Haul, LogContest};
pub use rival::Rival;
