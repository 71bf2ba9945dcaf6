//! A worker without a runtime.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use herder_sys::epoll::Epoll;
use herder_sys::fd::Blocking;

use crate::connection::Connection;
use crate::worker::acceptor::{Acceptor, Step};
use crate::worker::handle::WorkerHandle;
use crate::worker::link::Link;
use crate::worker::lock;
use crate::worker::polling::{Attempt, Polling};

/// A worker, as [`Cluster::run`](crate::Cluster::run) gives it to the program.
///
/// Clones are the same worker: several threads can call [`accept`](Worker::accept), each
/// connection goes to one of them.
///
/// SIGTERM, SIGINT and SIGQUIT are blocked in a worker's process and arrive as
/// [`draining`](WorkerHandle::draining); programs that it starts inherit the blocked set.
#[derive(Clone)]
pub struct Worker {
    handle: WorkerHandle,
    acceptor: Arc<Mutex<Acceptor>>,
    /// Whose descriptor an event loop of the program watches.
    poll: Arc<Epoll>,
    polling: Arc<Mutex<Polling>>,
}

impl Worker {
    pub(crate) fn new(link: Arc<Link>, acceptor: Acceptor) -> Worker {
        Worker {
            handle: WorkerHandle::new(link),
            poll: acceptor.descriptor(),
            acceptor: Arc::new(Mutex::new(acceptor)),
            polling: Arc::default(),
        }
    }

    /// The next connection; waits for it. `None` = the worker comes to its end, and no connection
    /// is left that was already its own: finish what is open, then return.
    ///
    /// The first call tells the master that the worker is [ready](WorkerHandle::ready), and the
    /// wait shows it that the worker lives. Between two calls a program should take no longer than
    /// [`Cluster::hang`](crate::Cluster::hang); one that serves a slow client that long does so in
    /// a thread, or calls [`beat`](WorkerHandle::beat).
    ///
    /// # Errors
    /// When the source of connections is unusable. Return the error: the worker will be replaced.
    pub fn accept(&self) -> io::Result<Option<Connection>> {
        let link = self.handle.link();
        link.ready();
        let mut acceptor = lock(&self.acceptor);
        lock(&link.schedule).is_at_home();
        loop {
            let due = link.tick(Instant::now());
            match acceptor.step(link)? {
                Step::Arrived(arrival) => {
                    // One that cannot be set up is gone already; the next may be fine.
                    if let Ok(connection) = Connection::new(arrival, link, Blocking::Yes) {
                        return Ok(Some(connection));
                    }
                }
                Step::Exhausted => return Ok(None),
                Step::Nothing => acceptor.wait(link, due)?,
            }
        }
    }

    /// The connections, one after the other: what [`accept`](Worker::accept) returns until it returns
    /// `None`, or after an error.
    ///
    /// ```no_run
    /// # fn serve(worker: herder::Worker) -> std::io::Result<()> {
    /// use std::io::Write;
    ///
    /// for connection in worker.incoming() {
    ///     // A client that has gone is no reason to end.
    ///     let _gone = connection?.write_all(b"hello");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> impl Iterator<Item = io::Result<Connection>> + '_ {
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let next = self.accept().transpose();
            over = !matches!(next, Some(Ok(_)));
            next
        })
    }

    /// The next connection, without waiting: for a program with an event loop of its own, which watches the
    /// worker's descriptor ([`AsFd`]) beside those of its clients. It is non-blocking.
    ///
    /// Whenever the descriptor is readable, the loop takes connections until there is
    /// [nothing](Attempt::Nothing). As with [`accept`](Worker::accept), the first call says that the worker is
    /// ready, and calling shows that it lives: so the loop also calls after the time that `Nothing` carries,
    /// though nothing became readable. One thread at a time is to do so.
    ///
    /// ```no_run
    /// # struct Poll;
    /// # impl Poll { fn wait(&self, _: &impl std::os::fd::AsFd, _: Option<std::time::Duration>) {} }
    /// # fn serve(worker: herder::Worker, poll: Poll) -> std::io::Result<()> {
    /// use herder::Attempt;
    ///
    /// let mut clients = Vec::new();
    /// loop {
    ///     let within = loop {
    ///         match worker.try_accept()? {
    ///             Attempt::Connection(client) => clients.push(client),
    ///             Attempt::Nothing { within } => break within,
    ///             Attempt::Ended => return Ok(()),
    ///         }
    ///     };
    ///     // Waits for the clients, too, and serves those that are ready.
    ///     poll.wait(&worker, within);
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`accept`](Worker::accept).
    pub fn try_accept(&self) -> io::Result<Attempt> {
        let link = self.handle.link();
        link.ready();
        lock(&self.polling).attempt(link, &mut lock(&self.acceptor))
    }

    /// How many connections it has received that [`accept`](Worker::accept) has not returned yet;
    /// or jobs, of those that a program gets one by one.
    pub(crate) fn waiting(&self) -> usize {
        #[cfg(feature = "message")]
        if self.handle.link().waiting_jobs() > 0 {
            return self.handle.link().waiting_jobs();
        }
        lock(&self.acceptor).waiting()
    }

    /// The worker's identity and its word with the master, for other parts of the program.
    #[must_use]
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }

    /// This worker as one of jobs. All are the same.
    #[cfg(feature = "message")]
    pub(crate) fn into_job_worker(self) -> io::Result<crate::JobWorker> {
        let intake = self.handle.link().take_jobs()?;
        Ok(crate::JobWorker::new(self.handle, intake))
    }

    /// This worker for a tokio runtime that the program built itself. All of its clones must be
    /// given up. [`Cluster::run_async`](crate::Cluster::run_async) does this by itself.
    ///
    /// # Errors
    /// Outside of a runtime with I/O and time, or when no descriptor is left.
    #[cfg(feature = "tokio")]
    pub fn into_async(self) -> io::Result<crate::AsyncWorker> {
        lock(&self.handle.link().schedule).has_no_home();
        crate::AsyncWorker::new(self.handle, self.acceptor)
    }
}

/// Readable when [`try_accept`](Worker::try_accept) is to be called, as long as it was not: a level, for `poll`,
/// `epoll`, `io_uring`, or a crate that wraps them.
impl AsFd for Worker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

impl Deref for Worker {
    type Target = WorkerHandle;

    fn deref(&self) -> &WorkerHandle {
        &self.handle
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Worker").field(&self.handle).finish()
    }
}
