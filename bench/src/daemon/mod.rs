//! What a daemon costs, beside PM2's: memory, commands, starts, replacements, an idle second.
//!
//! Both have a home of their own, and do the same in turns: a start of one after a start of the other, and
//! before each a start of the program with nobody around it, which is what they are measured by. The
//! memory is what the system calls resident, of all processes of the daemon (herder's are two, PM2's is
//! one); what a herd of an app has in addition is a line of its own.
//!
//! - [`Rival`]: who takes part;
//! - [`DaemonContest`]: what is measured, and when;
//! - [`report`]: the table, with the goals.

mod contest;
mod program;
pub mod report;
mod rival;

pub use contest::{DaemonContest, Record};
pub use rival::Rival;
