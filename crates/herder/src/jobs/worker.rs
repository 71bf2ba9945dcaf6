//! A worker of jobs that blocks.

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use crate::jobs::intake::Intake;
use crate::jobs::job::Job;
use crate::worker::handle::WorkerHandle;

/// A worker of jobs, as [`Cluster::run_jobs`](crate::Cluster::run_jobs) gives it to the program.
///
/// Clones are the same worker: several threads can call [`next_job`](JobWorker::next_job), each
/// job goes to one of them. Everything that a [`WorkerHandle`] offers, it offers too; what that
/// says of connections holds for jobs.
#[derive(Clone, Debug)]
pub struct JobWorker {
    handle: WorkerHandle,
    intake: Arc<Intake>,
}

impl JobWorker {
    pub(crate) fn new(handle: WorkerHandle, intake: Arc<Intake>) -> JobWorker {
        JobWorker { handle, intake }
    }

    /// The next job; waits for it. `None` = the worker comes to its end: finish what is open, then
    /// return.
    ///
    /// The first call tells the master that the worker is [ready](WorkerHandle::ready), and the
    /// wait shows it that the worker lives. Between two calls a program should take no longer than
    /// [`Cluster::hang`](crate::Cluster::hang); one whose jobs take that long works on them in
    /// threads, or calls [`beat`](WorkerHandle::beat).
    ///
    /// # Errors
    /// When the link to the gateway is unusable. Return the error: the worker will be replaced.
    pub fn next_job(&self) -> io::Result<Option<Job>> {
        let link = self.handle.link();
        link.ready();
        Ok(self.intake.next(link)?.map(Job::new))
    }

    /// The jobs, one after the other: what [`next_job`](JobWorker::next_job) returns until it
    /// returns `None`, or after an error.
    ///
    /// ```no_run
    /// # fn work(worker: herder::JobWorker) -> std::io::Result<()> {
    /// for job in worker.jobs() {
    ///     // A client that has gone is no reason to end.
    ///     let _gone = job?.finish_with("hello");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn jobs(&self) -> impl Iterator<Item = io::Result<Job>> + '_ {
        let mut over = false;
        std::iter::from_fn(move || {
            if over {
                return None;
            }
            let next = self.next_job().transpose();
            over = !matches!(next, Some(Ok(_)));
            next
        })
    }

    /// The worker's identity and its word with the master, for other parts of the program.
    #[must_use]
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }

    /// This worker for a tokio runtime that the program built itself. All of its clones must be
    /// given up. [`Cluster::run_jobs_async`](crate::Cluster::run_jobs_async) does this by itself.
    ///
    /// # Errors
    /// Outside of a runtime with I/O and time, or when no descriptor is left.
    pub fn into_async(self) -> io::Result<crate::AsyncJobWorker> {
        crate::AsyncJobWorker::new(self.handle, self.intake)
    }
}

impl Deref for JobWorker {
    type Target = WorkerHandle;

    fn deref(&self) -> &WorkerHandle {
        &self.handle
    }
}
