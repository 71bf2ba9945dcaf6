//! One adversarial world around a supervisor and a dispatcher.
//!
//! The world knows the truth: which processes live, where each connection is. The two machines are
//! told late and out of order; after each step what they ask for and believe is held against the
//! truth. One seed decides everything.

mod audit;
mod calm;
mod completions;
mod deciders;
mod deploys;
mod dispatch_thread;
mod ends;
mod ledger;
mod mail;
mod main_thread;
mod notices;
mod plan;
mod process;
mod releases;
mod restarts;
mod run;
mod seen;
mod steps;

use crate::frame::{rng, trace, violation};
pub(crate) use ends::Ends;
pub(crate) use plan::{Budget, Dealing, Lives, Releases};
pub(crate) use run::{Climate, Tally, run};
