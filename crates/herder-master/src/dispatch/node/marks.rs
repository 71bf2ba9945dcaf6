//! What changes with each connection of a worker's, in memory that outlives the master: two numbers for each
//! worker.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herder_sys::page::SharedPage;

use super::channel::{Progress, Standpoint};

const WITHIN_LINE: u64 = 1 << 63;
const WITHIN_ENVELOPE: u64 = 1 << 62;
const OWES_ANSWER: u64 = 1 << 61;
const SERVED: u64 = OWES_ANSWER - 1;

/// No line is longer than 4 GiB.
const WRITTEN_BITS: u32 = 32;
const WRITTEN: u64 = (1 << WRITTEN_BITS) - 1;

/// The page, and who has which place in it.
pub(super) struct Marks {
    page: Arc<SharedPage>,
    free: BTreeSet<usize>,
}

/// One worker's numbers: how many connections it has taken, where the master is with its words, and how far
/// with a long line of its own.
pub(super) struct Mark {
    page: Arc<SharedPage>,
    place: usize,
}

impl Marks {
    /// Those in the first page of this memory.
    pub(super) fn new(memory: BorrowedFd<'_>) -> io::Result<Marks> {
        let page = SharedPage::map(memory)?;
        let free = (0..page.cells().len() / 2).collect();
        let page = Arc::new(page);
        Ok(Marks { page, free })
    }

    /// The mark at the place where the last master had it.
    pub(super) fn find(&mut self, place: usize) -> Option<Mark> {
        let page = Arc::clone(&self.page);
        self.free.remove(&place).then_some(Mark { page, place })
    }

    /// A new one. When all are in use, it does not outlive this process.
    pub(super) fn give(&mut self) -> io::Result<Mark> {
        let mark = match self.free.pop_first() {
            Some(place) => Mark {
                page: Arc::clone(&self.page),
                place,
            },
            None => Mark {
                page: Arc::new(SharedPage::private()?),
                place: 0,
            },
        };
        mark.cell().store(0, Ordering::Relaxed);
        mark.line().store(0, Ordering::Relaxed);
        Ok(mark)
    }

    /// Its worker is gone.
    pub(super) fn take(&mut self, mark: Mark) {
        if let Some(place) = self.place_of(&mark) {
            self.free.insert(place);
        }
    }

    /// Where the next master will find it.
    pub(super) fn place_of(&self, mark: &Mark) -> Option<usize> {
        Arc::ptr_eq(&self.page, &mark.page).then_some(mark.place)
    }
}

impl Mark {
    /// How many connections the worker has taken.
    pub(super) fn served(&self) -> u64 {
        self.cell().load(Ordering::Relaxed) & SERVED
    }

    pub(super) fn add_served(&self) {
        self.cell().fetch_add(1, Ordering::Relaxed);
    }

    /// Where the master, or the last one, is reading.
    pub(super) fn standpoint(&self) -> Standpoint {
        let bits = self.cell().load(Ordering::Relaxed);
        if bits & WITHIN_ENVELOPE != 0 {
            Standpoint::WithinEnvelope
        } else if bits & WITHIN_LINE != 0 {
            Standpoint::WithinLine
        } else {
            Standpoint::BetweenLines
        }
    }

    pub(super) fn note_standpoint(&self, standpoint: Standpoint) {
        // Most of the time nothing changes.
        if standpoint == self.standpoint() {
            return;
        }
        let bits = match standpoint {
            Standpoint::BetweenLines => 0,
            Standpoint::WithinEnvelope => WITHIN_ENVELOPE,
            Standpoint::WithinLine => WITHIN_LINE,
        };
        self.put(WITHIN_ENVELOPE | WITHIN_LINE, bits);
    }

    /// Whether an envelope of the worker's was read and not answered.
    pub(super) fn owes_answer(&self) -> bool {
        self.cell().load(Ordering::Relaxed) & OWES_ANSWER != 0
    }

    pub(super) fn note_debt(&self, owes: bool) {
        self.put(OWES_ANSWER, if owes { OWES_ANSWER } else { 0 });
    }

    /// How far the last long line is written.
    pub(super) fn progress(&self) -> Progress {
        let bits = self.line().load(Ordering::Relaxed);
        Progress {
            line: (bits >> WRITTEN_BITS) as u32,
            written: bits & WRITTEN,
        }
    }

    pub(super) fn note_progress(&self, progress: Progress) {
        let line = u64::from(progress.line) << WRITTEN_BITS;
        let bits = line | (progress.written & WRITTEN);
        self.line().store(bits, Ordering::Relaxed);
    }

    /// Only one thread changes it.
    fn put(&self, mask: u64, bits: u64) {
        let cell = self.cell();
        let rest = cell.load(Ordering::Relaxed) & !mask;
        cell.store(rest | bits, Ordering::Relaxed);
    }

    fn cell(&self) -> &AtomicU64 {
        &self.page.cells()[2 * self.place]
    }

    fn line(&self) -> &AtomicU64 {
        &self.page.cells()[2 * self.place + 1]
    }
}
