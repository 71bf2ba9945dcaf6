//! [`Jobs`].

use std::fmt::{self, Display};
use std::sync::Arc;

use herder_services::library::{HistoryEntry, JobView};

use super::error::JobsError;
use super::schedule::Schedule;
use super::serve::{Run, Serving};
use crate::services::Clients;
use crate::worker::handle::Draining;

/// The herd's jobs. Cheap to clone, and free to go anywhere.
#[derive(Clone)]
pub struct Jobs {
    clients: Arc<Clients>,
    draining: Draining,
}

impl Jobs {
    pub(crate) fn new(clients: Arc<Clients>, draining: Draining) -> Jobs {
        Jobs { clients, draining }
    }

    /// Runs this job whenever it is this worker's turn, until the worker drains: then it returns, as
    /// soon as what runs has ended.
    ///
    /// The function is called for each run. What it returns is kept in the [history](Jobs::history); an
    /// error, or a panic, is a failure, which is tried again if the [schedule](Schedule::retries) says
    /// so. A run that takes too long, or that the library does not count on any more since one of them
    /// was restarted, is cancelled: its future is dropped.
    ///
    /// ```no_run
    /// # async fn clean_up() -> std::io::Result<()> { Ok(()) }
    /// # async fn serve(worker: herder::AsyncWorker) {
    /// let jobs = worker.jobs();
    /// tokio::spawn(async move { jobs.run("nightly", async |_| clean_up().await).await });
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the library does not let it, or is away for longer than a call waits.
    pub async fn run<F, Fut, E>(&self, name: &str, work: F) -> Result<(), JobsError>
    where
        F: Fn(Run) -> Fut + Send + Sync,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + 'static,
    {
        let client = self.clients.jobs()?;
        let serving = Serving::open(client.clone(), name).await?;
        let leaves = self.draining.clone().wait();
        serving
            .until(leaves, |run| {
                let work = work(run);
                async move { work.await.map_err(|error| format!("{error:#}")) }
            })
            .await
    }

    /// Makes a job, or changes it. Its runs go on, and no tick is repeated.
    ///
    /// # Errors
    /// [`JobsError::Invalid`], or when there is no answer.
    pub async fn define(&self, name: &str, schedule: impl Into<Schedule>) -> Result<(), JobsError> {
        let definition = schedule.into().definition()?;
        Ok(self.clients.jobs()?.define(name, definition).await?)
    }

    /// Removes a job. What runs goes on.
    ///
    /// # Errors
    /// [`JobsError::NoJob`], or when there is no answer.
    pub async fn remove(&self, name: &str) -> Result<(), JobsError> {
        Ok(self.clients.jobs()?.remove(name).await?)
    }

    /// Has a job not be due until it is [resumed](Jobs::resume).
    ///
    /// # Errors
    /// As [`remove`](Jobs::remove).
    pub async fn pause(&self, name: &str) -> Result<(), JobsError> {
        Ok(self.clients.jobs()?.pause(name).await?)
    }

    /// Has a job be due again.
    ///
    /// # Errors
    /// As [`remove`](Jobs::remove).
    pub async fn resume(&self, name: &str) -> Result<(), JobsError> {
        Ok(self.clients.jobs()?.resume(name).await?)
    }

    /// Runs a job now, beside its times.
    ///
    /// # Errors
    /// As [`remove`](Jobs::remove).
    pub async fn run_now(&self, name: &str) -> Result<(), JobsError> {
        Ok(self.clients.jobs()?.run_now(name).await?)
    }

    /// All jobs.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn list(&self) -> Result<Vec<JobView>, JobsError> {
        Ok(self.clients.jobs()?.list().await?)
    }

    /// What happened, latest first; of one job, or of all.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn history(
        &self,
        name: Option<&str>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, JobsError> {
        let name = name.map(str::to_owned);
        Ok(self.clients.jobs()?.history(name, limit).await?)
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}
