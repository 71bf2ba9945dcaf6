//! Jobs, for tasks.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use herder_wire::gateway::Protocol;
use tokio::io::unix::AsyncFd;

use crate::asynchronous::keeping;
use crate::jobs::intake::{Intake, Step};
use crate::jobs::job::Job;
use crate::jobs::reply::{Reply, ReplyError};
use crate::jobs::ticket::Ticket;
use crate::worker::handle::WorkerHandle;

/// After so many jobs at once the tasks that they became get their turn.
const TURN: usize = 4;

/// A worker of jobs, as [`Cluster::run_jobs_async`](crate::Cluster::run_jobs_async) gives it to the
/// program. Clones are the same worker: each job goes to one of them.
///
/// Everything that a [`WorkerHandle`] offers, it offers too; what that says of connections holds
/// for jobs. A task of the runtime sends the heartbeat: a worker whose runtime is stuck is silent,
/// and one of its tasks that waits is not.
#[derive(Clone, Debug)]
pub struct AsyncJobWorker {
    handle: WorkerHandle,
    intake: Arc<Intake>,
    taken: Arc<AtomicUsize>,
}

impl AsyncJobWorker {
    pub(crate) fn new(handle: WorkerHandle, intake: Arc<Intake>) -> io::Result<AsyncJobWorker> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let link = handle.link();
        let source = super::watch(intake.detach(link)?)?;
        runtime.spawn(keeping::keep(Arc::clone(link), keeping::watch(link)?));
        runtime.spawn(stir(Arc::clone(&intake), source));
        Ok(AsyncJobWorker {
            handle,
            intake,
            taken: Arc::default(),
        })
    }

    /// The next job; waits for it. `None` = the worker comes to its end: finish what is open, then
    /// return. The first call tells the master that the worker is [ready](WorkerHandle::ready).
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the link to the gateway is unusable. Return the error: the worker will be replaced.
    pub async fn next_job(&self) -> io::Result<Option<AsyncJob>> {
        self.handle.ready();
        if self.taken.fetch_add(1, Ordering::Relaxed) >= TURN {
            self.taken.store(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        let link = self.handle.link();
        loop {
            let mut changed = std::pin::pin!(self.intake.watch().changed.notified());
            // Registered before the look, so that a change between look and wait is not missed.
            changed.as_mut().enable();
            match self.intake.step(link)? {
                Step::Job(ticket) => return Ok(Some(AsyncJob { ticket })),
                Step::Over => return Ok(None),
                // Whether the end has begun or not: it has been received.
                Step::Waits => changed.await,
                Step::Nothing => {
                    let ending = link.ending();
                    tokio::select! {
                        () = changed => {}
                        () = ending.until(|| ending.has_begun()) => {}
                    }
                }
            }
        }
    }

    /// The worker's identity and its word with the master, for other parts of the program.
    #[must_use]
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }
}

impl Deref for AsyncJobWorker {
    type Target = WorkerHandle;

    fn deref(&self) -> &WorkerHandle {
        &self.handle
    }
}

/// A client's message, for tasks; see [`Job`], whose ways it has.
///
/// ```no_run
/// # use herder::{AsyncJob, ReplyError};
/// # async fn look_up(_: &str) -> String { String::new() }
/// async fn work(job: AsyncJob) -> Result<(), ReplyError> {
///     let Some(name) = job.text() else {
///         job.fail("only text is understood");
///         return Ok(());
///     };
///     job.reply("one moment").await?;
///     let found = tokio::select! {
///         found = look_up(name) => found,
///         () = job.cancelled() => return Err(ReplyError::Gone),
///     };
///     job.finish_with(found).await
/// }
/// ```
pub struct AsyncJob {
    ticket: Ticket,
}

impl AsyncJob {
    /// See [`Job::id`].
    #[must_use]
    pub fn id(&self) -> u64 {
        self.ticket.id()
    }

    /// See [`Job::client`].
    #[must_use]
    pub fn client(&self) -> u64 {
        self.ticket.client()
    }

    /// How the client talks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.ticket.protocol()
    }

    /// The message, when it is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.ticket.text()
    }

    /// The message's bytes; of a text message, its UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.ticket.bytes()
    }

    /// Sends this to the client, see [`Job::reply`]. A future that is dropped before it is done has
    /// sent nothing.
    ///
    /// # Errors
    /// As [`Job::reply`].
    pub async fn reply(&self, reply: impl Into<Reply>) -> Result<(), ReplyError> {
        self.ticket.reply_async(reply.into()).await
    }

    /// The job is done; the same as dropping it.
    pub fn finish(self) {}

    /// Sends this as the last reply, see [`Job::finish_with`].
    ///
    /// # Errors
    /// As [`Job::reply`].
    pub async fn finish_with(self, reply: impl Into<Reply>) -> Result<(), ReplyError> {
        self.ticket.finish_with_async(reply.into()).await
    }

    /// See [`Job::fail`].
    pub fn fail(self, error: impl fmt::Display) {
        self.ticket.fail(&error.to_string());
    }

    /// See [`Job::is_cancelled`].
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.ticket.is_cancelled()
    }

    /// Waits until nobody is left to read a reply.
    pub async fn cancelled(&self) {
        self.ticket.cancelled().await;
    }

    /// The same job for code that blocks, in `tokio::task::spawn_blocking` for instance.
    #[must_use]
    pub fn into_blocking(self) -> Job {
        Job::new(self.ticket)
    }
}

impl fmt::Debug for AsyncJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ticket.describe(&mut f.debug_struct("AsyncJob"))
    }
}

/// Wakes the tasks that wait for jobs, for room, or for a cancellation, as long as the runtime
/// lives.
async fn stir(intake: Arc<Intake>, source: AsyncFd<OwnedFd>) {
    // The runtime shuts down when it is no longer able to watch.
    while let Ok(mut readable) = source.readable().await {
        // What comes from now on is a new edge.
        readable.clear_ready();
        intake.stir();
    }
}
