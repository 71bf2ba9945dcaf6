//! Messages of clients as jobs of workers (feature `message`).
//!
//! | module | what it holds |
//! |---|---|
//! | `gate` | one link to one gateway: what leaves by it, and which jobs came by it |
//! | `intake` | the worker's current gate, and the wait for the next job |
//! | `packet` | what leaves, and what came |
//! | `ticket` | what every job has: its message, its replies, its end |
//! | `tie` | what it has to do with the master |
//! | `reply` | what a client is answered |
//! | `job`, `worker` | what a program that blocks sees |
//!
//! The asynchronous face is in `asynchronous::jobs`. There is no thread behind the program's back
//! here either: a job is received when the program asks for one, so that the gateway can give what
//! a worker did not ask for to another.

pub(crate) mod gate;
pub(crate) mod intake;
pub(crate) mod job;
mod packet;
pub(crate) mod reply;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod ticket;
mod tie;
pub(crate) mod worker;
