//! Waking a thread that waits in epoll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::io::retry_on_intr;

/// A bell: readable from the first [`wake`](Wake::wake) to the next [`clear`](Wake::clear), no
/// matter how often it was rung. Share it with an `Arc`.
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    /// A bell that has not been rung.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(rustix::event::eventfd(0, flags)?))
    }

    /// Rings. Never waits and cannot fail: a full counter is a bell that rings already.
    pub fn wake(&self) {
        let _full = retry_on_intr(|| rustix::io::write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// Silences. Do it *before* looking for the work that the ringing announced, else a ring
    /// between the look and the clear is lost.
    pub fn clear(&self) {
        let mut count = [0_u8; 8];
        let _silent = retry_on_intr(|| rustix::io::read(&self.0, &mut count));
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll::{Epoll, Events, Interest};
    use std::time::Duration;

    #[test]
    fn many_rings_are_one_and_clear_silences() {
        let (wake, epoll) = (Wake::new().unwrap(), Epoll::new().unwrap());
        epoll.add(wake.as_fd(), 7, Interest::READABLE).unwrap();
        let mut events = Events::with_capacity(4);
        for rings in [0, 1, 5] {
            for _ in 0..rings {
                wake.wake();
            }
            epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
            assert_eq!(events.iter().count(), usize::from(rings > 0));
            wake.clear();
        }
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events.iter().count(), 0);
    }

    #[test]
    fn a_full_counter_does_not_block() {
        let wake = Wake::new().unwrap();
        rustix::io::write(&wake.0, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        wake.wake();
        wake.clear();
        wake.clear();
    }
}
