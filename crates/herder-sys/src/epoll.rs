//! Waiting for many descriptors at once.

use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll as sys;
use rustix::event::{PollFd, PollFlags, Timespec, epoll::EventFlags, poll};
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
        let timeout = timeout.map(timespec);
        match sys::wait(&self.0, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`wait`](Epoll::wait), but not rounded up, for one more system call when something happens. Whoever is
    /// not in time for a moment within this millisecond would come in the next.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn wait_precisely(&self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        events.0.clear();
        // `epoll_pwait2` could do it at once, but older kernels and sandboxes do not know it.
        let mut all = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut all, Some(&timespec(timeout))) {
            Ok(0) | Err(Errno::INTR) => Ok(()),
            Ok(_) => self.wait(events, Some(Duration::ZERO)),
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

/// Longer than the kernel's 32 bits of milliseconds just wakes once in 24 days.
fn timespec(timeout: Duration) -> Timespec {
    let timeout = timeout.min(LONGEST);
    Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{send, seqpacket_pair};
    use crate::wake::Wake;
    use std::time::Instant;

    fn now(epoll: &Epoll, events: &mut Events) -> Vec<Event> {
        epoll.wait(events, Some(Duration::ZERO)).unwrap();
        events.iter().collect()
    }

    #[test]
    fn a_timeout_is_never_early_and_gives_no_event() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(0));
        for timeout in [1, 999, 1_001, 2_500].map(Duration::from_micros) {
            let start = Instant::now();
            epoll.wait(&mut events, Some(timeout)).unwrap();
            assert!(start.elapsed() >= timeout);
            assert!(events.is_empty());
        }
    }

    #[test]
    fn a_precise_timeout_is_not_early_and_not_rounded_to_milliseconds() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(1));
        let timeout = Duration::from_micros(200);
        let wait = |events: &mut Events| {
            let start = Instant::now();
            epoll.wait_precisely(events, timeout).unwrap();
            assert!(start.elapsed() >= timeout && events.is_empty());
            start.elapsed()
        };
        // A machine that has other things to do is late now and then, not always.
        let shortest = (0..100).map(|_| wait(&mut events)).min().unwrap();
        assert!(shortest < Duration::from_millis(1), "{shortest:?}");
        let wake = Wake::new().unwrap();
        epoll.add(wake.as_fd(), 3, Interest::READABLE).unwrap();
        wake.wake();
        epoll.wait_precisely(&mut events, Duration::MAX).unwrap();
        assert_eq!(events.iter().next().unwrap().token, 3);
    }

    #[test]
    fn an_endless_timeout_and_none_at_all_end_with_an_event() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(1));
        let wake = Wake::new().unwrap();
        epoll
            .add(wake.as_fd(), u64::MAX, Interest::READABLE)
            .unwrap();
        for timeout in [None, Some(Duration::MAX)] {
            wake.wake();
            epoll.wait(&mut events, timeout).unwrap();
            let event = events.iter().next().unwrap();
            let readable = Event {
                token: u64::MAX,
                readable: true,
                writable: false,
                closed: false,
            };
            assert_eq!(event, readable);
            wake.clear();
        }
    }

    #[test]
    fn without_interest_only_the_end_is_told() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(4));
        let (ours, theirs) = seqpacket_pair().unwrap();
        epoll.add(ours.as_fd(), 1, Interest::NONE).unwrap();
        send(theirs.as_fd(), b"x", &[]).unwrap();
        assert_eq!(now(&epoll, &mut events), []);
        drop(theirs);
        let event = now(&epoll, &mut events)[0];
        assert!(event.closed && !event.readable && !event.writable);
    }

    #[test]
    fn what_is_wanted_can_be_changed_and_withdrawn() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(4));
        let (ours, theirs) = seqpacket_pair().unwrap();
        send(theirs.as_fd(), b"x", &[]).unwrap();
        let once = Interest::READABLE | Interest::ONE_SHOT;
        epoll.add(ours.as_fd(), 1, once).unwrap();
        assert!(now(&epoll, &mut events)[0].readable);
        assert_eq!(now(&epoll, &mut events), []);
        epoll
            .modify(ours.as_fd(), 2, Interest::READABLE | Interest::WRITABLE)
            .unwrap();
        let both = Event {
            token: 2,
            readable: true,
            writable: true,
            closed: false,
        };
        assert_eq!(now(&epoll, &mut events), [both]);
        assert!(
            epoll.add(ours.as_fd(), 3, once).is_err(),
            "it is watched already"
        );
        epoll.remove(ours.as_fd()).unwrap();
        assert_eq!(now(&epoll, &mut events), []);
        assert!(epoll.remove(ours.as_fd()).is_err());
    }

    #[test]
    fn more_events_than_room_come_with_the_next_wait() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(2));
        let bells: Vec<_> = (0..5).map(|_| Wake::new().unwrap()).collect();
        for (token, bell) in (0..).zip(&bells) {
            let interest = Interest::READABLE | Interest::EDGE | Interest::EXCLUSIVE;
            epoll.add(bell.as_fd(), token, interest).unwrap();
            bell.wake();
        }
        let mut tokens = Vec::new();
        for room in [2, 2, 1, 0] {
            let found = now(&epoll, &mut events);
            assert_eq!(found.len(), room);
            tokens.extend(found.iter().map(|event| event.token));
        }
        tokens.sort_unstable();
        assert_eq!(tokens, [0, 1, 2, 3, 4]);
    }
}
