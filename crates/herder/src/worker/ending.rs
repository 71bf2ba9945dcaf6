//! Whether and why a worker comes to its end.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::worker::lock;

/// Why a worker takes no new connections.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The worker got the last of the jobs that it was to get in its life.
    Exhausted,
    /// The master is gone, or its channel is unusable.
    MasterGone,
    /// Something in the worker panicked.
    Panicked,
    /// A planned replacement: requests, age, or memory.
    Recycled,
    /// A newer generation is in service.
    Replaced,
    /// The worker announced its own end.
    Retired,
    /// The worker's generation was not good: an older one goes on.
    RolledBack,
    /// The app has fewer workers now.
    ScaledDown,
    /// The worker itself got SIGTERM, SIGINT or SIGQUIT.
    Signal,
    /// The app stops.
    Stopped,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Exhausted => "the worker has served its jobs",
            Reason::MasterGone => "the master is gone",
            Reason::Panicked => "the worker panicked",
            Reason::Recycled => "the worker is replaced as planned",
            Reason::Replaced => "a newer generation is in service",
            Reason::Retired => "the worker announced its end",
            Reason::RolledBack => "an older generation goes on",
            Reason::ScaledDown => "the app has fewer workers now",
            Reason::Signal => "the worker got a signal",
            Reason::Stopped => "the app stops",
        })
    }
}

/// Whether this call was the one that began the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Began {
    Now,
    Before,
}

/// The end of one worker. It begins once, with the first reason; facts can be added later.
#[derive(Default)]
pub(crate) struct Ending {
    reason: OnceLock<Reason>,
    /// Nobody takes back what was not received.
    master_gone: AtomicBool,
    /// The exit status is 1.
    panicked: AtomicBool,
    /// The master is to be told when all jobs are done.
    exhausted: AtomicBool,
    bell: (Mutex<()>, Condvar),
    #[cfg(feature = "tokio")]
    changed: tokio::sync::Notify,
}

impl Ending {
    pub(crate) fn begin(&self, reason: Reason) -> Began {
        match reason {
            Reason::Exhausted => self.exhausted.store(true, Ordering::Release),
            Reason::MasterGone => self.master_gone.store(true, Ordering::Release),
            Reason::Panicked => self.panicked.store(true, Ordering::Release),
            Reason::Recycled
            | Reason::Replaced
            | Reason::Retired
            | Reason::RolledBack
            | Reason::ScaledDown
            | Reason::Signal
            | Reason::Stopped => {}
        }
        let began = match self.reason.set(reason) {
            Ok(()) => Began::Now,
            Err(_) => Began::Before,
        };
        self.announce();
        began
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason.get().copied()
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.reason.get().is_some()
    }

    pub(crate) fn master_gone(&self) -> bool {
        self.master_gone.load(Ordering::Acquire)
    }

    pub(crate) fn panicked(&self) -> bool {
        self.panicked.load(Ordering::Acquire)
    }

    /// Whether the worker was given the last of its jobs.
    #[cfg(feature = "message")]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Acquire)
    }

    /// Wakes who waits for the end to begin, or for connections to close.
    pub(crate) fn announce(&self) {
        drop(lock(&self.bell.0));
        self.bell.1.notify_all();
        #[cfg(feature = "tokio")]
        self.changed.notify_waiters();
    }

    /// Blocks until `done` says so, at most until `deadline`; it is asked again at each
    /// announcement.
    pub(crate) fn block_until(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        let mut bell = lock(&self.bell.0);
        while !done() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let rung = self.bell.1.wait_timeout(bell, left);
            bell = rung.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `done` says so; it is asked again at each announcement.
    #[cfg(feature = "tokio")]
    pub(crate) async fn until(&self, mut done: impl FnMut() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look, so that a change between look and wait is not missed.
            changed.as_mut().enable();
            if done() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays_and_later_facts_are_kept() {
        let ending = Ending::default();
        assert!(!ending.has_begun());
        assert_eq!(ending.begin(Reason::Stopped), Began::Now);
        assert_eq!(ending.begin(Reason::Panicked), Began::Before);
        assert_eq!(ending.begin(Reason::MasterGone), Began::Before);
        assert_eq!(ending.reason(), Some(Reason::Stopped));
        assert!(ending.panicked() && ending.master_gone());
    }
}
