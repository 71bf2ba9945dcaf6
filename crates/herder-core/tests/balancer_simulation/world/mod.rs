//! One adversarial world around a balancer and the decisions about repetitions.
//!
//! The world knows the truth: which requests are under way where, who failed when, who has acted on
//! what. Whatever the balancer says is held against a second, naive calculation. One seed decides
//! everything.

mod audit;
mod calm;
mod history;
mod requests;
mod run;
mod steps;

use crate::frame::{rng, trace, violation};
pub(crate) use run::run;
