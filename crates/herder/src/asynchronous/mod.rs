//! Workers on tokio. The parts below know no runtime; here their descriptors are watched by one.

#[cfg(feature = "axum")]
mod axum;
pub(crate) mod connection;
pub(crate) mod farewell;
#[cfg(feature = "http")]
mod http;
pub(crate) mod incoming;
#[cfg(feature = "message")]
pub(crate) mod jobs;
pub(crate) mod keeping;
pub(crate) mod listener;
pub(crate) mod run;
#[cfg(test)]
mod tests;
pub(crate) mod worker;

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime watch whether this descriptor is readable.
#[expect(
    deprecated,
    reason = "the successor is unsafe because a type could swap its descriptor; OwnedFd cannot"
)]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
