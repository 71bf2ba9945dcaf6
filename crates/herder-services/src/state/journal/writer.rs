//! The thread that writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::JournalError;
use super::file::File;
use super::tables::{Line, Names};

/// So many orders go into one commit.
const BATCH: usize = 4096;

/// A disk that failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Something to be written, in one piece.
pub(super) struct Order {
    pub(super) names: Arc<Names>,
    pub(super) lines: Vec<Line>,
    /// Their bytes, roughly.
    pub(super) size: usize,
    pub(super) done: oneshot::Sender<Result<(), JournalError>>,
}

pub(super) struct Writer {
    file: Arc<File>,
    /// The bytes of what waits for the disk.
    waiting: Arc<AtomicUsize>,
    /// What is not on the disk yet, in order.
    unwritten: Vec<(Arc<Names>, Vec<Line>)>,
    /// Its bytes.
    size: usize,
    /// When the disk failed last, and why.
    failure: Option<(Instant, JournalError)>,
}

impl Writer {
    pub(super) fn new(file: Arc<File>, waiting: Arc<AtomicUsize>) -> Writer {
        Writer {
            file,
            waiting,
            unwritten: Vec::new(),
            size: 0,
            failure: None,
        }
    }

    /// Writes until nobody has orders any more.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Order>) {
        loop {
            let first = match self.next(inbox) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut answers = Vec::new();
            let rest = std::iter::from_fn(|| inbox.try_recv().ok());
            for order in first.into_iter().chain(rest).take(BATCH) {
                self.size += order.size;
                self.unwritten.push((order.names, order.lines));
                answers.push(order.done);
            }
            let outcome = self.commit();
            for done in answers {
                // Who does not wait for it does not hear of it.
                let _gone = done.send(outcome.clone());
            }
        }
        if !self.unwritten.is_empty() {
            // The last that can be done for it.
            self.failure = None;
            let _lost = self.commit();
        }
    }

    fn next(&self, inbox: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        if self.unwritten.is_empty() {
            return inbox.recv().map_err(|_| RecvTimeoutError::Disconnected);
        }
        inbox.recv_timeout(AGAIN)
    }

    /// Writes everything that is not on the disk yet. A disk that failed is left alone for a while.
    fn commit(&mut self) -> Result<(), JournalError> {
        if let Some((at, error)) = &self.failure
            && at.elapsed() < AGAIN
        {
            return Err(error.clone());
        }
        let unwritten = &self.unwritten;
        let outcome = self.file.write(|transaction| {
            unwritten
                .iter()
                .try_for_each(|(names, lines)| names.write(transaction, lines))
        });
        self.failure = match &outcome {
            Ok(()) => {
                self.unwritten.clear();
                let size = std::mem::take(&mut self.size);
                self.waiting.fetch_sub(size, Ordering::Relaxed);
                None
            }
            Err(error) => Some((Instant::now(), error.clone())),
        };
        outcome
    }
}
