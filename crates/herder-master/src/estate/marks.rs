//! What changes too often to be written down with the state: numbers in the first page of its memory.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use herder_core::Tick;
use herder_sys::page::SharedPage;

/// Numbers that the next master finds as they were when this one died. Each is written by one thread, and
/// nothing follows from their order: one relaxed store, no call of the system.
#[derive(Clone, Debug)]
pub(crate) struct Marks(Arc<SharedPage>);

/// One of them, and its place. (Those before belong to the dispatch thread.)
#[derive(Clone, Copy)]
enum Mark {
    /// When the main loop was last known to turn, in microseconds.
    Turned = 8,
    /// How many verdicts were told to everybody.
    Told = 9,
    /// Whether it was told where the herd listens: not 0.
    Announced = 10,
}

impl Marks {
    /// In the first page of this memory.
    ///
    /// # Errors
    /// Those of [`SharedPage::map`].
    pub(crate) fn in_memory(memory: BorrowedFd<'_>) -> io::Result<Marks> {
        Ok(Marks(Arc::new(SharedPage::map(memory)?)))
    }

    /// For who leaves nothing to anybody.
    #[cfg(test)]
    pub(crate) fn private() -> Marks {
        Marks(Arc::new(SharedPage::private().expect("memory")))
    }

    /// The main loop turns at this moment.
    pub(crate) fn turned(&self, now: Tick) {
        self.cell(Mark::Turned)
            .store(now.as_micros(), Ordering::Relaxed);
    }

    /// When it was last known to turn, if ever.
    pub(crate) fn last_turn(&self) -> Option<Tick> {
        let micros = self.cell(Mark::Turned).load(Ordering::Relaxed);
        (micros > 0).then(|| Tick::from_micros(micros))
    }

    /// Verdict `number` was told to everybody who can be told, and so was every one before it.
    pub(crate) fn told(&self, number: u64) {
        self.cell(Mark::Told).fetch_max(number, Ordering::Relaxed);
    }

    /// The number of the last verdict that was told; 0 = none was.
    pub(crate) fn last_told(&self) -> u64 {
        self.cell(Mark::Told).load(Ordering::Relaxed)
    }

    /// Where the herd listens was told to everybody who can be told.
    pub(crate) fn announced(&self) {
        self.cell(Mark::Announced).store(1, Ordering::Relaxed);
    }

    /// Whether it was.
    pub(crate) fn is_announced(&self) -> bool {
        self.cell(Mark::Announced).load(Ordering::Relaxed) != 0
    }

    fn cell(&self, mark: Mark) -> &AtomicU64 {
        &self.0.cells()[mark as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::StateFile;

    #[test]
    fn r35_marks_are_found_by_who_comes_next() {
        let mut file = StateFile::create(1).expect("memory");
        let ours = Marks::in_memory(file.memory()).expect("a page");
        assert_eq!((ours.last_turn(), ours.last_told()), (None, 0));
        let now = Tick::from_micros(5_000_000);
        ours.turned(now);
        ours.told(3);
        ours.told(2);
        assert!(!ours.is_announced());
        ours.announced();
        file.write(&"a state").expect("it fits");
        let next = Marks::in_memory(file.memory()).expect("a page");
        assert_eq!((next.last_turn(), next.last_told()), (Some(now), 3));
        assert!(next.is_announced());
    }
}
