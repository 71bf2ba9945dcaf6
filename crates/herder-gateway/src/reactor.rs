//! Descriptors that the runtime watches.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime watch a descriptor. Whether calls on it wait must be said per call: the flag of a
/// descriptor that was passed on is shared.
#[expect(
    deprecated,
    reason = "the successor is unsafe because a type could swap its descriptor; OwnedFd cannot"
)]
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// Makes the runtime forget that a descriptor could be written to once, so that waiting for it
/// waits for news.
pub(crate) fn forget_writable(fd: &AsyncFd<OwnedFd>) {
    let forget = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _forgotten = fd.try_io(Interest::WRITABLE, forget);
}
