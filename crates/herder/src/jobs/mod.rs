//! Jobs of the app's own at their times: [`Cluster::job`](crate::Cluster::job),
//! [`WorkerHandle::jobs`](crate::WorkerHandle::jobs).
//!
//! They have nothing to do with the messages of clients, which are [`Job`](crate::Job)s as well.
//
// Here, too, is what makes those messages jobs of workers (feature `message`):
//
// | module | what it holds |
// |---|---|
// | `gate` | one link to one gateway: what leaves by it, and which jobs came by it |
// | `intake` | the worker's current gate, and the wait for the next job |
// | `packet` | what leaves, and what came |
// | `ticket` | what every job has: its message, its replies, its end |
// | `tie` | what it has to do with the master |
// | `reply` | what a client is answered |
// | `job`, `worker` | what a program that blocks sees |
//
// The asynchronous face is in `asynchronous::jobs`. There is no thread behind the program's back
// here either: a job is received when the program asks for one, so that the gateway can give what
// a worker did not ask for to another.

#[cfg(feature = "message")]
pub(crate) mod gate;
#[cfg(feature = "message")]
pub(crate) mod intake;
#[cfg(feature = "message")]
pub(crate) mod job;
#[cfg(feature = "message")]
mod packet;
#[cfg(feature = "message")]
pub(crate) mod reply;
#[cfg(feature = "message")]
#[cfg(test)]
pub(crate) mod testing;
#[cfg(feature = "message")]
#[cfg(test)]
mod tests;
#[cfg(feature = "message")]
pub(crate) mod ticket;
#[cfg(feature = "message")]
mod tie;
#[cfg(feature = "message")]
pub(crate) mod worker;

#[cfg(feature = "services")]
pub use crate::scheduled::*;
