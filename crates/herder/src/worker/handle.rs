//! What every part of a worker may ask and say.

use std::sync::Arc;
use std::time::Duration;

use crate::worker::counters::Counters;
use crate::worker::ending::Reason;
use crate::worker::link::Link;

/// How often other tasks get their turn before a task hears that the worker drains: one is to accept
/// what was received, one to begin with it.
#[cfg(feature = "tokio")]
const TURNS: u32 = 4;

/// A worker's identity and its word with the master. Cheap to clone, and free to go anywhere:
/// into threads, tasks, or the state of a web framework.
///
/// [`Worker`](crate::Worker) and [`AsyncWorker`](crate::AsyncWorker) offer all of it as well.
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    link: Arc<Link>,
}

impl WorkerHandle {
    pub(crate) fn new(link: Arc<Link>) -> WorkerHandle {
        WorkerHandle { link }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The worker's life: 1, 2, 3 … per app, never reused. `HERDER_WORKER_ID`.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.link.identity().id
    }

    /// The worker's place, from 0. A replacement has the place of its predecessor.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.link.identity().slot
    }

    /// The name of the app.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.link.identity().app
    }

    /// The process of the worker.
    #[must_use]
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// The process of the master, as it was when the worker started. For a herd
    /// [in one process](crate::Cluster::in_process) that is the worker's own.
    #[must_use]
    pub fn master_pid(&self) -> u32 {
        self.link.identity().master_pid.unsigned_abs()
    }

    /// Whether the worker comes to its end, and why.
    #[must_use]
    pub fn draining(&self) -> Draining {
        Draining {
            link: Arc::clone(&self.link),
        }
    }

    /// Announces the worker's own end (the *suicide message*): the master starts a replacement at
    /// once, and this worker gets no new connection. It is then up to the program to finish what it
    /// has and return. A second announcement changes nothing.
    pub fn retire(&self, reason: impl Into<String>) {
        self.link.retire(Reason::Retired, reason.into());
    }

    /// Tells the master that connections can be taken. The first `accept()` says so by itself.
    pub fn ready(&self) {
        self.link.ready();
    }

    /// Asks for more time to get ready than
    /// [`Cluster::boot_timeout`](crate::Cluster::boot_timeout) grants, counted from now.
    pub fn extend_boot(&self, by: Duration) {
        self.link.extend_boot(by);
    }

    /// Shows the master that the worker lives. Waiting for connections does so by itself; a program
    /// that computes for longer than [`Cluster::hang`](crate::Cluster::hang) between two of them
    /// calls this now and then.
    pub fn beat(&self) {
        self.link.beat();
    }

    /// What this worker has in hand and has served.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::new(&self.link)
    }
}

/// Whether a worker comes to its end. Cheap to clone.
///
/// A program with long-lived connections asks it between two requests, and then closes (HTTP:
/// answers `Connection: close`).
#[derive(Clone, Debug)]
pub struct Draining {
    link: Arc<Link>,
}

impl Draining {
    /// Whether what has these ties comes to its end.
    #[cfg(feature = "library")]
    pub(crate) fn of(link: &Arc<Link>) -> Draining {
        let link = Arc::clone(link);
        Draining { link }
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.reason().is_some()
    }

    /// Why the end has begun; `None` while it has not.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let known = self.link.ending().reason();
        if known.is_none() {
            // The thread that waits for connections may be the one that asks: then nobody else
            // reads the master's word.
            self.link.look();
        }
        known.or_else(|| self.link.ending().reason())
    }

    /// Waits until the end begins.
    ///
    /// ```no_run
    /// # async fn serve(worker: herder::AsyncWorker) {
    /// let draining = worker.draining();
    /// tokio::spawn(async move {
    ///     draining.clone().wait().await;
    ///     eprintln!("draining: {:?}", draining.reason());
    /// });
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn wait(self) {
        let ending = self.link.ending();
        if ending.has_begun() {
            return;
        }
        ending.until(|| ending.has_begun()).await;
        // A server that hears of it (axum's, hyper's) closes connections whose first byte it has not
        // read yet. Those that were received have come to us: their tasks go first.
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(feature = "tokio")]
impl IntoFuture for Draining {
    type Output = ();
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}
