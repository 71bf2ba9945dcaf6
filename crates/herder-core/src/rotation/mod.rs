//! Whose turn it is, in the modes in which each worker accepts from a socket of its own: see
//! [`Rotation`].

mod invariants;
mod message;
mod news;
mod pace;
mod rotation;
mod settle;
mod spec;
mod turns;
mod watch;
mod worker;

pub use message::{Action, Event, Load, Relief, Sample, SocketId, Weight};
pub use rotation::{Rotation, Survivor};
pub use spec::{Balance, RotationSpec, Steering};
pub use turns::MAX_TURNS;
