use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herder_core::dispatch::CloseReason;
use herder_sys::page::SharedPage;

use super::News;

/// What the dispatch threads of a herd have done since it started. One relaxed addition per event: nothing
/// here synchronises anything.
///
/// They lie in memory that outlives the master, so that its successor can say what died with it.
#[derive(Clone)]
pub(crate) struct Counters(Arc<SharedPage>);

/// One of the counters, and its place in the page.
#[derive(Clone, Copy)]
pub(super) enum Count {
    /// Connections accepted by the master.
    Accepted = 0,
    /// Connections put into a worker's queue (again, when one was taken back).
    Handed = 1,
    /// Connections taken back from a worker's queue.
    TakenBack = 2,
    /// Connections closed by the master unserved.
    Closed = 3,
}

impl Counters {
    /// The counters in the first four cells of this page.
    pub(crate) fn in_page(page: Arc<SharedPage>) -> Counters {
        Counters(page)
    }

    /// After a master's death: how many connections were in its hand and died with it, to within the
    /// batch that it was handing over. Counts them as closed, so that each is told of once.
    pub(crate) fn settle(&self) -> u64 {
        let came = self.read(Count::Accepted) + self.read(Count::TakenBack);
        let went = self.read(Count::Handed) + self.read(Count::Closed);
        let cut = came.saturating_sub(went);
        self.cell(Count::Closed).fetch_add(cut, Ordering::Relaxed);
        cut
    }

    pub(super) fn add(&self, count: Count, by: usize) {
        self.cell(count).fetch_add(by as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, count: Count) -> u64 {
        self.cell(count).load(Ordering::Relaxed)
    }

    fn cell(&self, count: Count) -> &AtomicU64 {
        &self.0.cells()[count as usize]
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
