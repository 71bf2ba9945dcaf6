//! Waiting for many descriptors at once.

use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll as sys;
use rustix::event::{Timespec, epoll::EventFlags};
use rustix::io::Errno;

/// An epoll instance. A descriptor must be removed before it is closed when a duplicate of it
/// lives elsewhere: the kernel watches the open file, not the number.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An instance that watches nothing.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(sys::create(sys::CreateFlags::CLOEXEC)?))
    }

    /// Watches `fd`; its events will carry `token`.
    ///
    /// # Errors
    ///
    /// `EEXIST` when it is watched already, `EPERM` for a regular file, `ENOSPC` at the limit of
    /// the user.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        Ok(sys::add(
            &self.0,
            fd,
            sys::EventData::new_u64(token),
            interest.0,
        )?)
    }

    /// Changes what is wanted of a watched descriptor. It also arms an edge again: a state that
    /// holds already is reported once more.
    ///
    /// # Errors
    ///
    /// `ENOENT` when it is not watched, `EINVAL` when it was added with [`Interest::EXCLUSIVE`].
    pub fn modify(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        Ok(sys::modify(
            &self.0,
            fd,
            sys::EventData::new_u64(token),
            interest.0,
        )?)
    }

    /// Watches `fd` no more.
    ///
    /// # Errors
    ///
    /// `ENOENT` when it is not watched.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(sys::delete(&self.0, fd)?)
    }

    /// Waits for at least one event, at most `timeout` (`None`: as long as it takes), rounded up
    /// to the next millisecond so that a timer is never found early. `events` holds what happened;
    /// it is empty after the timeout, and after a signal.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        // Longer than the kernel's 32 bits of milliseconds just wakes once in 24 days.
        let timeout = timeout
            .map(|timeout| timeout.min(LONGEST))
            .map(|timeout| Timespec {
                tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            });
        match sys::wait(&self.0, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What to be told of a descriptor. Combine with `|`. That it was closed by the other side, or is
/// broken, is always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(EventFlags);

impl Interest {
    /// Once per change instead of as long as it holds.
    pub const EDGE: Self = Self(EventFlags::ET);
    /// Wake one of the instances that watch this descriptor, not all. Only with
    /// [`add`](Epoll::add).
    pub const EXCLUSIVE: Self = Self(EventFlags::EXCLUSIVE);
    /// Nothing but closed and broken.
    pub const NONE: Self = Self(EventFlags::empty());
    /// Once, then nothing until [`modify`](Epoll::modify).
    pub const ONE_SHOT: Self = Self(EventFlags::ONESHOT);
    /// Something can be read, accepted or waited for.
    pub const READABLE: Self = Self(EventFlags::IN);
    /// Something can be written.
    pub const WRITABLE: Self = Self(EventFlags::OUT);
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0.union(other.0))
    }
}

/// Room for the events of one [`wait`](Epoll::wait), allocated once.
pub struct Events(Vec<sys::Event>);

impl Events {
    /// Room for `capacity` events at a time (at least one); what does not fit comes with the next
    /// wait.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity.max(1)))
    }

    /// What happened.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.0.iter().map(|event| {
            let flags = event.flags;
            Event {
                token: event.data.u64(),
                readable: flags.contains(EventFlags::IN),
                writable: flags.contains(EventFlags::OUT),
                closed: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            }
        })
    }

    /// Whether nothing happened: the timeout has passed, or a signal came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One watched descriptor on which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was given to [`Epoll::add`].
    pub token: u64,
    /// There is something to read; also at the end of the stream.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// Both directions are closed, or the descriptor is broken. Unread data may remain.
    pub closed: bool,
}

const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
