//! What the runtime can wait for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor of ours, as the runtime wants it.
#[derive(Debug)]
pub(crate) struct Waited<T>(pub(crate) T);

impl<T: AsFd> AsRawFd for Waited<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Has the runtime tell when it can be read. Call it in a runtime.
///
/// # Errors
/// What `epoll_ctl` answers.
#[expect(
    deprecated,
    reason = "the other one is unsafe for types whose descriptor may change; ours own theirs"
)]
pub(crate) fn readable<T: AsFd>(what: T) -> io::Result<AsyncFd<Waited<T>>> {
    AsyncFd::with_interest(Waited(what), Interest::READABLE)
}
