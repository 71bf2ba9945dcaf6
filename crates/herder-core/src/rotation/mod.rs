//! Whose turn it is, in the modes in which each worker accepts from a socket of its own: see
//! [`Rotation`].

mod message;
mod spec;

pub use message::{Action, Event, Load, Relief, Sample, SocketId, Weight};
pub use spec::{Balance, RotationSpec, Steering};
