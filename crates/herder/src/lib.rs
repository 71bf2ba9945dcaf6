//! Clustered, self-healing network servers.
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod cluster;
mod connection;
mod exit;
mod in_process;
mod init;
mod panic;
mod worker;

#[cfg(feature = "tokio")]
pub use asynchronous::connection::{AsyncConnection, AsyncStream};
#[cfg(feature = "tokio")]
pub use asynchronous::listener::Listener;
#[cfg(feature = "tokio")]
pub use asynchronous::worker::AsyncWorker;
pub use cluster::builder::Cluster;
pub use cluster::error::ClusterError;
pub use cluster::settings::{Dispatch, Policy};
pub use connection::{Connection, ConnectionGuard, Peer, Stream};
pub use exit::signal_name;
pub use herder_core::Exit;
pub use herder_core::supervisor::{Cause, DrainReason, Outcome, RecycleReason};
pub use herder_master::config::Format;
pub use herder_master::event::{HerdEvent, WorkerInfo};
pub use herder_master::role::RoleError;
pub use herder_sys::listener::ListenError;
pub use in_process::Running;
pub use init::{InitError, init, is_master, is_worker, try_init};
pub use worker::blocking::Worker;
pub use worker::counters::{Counters, Request};
pub use worker::ending::Reason;
pub use worker::handle::{Draining, WorkerHandle};
