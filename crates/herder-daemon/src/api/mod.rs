//! The control API: HTTP and JSON at `herder.sock`, for the command and for whoever else may.
//!
//! Who is at the other end is asked of the kernel before a byte is read (`guest`): the daemon's own
//! user and root may do everything, members of the `read_group` may look, nobody else gets in. A
//! connection carries one request, which has to be whole after 5 s; what it may be, `routes` lists.
//! What is answered comes from the books by a [`Desk`](crate::Desk), or from the log files, which are
//! read on a thread that may wait (`history`, `logs`).
//!
//! Nothing here waits for a client: what a client does not take is dropped with its stream, and the
//! books never notice (`stream`).

mod answer;
mod door;
mod guest;
mod history;
mod logs;
mod metrics;
mod query;
mod routes;
mod service;
mod stream;
#[cfg(test)]
mod tests;

pub use door::Door;
