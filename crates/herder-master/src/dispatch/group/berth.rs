//! One listening socket of a group, watched.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_sys::epoll::{Epoll, Interest};

use super::SOCKET;

/// A socket that the group's epoll tells of once, when somebody waits there.
pub(super) struct Berth(OwnedFd);

impl Berth {
    pub(super) fn new(socket: OwnedFd, epoll: &Epoll) -> io::Result<Berth> {
        epoll.add(socket.as_fd(), SOCKET, once())?;
        Ok(Berth(socket))
    }

    /// Watches it once more.
    pub(super) fn arm(&self, epoll: &Epoll) -> io::Result<()> {
        epoll.modify(self.as_fd(), SOCKET, once())
    }

    /// Workers hold duplicates: only what is removed is watched no more.
    pub(super) fn leave(self, epoll: &Epoll) {
        // Each berth was added.
        let _absent = epoll.remove(self.as_fd());
    }
}

impl AsFd for Berth {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn once() -> Interest {
    Interest::READABLE | Interest::ONE_SHOT
}
