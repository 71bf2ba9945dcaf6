//! Whose turn it is, in the modes in which each worker accepts from a socket of its own: see
//! [`Rotation`].

mod invariants;
mod level;
mod message;
mod news;
mod pace;
mod settle;
mod spec;
mod state;
mod turns;
mod watch;
mod worker;

pub use message::{Action, Event, Load, Relief, Sample, SocketId, Weight};
pub use spec::{Balance, RotationSpec, Steering};
pub use state::{Rotation, Survivor};
pub use turns::MAX_TURNS;
