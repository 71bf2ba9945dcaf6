//! What a job is to be.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a job is called: 1 to 100 of `A-Z a-z 0-9 . _ - / :`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobName(String);

/// Why a text is no name of a job.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{name:?} is not the name of a job: 1 to 100 of A-Z a-z 0-9 . _ - / :")]
pub struct JobNameError {
    name: String,
}

/// Everything about a job but its calendar.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobPlan {
    /// Who runs it.
    pub target: Target,
    /// What happens when it is due and still runs.
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens to ticks for which it is too late.
    #[serde(default)]
    pub misfire: Misfire,
    /// How long a run may take before it is cancelled.
    pub timeout: Duration,
    /// How often a run is tried again that failed, was lost or took too long.
    #[serde(default)]
    pub retries: u8,
    /// A run begins at most so much later than its tick. How much differs from tick to tick.
    #[serde(default)]
    pub jitter: Duration,
}

/// Who runs a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Every worker that offers it.
    All,
    /// One worker of one machine among all that share the store.
    Cluster,
    /// The library that offers it.
    Library,
    /// The worker that has the least to do.
    Worker,
}

/// What happens when a job is due and still runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// It runs beside itself.
    Allow,
    /// It runs as soon as the run before it has ended.
    Queue,
    /// This tick is left out.
    #[default]
    Skip,
}

/// What happens to ticks that passed while nobody looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misfire {
    /// The last so many of them are made up for, oldest first.
    All(u16),
    /// The last of them is made up for.
    Once,
    /// They are left out.
    #[default]
    Skip,
}

impl JobName {
    /// Takes a text for a name.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(name: impl Into<String>) -> Result<JobName, JobNameError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
        if (1..=100).contains(&name.len()) && name.chars().all(allowed) {
            Ok(JobName(name))
        } else {
            Err(JobNameError { name })
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobName {
    type Error = JobNameError;

    fn try_from(name: String) -> Result<JobName, JobNameError> {
        JobName::new(name)
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> String {
        name.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
