//! A request's place at a worker.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use herder_core::Slot;
use herder_core::proxy::Outcome;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::edge::stream::Stream;
use crate::proxy::backends::connect::{NotConnected, connect};
use crate::proxy::backends::{BackendAddress, Backends, Kept, Standing};

/// The place that a request or connection has at a worker. Dropped without [`end`](Lease::end), it
/// says nothing about the worker.
pub struct Lease {
    backends: Backends,
    worker: u64,
    slot: Slot,
    address: Rc<BackendAddress>,
    outcome: Outcome,
}

impl Lease {
    pub(super) fn new(
        backends: Backends,
        worker: u64,
        slot: Slot,
        address: Rc<BackendAddress>,
    ) -> Lease {
        Lease {
            backends,
            worker,
            slot,
            address,
            outcome: Outcome::Inconclusive,
        }
    }

    /// The worker's incarnation.
    pub fn worker(&self) -> u64 {
        self.worker
    }

    /// The worker's slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Connects to the worker.
    ///
    /// # Errors
    ///
    /// When the worker does not take it, or there is nothing left to connect with: that is also said
    /// to the people who run this.
    pub(crate) async fn connect(&self) -> Result<Stream, NotConnected> {
        let shared = &self.backends.shared;
        let connected = connect(&self.address, shared.connect_timeout).await;
        if let Err(short @ NotConnected::Short(_)) = &connected {
            shared.voice.say(format_args!("{short}"));
        }
        connected
    }

    /// A kept connection to the worker that it has not closed, as far as can be seen.
    pub(crate) fn kept(&self) -> Option<Stream> {
        let mut state = self.backends.shared.state.borrow_mut();
        let entry = state.workers.get_mut(&self.worker)?;
        loop {
            let mut kept = entry.kept.pop()?;
            if kept.until <= Instant::now() {
                // Those below are older.
                entry.kept.clear();
                return None;
            }
            if is_silent(&mut kept.stream) {
                return Some(kept.stream);
            }
        }
    }

    /// Keeps a connection for another request. The worker may have said how long it will.
    pub(crate) fn keep(&self, stream: Stream, said: Option<Duration>) {
        let shared = &self.backends.shared;
        let keep_for = said.map_or(shared.keep_for, |said| said.min(shared.keep_for));
        let mut state = shared.state.borrow_mut();
        let Some(entry) = state.workers.get_mut(&self.worker) else {
            return;
        };
        if entry.standing == Standing::Withdrawn || entry.kept.len() >= shared.keep {
            return;
        }
        let until = Instant::now() + keep_for;
        entry.kept.push(Kept { stream, until });
    }

    /// Says how it ended.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backends.ended(self.worker, self.outcome);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("worker", &self.worker)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Whether nothing came on an idle connection: neither the end nor what nobody asked for.
pub(super) fn is_silent(stream: &mut Stream) -> bool {
    let mut byte = [0; 1];
    let mut context = Context::from_waker(Waker::noop());
    let read = Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
    matches!(read, Poll::Pending)
}
