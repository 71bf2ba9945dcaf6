//! One adversarial world around a job dispatcher.
//!
//! The world knows the truth: which processes live, where each job is. The dispatcher is told late;
//! after each step what it asks for and believes is held against the truth. One seed decides
//! everything.

mod audit;
mod calm;
mod ledger;
mod master;
mod plan;
mod process;
mod run;
mod seat;
mod shell;
mod steps;

use crate::frame::{rng, trace, violation};
pub(crate) use run::run;
