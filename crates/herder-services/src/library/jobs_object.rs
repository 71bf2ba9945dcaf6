//! The jobs, as an object.

use std::sync::Arc;

use herder_core::schedule::{self, RunId, ServerKind, Verdict};
use herder_rpc::server::Feed;
use herder_rpc::{CallError, Cx, Part};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::jobs::{JobDefinition, Jobs, Order};

/// The app's own jobs: what they are, when they run, who runs them.
#[herder_macros::object(name = "jobs", codec = "postcard", crate = herder_rpc)]
pub trait JobsApi {
    /// Makes a job, or changes it.
    #[herder(idempotent)]
    async fn define(&self, name: String, definition: JobDefinition) -> Result<(), CallError>;
    /// Removes a job. What runs goes on.
    async fn remove(&self, name: String) -> Result<(), CallError>;
    /// Has a job not be due until it is resumed.
    #[herder(idempotent)]
    async fn pause(&self, name: String) -> Result<(), CallError>;
    /// Has a job be due again.
    #[herder(idempotent)]
    async fn resume(&self, name: String) -> Result<(), CallError>;
    /// Runs a job now, beside its times.
    async fn run_now(&self, name: String) -> Result<(), CallError>;
    /// All jobs.
    #[herder(idempotent)]
    async fn list(&self) -> Vec<JobView>;
    /// What happened, latest first; of one job, or of all.
    #[herder(idempotent)]
    async fn history(&self, name: Option<String>, limit: u32) -> Vec<HistoryEntry>;
    /// Offers to run these jobs: what is to be run comes until the stream is left. Whoever leaves
    /// it loses its runs.
    #[herder(stream = "events")]
    async fn serve(&self, cx: &Cx, jobs: Vec<String>) -> Result<Feed<RunOrder>, CallError>;
    /// Says how a run ended: no failure = well.
    #[herder(idempotent)]
    async fn done(&self, run: u64, failure: Option<String>) -> Result<(), CallError>;
}

/// What is asked of a process that runs jobs.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOrder {
    /// Stop this run; nobody wants to hear of it any more.
    Cancel {
        /// Which.
        run: u64,
    },
    /// Run a job, and say how it ended.
    Run {
        /// To be given with its end.
        run: u64,
        /// The job.
        name: String,
        /// The time that it was due, in milliseconds since 1970.
        tick: i64,
        /// Which try this is, from 1.
        attempt: u8,
        /// For what the job writes to: it refuses a smaller one than the greatest that it has seen.
        /// Jobs of the cluster have one.
        token: Option<u64>,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
}

/// A job, as it stands.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// What it is.
    pub definition: JobDefinition,
    /// Its next tick, in milliseconds since 1970; none while it is paused.
    pub next: Option<i64>,
    /// The last tick that was dealt with.
    pub last: i64,
    /// Whether it is paused.
    pub paused: bool,
    /// How many runs of it are not over.
    pub running: u32,
}

/// A line of the history.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// The job.
    pub name: String,
    /// The time that it was due, in milliseconds since 1970.
    pub tick: i64,
    /// Which try it was, from 1; 0 = none was made.
    pub attempt: u8,
    /// When it was given to a process.
    pub started: Option<i64>,
    /// When it ended.
    pub ended: i64,
    /// `succeeded`, `failed`, `lost`, `missed`, `nobody-there`, `overlapped`, `timed-out`.
    pub outcome: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether another try follows.
    pub retried: bool,
}

pub(super) struct Desk(pub(super) Arc<Jobs>);

impl JobsApi for Desk {
    async fn define(&self, name: String, definition: JobDefinition) -> Result<(), CallError> {
        Ok(self.0.define(&name, definition).await?)
    }

    async fn remove(&self, name: String) -> Result<(), CallError> {
        Ok(self.0.remove(&name).await?)
    }

    async fn pause(&self, name: String) -> Result<(), CallError> {
        Ok(self.0.pause(&name).await?)
    }

    async fn resume(&self, name: String) -> Result<(), CallError> {
        Ok(self.0.resume(&name).await?)
    }

    async fn run_now(&self, name: String) -> Result<(), CallError> {
        Ok(self.0.run_now(&name)?)
    }

    async fn list(&self) -> Vec<JobView> {
        let view = |job: crate::jobs::JobState| JobView {
            name: job.name.to_string(),
            definition: job.definition,
            next: job.next.map(schedule::Wall::as_millis),
            last: job.last.as_millis(),
            paused: job.paused,
            running: u32::try_from(job.running).unwrap_or(u32::MAX),
        };
        self.0.list().into_iter().map(view).collect()
    }

    async fn history(&self, name: Option<String>, limit: u32) -> Vec<HistoryEntry> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let entries = self.0.history(name.as_deref(), limit);
        entries.into_iter().map(HistoryEntry::new).collect()
    }

    async fn serve(&self, cx: &Cx, jobs: Vec<String>) -> Result<Feed<RunOrder>, CallError> {
        let kind = match cx.caller.part {
            Part::Library(_) => ServerKind::Library,
            Part::Tool | Part::Worker => ServerKind::Worker,
        };
        let mut server = self.0.serve(kind, &jobs)?;
        Ok(Feed::new(async move |mut sink| {
            sink.open(0);
            loop {
                // What waits for room here can still be cancelled without a word.
                sink.ready().await;
                let order = server.next().await;
                sink.send(&RunOrder::from(order)).await?;
            }
        }))
    }

    async fn done(&self, run: u64, failure: Option<String>) -> Result<(), CallError> {
        let verdict = failure.map_or(Verdict::Succeeded, Verdict::Failed);
        self.0.done(RunId(run), verdict);
        Ok(())
    }
}

impl From<Order> for RunOrder {
    fn from(order: Order) -> RunOrder {
        match order {
            Order::Cancel { run } => RunOrder::Cancel { run: run.0 },
            Order::Run {
                run,
                name,
                tick,
                attempt,
                token,
                timeout_ms,
            } => RunOrder::Run {
                run: run.0,
                name: name.into(),
                tick: tick.as_millis(),
                attempt,
                token,
                timeout_ms,
            },
        }
    }
}

impl HistoryEntry {
    fn new(entry: schedule::Entry) -> HistoryEntry {
        use schedule::Outcome;
        let (outcome, reason) = match entry.outcome {
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Lost => ("lost", None),
            Outcome::Missed => ("missed", None),
            Outcome::NobodyThere => ("nobody-there", None),
            Outcome::Overlapped => ("overlapped", None),
            Outcome::Succeeded => ("succeeded", None),
            Outcome::TimedOut => ("timed-out", None),
        };
        HistoryEntry {
            name: entry.name.into(),
            tick: entry.tick.as_millis(),
            attempt: entry.attempt,
            started: entry.started.map(schedule::Wall::as_millis),
            ended: entry.at.as_millis(),
            outcome: outcome.to_owned(),
            reason,
            retried: entry.fate == schedule::Fate::Retried,
        }
    }
}
