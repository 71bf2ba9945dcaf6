//! One adversarial world around a rotation.
//!
//! The world knows the truth: which sockets listen, who waits where, which workers live and accept.
//! The rotation is told late; whatever it asks for is held against the truth. One seed decides
//! everything.

mod audit;
mod kernel;
mod run;
mod steps;

use crate::frame::{rng, trace, violation};
pub(crate) use run::run;
