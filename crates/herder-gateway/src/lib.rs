#![forbid(unsafe_code)]
//! The process that keeps the clients' connections, while each of their messages is a job for the
//! next worker.
//!
//! It has two halves, which meet in `hub::seat`: the *edge* knows sockets, HTTP, WebSocket and
//! lines, and nothing of workers; the *hub* knows jobs, workers and the master, and nothing of
//! sockets. Both run on one thread.
//!
//! For programs that only know a port there is the [`proxy`] instead.

mod control;
#[cfg(feature = "loopback")]
mod echo;
mod edge;
mod gateway;
mod hub;
mod life;
pub mod proxy;
mod reactor;

pub use gateway::Gateway;

#[cfg(feature = "loopback")]
#[doc(hidden)]
pub use echo::serve_echo;
#[cfg(feature = "loopback")]
#[doc(hidden)]
pub use proxy::loopback::serve_proxy;
