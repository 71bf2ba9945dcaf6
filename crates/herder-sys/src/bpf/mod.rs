//! A program in the kernel that decides which of several listening sockets gets a connection.
//!
//! It is attached to a `SO_REUSEPORT` group of TCP listeners. Each new connection takes the next
//! turn of a list that user space writes, and each turn names the place of a socket. There is no
//! user space on the way of a connection, so this costs nothing, and it is exact.

mod assembler;
mod call;
mod error;
mod probe;
mod program;
mod steering;

pub use error::{BpfError, Refusal};
pub use probe::probe;
pub use steering::{Counts, MAX_SOCKETS, MAX_TURNS, Part, Steering, Turns};
