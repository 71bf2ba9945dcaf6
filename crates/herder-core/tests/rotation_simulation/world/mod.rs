//! One adversarial world around a rotation.
//!
//! The world knows the truth: which sockets listen, who waits where, which workers live and accept.
//! The rotation is told late; whatever it asks for is held against the truth. One seed decides
//! everything.

mod audit;
mod kernel;
#[path = "../../simulation/world/rng.rs"]
mod rng;
mod run;
mod steps;
#[path = "../../simulation/world/trace.rs"]
pub(crate) mod trace;
#[path = "../../simulation/world/violation.rs"]
mod violation;

pub(crate) use run::{Tally, run, seeds};
