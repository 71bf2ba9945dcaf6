//! What a job is, for programs.

use std::time::Duration;

use herder_core::schedule::{JobName, JobNameError, JobPlan, Misfire, Overlap, Target, Wall};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::timing::{Timing, TimingError};

/// A job, as a program defines it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JobDefinition {
    /// When it is due.
    pub timing: Timing,
    /// Who runs it: `worker`, `all`, `library`, `cluster`.
    #[serde(default = "worker")]
    pub target: Target,
    /// What happens when it is due and still runs: `skip`, `queue`, `allow`.
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens to ticks for which it is too late: `skip`, `once`, `{"all": 10}`.
    #[serde(default)]
    pub misfire: Misfire,
    /// How long a run may take, in milliseconds.
    #[serde(default = "ten_minutes")]
    pub timeout_ms: u64,
    /// How often a run is tried again.
    #[serde(default)]
    pub retries: u8,
    /// A run begins at most so much later than its tick, in milliseconds.
    #[serde(default)]
    pub jitter_ms: u64,
    /// Whether it runs at the start of the herd, too.
    #[serde(default)]
    pub start: Start,
}

/// When the first run of a job is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// When the herd starts: once for each start, not once for each restart of a process.
    Immediate,
    /// At its first tick.
    #[default]
    Tick,
}

/// A job, as it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct JobState {
    /// Its name.
    pub name: JobName,
    /// What it is.
    pub definition: JobDefinition,
    /// Its next tick, in milliseconds since 1970; none while it is paused.
    pub next: Option<Wall>,
    /// The last tick that was dealt with.
    pub last: Wall,
    /// Whether it is paused.
    pub paused: bool,
    /// How many runs of it are not over.
    pub running: usize,
}

/// What is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// There is none of this name.
    #[error("there is no job {0}")]
    Unknown(String),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] JobNameError),
    /// The timing is none.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// A time-out of nothing.
    #[error("the time-out of a job is at least 1 ms")]
    Timeout,
    /// It is to run once among several machines, and there is nothing that they share.
    #[error("a job of the cluster needs a store that the machines share: name a Redis or Valkey")]
    NoStore,
    /// It cannot be kept over a restart.
    #[error("the job is not kept: {0}")]
    NotKept(String),
}

/// Written out: the parts are of crates that know nothing of schemas.
impl JsonSchema for JobDefinition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobDefinition".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A job: when it is due, and who runs it.",
            "properties": {
                "timing": { "type": "string" },
                "target": { "enum": ["worker", "all", "library", "cluster"] },
                "overlap": { "enum": ["skip", "queue", "allow"] },
                "misfire": {
                    "oneOf": [
                        { "enum": ["skip", "once"] },
                        {
                            "type": "object",
                            "properties": { "all": { "type": "integer", "minimum": 0 } },
                            "required": ["all"],
                            "additionalProperties": false,
                        },
                    ],
                },
                "timeout_ms": { "type": "integer", "minimum": 1 },
                "retries": { "type": "integer", "minimum": 0, "maximum": 255 },
                "jitter_ms": { "type": "integer", "minimum": 0 },
                "start": { "enum": ["tick", "immediate"] },
            },
            "required": ["timing"],
            "additionalProperties": false,
        })
    }
}

impl JobDefinition {
    /// A job for one worker, with every default.
    #[must_use]
    pub fn new(timing: Timing) -> JobDefinition {
        JobDefinition {
            timing,
            target: worker(),
            overlap: Overlap::default(),
            misfire: Misfire::default(),
            timeout_ms: ten_minutes(),
            retries: 0,
            jitter_ms: 0,
            start: Start::default(),
        }
    }

    pub(super) fn plan(&self) -> Result<JobPlan, JobError> {
        if self.timeout_ms == 0 {
            return Err(JobError::Timeout);
        }
        Ok(JobPlan {
            target: self.target,
            overlap: self.overlap,
            misfire: self.misfire,
            timeout: Duration::from_millis(self.timeout_ms),
            retries: self.retries,
            jitter: Duration::from_millis(self.jitter_ms),
        })
    }
}

fn worker() -> Target {
    Target::Worker
}

fn ten_minutes() -> u64 {
    600_000
}
