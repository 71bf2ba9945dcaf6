//! What a worker has in hand, as its master is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::worker::link::Link;

/// The numbers behind [`Counters`].
#[derive(Default)]
pub(crate) struct Tally {
    open: AtomicU32,
    connections: AtomicU64,
    requests: AtomicU64,
    counts_requests: AtomicBool,
}

impl Tally {
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns how many are left.
    pub(crate) fn closed(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::AcqRel);
        self.open.fetch_sub(1, Ordering::AcqRel) - 1
    }

    pub(crate) fn open(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn served(&self) -> u64 {
        if self.counts_requests.load(Ordering::Acquire) {
            self.requests.load(Ordering::Acquire)
        } else {
            self.connections.load(Ordering::Acquire)
        }
    }
}

/// The counters of a worker. The master uses them for policies that go by load, and for
/// [`Cluster::max_requests`](crate::Cluster::max_requests); they reach it on change, then at most every
/// 10 ms, else every 50 ms.
///
/// Without a word from the program, what is served are connections, or jobs where a worker gets
/// those. A program whose connections carry many requests says so with
/// [`request`](Counters::request).
#[derive(Clone, Debug)]
pub struct Counters {
    link: Arc<Link>,
}

impl Counters {
    pub(crate) fn new(link: &Arc<Link>) -> Counters {
        Counters {
            link: Arc::clone(link),
        }
    }

    /// Connections, or jobs, that are open.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.link.tally().open()
    }

    /// Requests that were finished, or connections or jobs, when the program never called
    /// [`request`](Counters::request).
    #[must_use]
    pub fn served(&self) -> u64 {
        self.link.tally().served()
    }

    /// How busy the worker's loop was since the last report, in thousandths: the share of the time
    /// in which it did not wait.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.link.busy()
    }

    /// A request begins; it is finished when the returned value is dropped. From the first call on,
    /// requests are what this worker serves and what `max_requests` counts.
    #[must_use = "the request is finished when this is dropped"]
    pub fn request(&self) -> Request {
        self.link
            .tally()
            .counts_requests
            .store(true, Ordering::Release);
        Request {
            link: Arc::clone(&self.link),
        }
    }
}

/// A request in progress, see [`Counters::request`].
#[derive(Debug)]
pub struct Request {
    link: Arc<Link>,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.link.tally().requests.fetch_add(1, Ordering::AcqRel);
        self.link.counters_changed();
    }
}
