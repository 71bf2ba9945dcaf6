//! Namespaces that outlive the process: what changes is written to a file of `redb`.
//!
//! One thread writes. What comes while it commits goes into the next commit together, so that many
//! writers cost little more than one. A change that could not be written is kept, and written
//! before everything that comes after it: the file never has a later change without an earlier.

mod file;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use herder_core::schedule::Now;
use tokio::sync::oneshot;

use self::file::File;
use self::tables::{Line, Names};
use self::writer::{Order, Writer};
use super::entry::Change;

/// Changes of so many bytes wait for the disk; who wants to change more is refused before.
const ROOM: usize = 64 * 1024 * 1024;

/// Why a file cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct JournalError {
    path: PathBuf,
    reason: String,
}

/// A file that namespaces are kept in. Only one process has it open. Whoever drops the last of it
/// waits until everything is on the disk, or cannot be.
#[derive(Clone)]
pub struct Journal(Arc<Desk>);

/// One namespace's way into the file.
#[derive(Clone)]
pub struct Scribe {
    journal: Journal,
    names: Arc<Names>,
}

struct Desk {
    file: Arc<File>,
    /// The bytes of the changes that wait for the disk.
    waiting: Arc<AtomicUsize>,
    /// Nothing at its end only.
    writer: Option<(mpsc::Sender<Order>, JoinHandle<()>)>,
}

impl Journal {
    /// Opens a file, or makes one.
    ///
    /// # Errors
    /// When it is none of ours, is damaged beyond repair, or another process has it open.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        Journal::start(File::open(path)?)
    }

    fn start(file: File) -> Result<Journal, JournalError> {
        let file = Arc::new(file);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (orders, inbox) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&file), Arc::clone(&waiting));
        let thread = thread::Builder::new()
            .name("herder-journal".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|error| file.wrong(error))?;
        Ok(Journal(Arc::new(Desk {
            file,
            waiting,
            writer: Some((orders, thread)),
        })))
    }

    /// One namespace: the way to write to it, and what it held, to be
    /// [restored](super::engine::Engine::restore). What expired meanwhile expires at once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn namespace(&self, name: &str, now: Now) -> Result<(Scribe, Vec<Change>), JournalError> {
        let names = Names::new(name);
        let held = self.0.file.read(|read| names.read(read, now))?;
        let scribe = Scribe {
            journal: self.clone(),
            names: Arc::new(names),
        };
        Ok((scribe, held))
    }
}

impl Scribe {
    /// Whether there is room for more changes: to be asked before something changes.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.journal.0.waiting.load(Ordering::Relaxed) < ROOM
    }

    /// Writes these changes, in this order, after all that were given before. The answer comes when
    /// they are on the disk; nobody has to wait for it. It is an error when they are not there yet:
    /// then they are written before the next ones.
    #[must_use]
    pub fn write(
        &self,
        changes: Vec<Change>,
        now: Now,
    ) -> oneshot::Receiver<Result<(), JournalError>> {
        let (done, answer) = oneshot::channel();
        let lines = changes.into_iter().map(|change| Line::new(change, now));
        let lines: Vec<Line> = lines.collect();
        let size = lines.iter().map(Line::size).sum();
        self.journal.0.waiting.fetch_add(size, Ordering::Relaxed);
        let order = Order {
            names: Arc::clone(&self.names),
            lines,
            size,
            done,
        };
        if let Some((orders, _)) = &self.journal.0.writer {
            // Without a writer the answer's sender is gone, which says the same.
            let _gone = orders.send(order);
        }
        answer
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some((orders, thread)) = self.writer.take() {
            drop(orders);
            // A writer that panicked has nothing left to do.
            let _panicked = thread.join();
        }
    }
}
