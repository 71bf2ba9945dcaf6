use std::sync::atomic::{AtomicU64, Ordering};

use herder_core::dispatch::CloseReason;

use super::News;

/// What a dispatch thread has done since it started. One relaxed addition per event: nothing here
/// synchronises anything.
#[derive(Default)]
pub(super) struct Counters {
    /// Connections accepted by the master.
    accepted: AtomicU64,
    /// Connections put into a worker's queue (again, when one was taken back).
    handed: AtomicU64,
    /// Connections taken back from a worker's queue.
    taken_back: AtomicU64,
    /// Connections closed by the master unserved.
    closed: AtomicU64,
}

/// One of the counters.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Accepted,
    Closed,
    Handed,
    TakenBack,
}

impl Counters {
    pub(super) fn add(&self, count: Count, by: usize) {
        self.cell(count).fetch_add(by as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, count: Count) -> u64 {
        self.cell(count).load(Ordering::Relaxed)
    }

    fn cell(&self, count: Count) -> &AtomicU64 {
        match count {
            Count::Accepted => &self.accepted,
            Count::Closed => &self.closed,
            Count::Handed => &self.handed,
            Count::TakenBack => &self.taken_back,
        }
    }
}

/// How many connections were closed unserved, by reason.
#[derive(Default)]
pub(super) struct Unserved {
    poisoned: u64,
    timed_out: u64,
}

impl Unserved {
    /// Counts one more, and says how many there are now.
    pub(super) fn count(&mut self, reason: CloseReason) -> News {
        match reason {
            CloseReason::Poisoned => self.poisoned += 1,
            CloseReason::TimedOut => self.timed_out += 1,
        }
        News::Closed {
            poisoned: self.poisoned,
            timed_out: self.timed_out,
        }
    }
}
