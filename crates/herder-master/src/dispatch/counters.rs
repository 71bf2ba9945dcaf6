use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herder_core::dispatch::CloseReason;
use herder_sys::page::SharedPage;

use super::News;
use super::acceptor::Accepted;

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
    /// 1 while the master reaches for a connection: the kernel may have given it one that is not counted.
    Reached = 4,
}

impl Counters {
    /// The counters in the first five cells of this page.
    pub(crate) fn in_page(page: Arc<SharedPage>) -> Counters {
        Counters(page)
    }

    /// After a master's death: how many connections were in its hand and died with it, to within the
    /// batch that it was handing over. Counts them as closed, so that each is told of once. One that it was
    /// reaching for counts as well: it may have been nobody, but who was cut is told of.
    pub(crate) fn settle(&self) -> u64 {
        let reached = self.cell(Count::Reached).swap(0, Ordering::Relaxed);
        self.cell(Count::Accepted)
            .fetch_add(reached, Ordering::Relaxed);
        let came = self.read(Count::Accepted) + self.read(Count::TakenBack);
        let went = self.read(Count::Handed) + self.read(Count::Closed);
        let cut = came.saturating_sub(went);
        self.cell(Count::Closed).fetch_add(cut, Ordering::Relaxed);
        cut
    }

    /// Accepts, and counts a connection that came. Whoever dies between the two leaves a mark.
    pub(super) fn accept(&self, accept: impl FnOnce() -> Accepted) -> Accepted {
        self.cell(Count::Reached).store(1, Ordering::Relaxed);
        let accepted = accept();
        if matches!(accepted, Accepted::Connection(_)) {
            self.add(Count::Accepted, 1);
        }
        self.cell(Count::Reached).store(0, Ordering::Relaxed);
        accepted
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    #[test]
    fn r27_who_was_accepted_but_not_yet_counted_is_told_of() {
        let page = SharedPage::private().expect("memory");
        let counters = Counters::in_page(Arc::new(page));
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        counters.accept(|| Accepted::Connection(ours.into()));
        counters.add(Count::Handed, 1);
        assert!(matches!(
            counters.accept(|| Accepted::Nothing),
            Accepted::Nothing
        ));
        assert_eq!(counters.settle(), 0);
        let dies = || counters.accept(|| resume_unwind(Box::new("killed")));
        assert!(catch_unwind(AssertUnwindSafe(dies)).is_err());
        assert_eq!(counters.settle(), 1);
        assert_eq!(counters.settle(), 0);
    }
}
