//! Which part this process plays.
//!
//! A child learns its role from `HERDER_ROLE` (`worker@web`) *and* from the launch plan on its
//! standard input. The variable alone means nothing: a program that inherits it by accident has no
//! plan on its stdin and is an entry process like any other.

mod assume;
mod error;
mod launcher;
mod plan;
mod seat;

pub use assume::{Assumed, assume};
pub use error::RoleError;
pub use seat::{GatewaySeat, LibrarySeat, MasterSeat, WorkerSeat};

pub(crate) use assume::{ROLE_VARIABLE, role_value};
pub(crate) use seat::{Charge, Post, Probe};
