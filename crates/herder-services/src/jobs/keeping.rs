//! What of the jobs outlives the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use herder_core::schedule::{Definition, Event, JobName, Wall};
use serde::{Deserialize, Serialize};

use super::definition::{JobDefinition, JobError};
use super::desk::Jobs;
use crate::state::{Condition, Local, Put};

/// Where it stands what the herd began with, in the namespace of the jobs: no name of a job.
const FOUNDED: &str = "@founded";

/// What of the jobs outlives the process.
pub enum Keeping {
    /// Nothing.
    Memory,
    /// Definitions by the API, pauses, and the last tick of each, in this namespace.
    Namespace(Arc<Local>),
}

/// A job as it is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    definition: JobDefinition,
    last: Option<Wall>,
    paused: bool,
}

/// What a herd began with, as it is kept.
#[derive(Deserialize, Serialize)]
struct Founded {
    herd: u64,
    jobs: BTreeMap<String, JobDefinition>,
}

impl Jobs {
    /// Takes up what was kept. What cannot be read is said, and left as it is.
    pub fn restore(&self) -> Vec<String> {
        let Keeping::Namespace(space) = &self.keeping else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        let mut after = None;
        loop {
            let page = space.scan("", after.as_deref(), usize::MAX);
            for (name, versioned) in page.entries {
                if let Err(problem) = self.take_up(&name, &versioned.value) {
                    problems.push(format!(
                        "the job {name} that was kept cannot be read: {problem}"
                    ));
                }
            }
            after = page.next;
            if after.is_none() {
                return problems;
            }
        }
    }

    /// Makes the jobs that the herd begins with. In a later life of the process they stay what has
    /// become of them, as far as that was kept.
    ///
    /// # Errors
    /// The name of the first that cannot be, or cannot be kept, and why.
    pub async fn found(
        self: &Arc<Self>,
        jobs: &[(String, JobDefinition)],
    ) -> Result<(), (String, JobError)> {
        let founded = std::mem::take(&mut self.lock().founded);
        for (name, definition) in jobs {
            if founded.get(name) != Some(definition) {
                let defined = self.define(name, definition.clone()).await;
                defined.map_err(|error| (name.clone(), error))?;
            }
        }
        let founded = Founded {
            herd: self.seed,
            jobs: jobs.iter().cloned().collect(),
        };
        let kept = self.write(FOUNDED, &founded).await;
        kept.map_err(|error| (FOUNDED.to_owned(), error))
    }

    /// Keeps a job as it stands now, even if the caller does not wait for it.
    pub(super) async fn keep(self: &Arc<Self>, name: &JobName) -> Result<(), JobError> {
        let (this, name) = (Arc::clone(self), name.clone());
        let kept = tokio::spawn(async move { this.write_down(&name).await });
        kept.await
            .unwrap_or_else(|gone| Err(JobError::NotKept(gone.to_string())))
    }

    pub(super) async fn write_down(&self, name: &JobName) -> Result<(), JobError> {
        let _pen = self.pen.lock().await;
        let job = self.list().into_iter().find(|job| job.name == *name);
        if let Some(job) = job {
            let kept = Kept {
                definition: job.definition,
                last: Some(job.last),
                paused: job.paused,
            };
            return self.write(name.as_str(), &kept).await;
        }
        let Keeping::Namespace(space) = &self.keeping else {
            return Ok(());
        };
        let gone = space.delete(name.as_str(), Condition::Always).await;
        gone.map(drop)
            .map_err(|error| JobError::NotKept(error.to_string()))
    }

    async fn write(&self, key: &str, value: &impl Serialize) -> Result<(), JobError> {
        let Keeping::Namespace(space) = &self.keeping else {
            return Ok(());
        };
        let text = serde_json::to_vec(value).map_err(|error| error.to_string());
        let put = Put {
            value: Bytes::from(text.map_err(JobError::NotKept)?),
            ttl: None,
            condition: Condition::Always,
        };
        let kept = space.put(key, put).await;
        kept.map(drop)
            .map_err(|error| JobError::NotKept(error.to_string()))
    }

    fn take_up(self: &Jobs, name: &str, value: &[u8]) -> Result<(), String> {
        if name == FOUNDED {
            let founded: Founded =
                serde_json::from_slice(value).map_err(|error| error.to_string())?;
            if founded.herd == self.seed {
                self.lock().founded = founded.jobs;
            }
            return Ok(());
        }
        let name = JobName::new(name).map_err(|error| error.to_string())?;
        let kept: Kept = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let plan = kept.definition.plan().map_err(|error| error.to_string())?;
        let now = self.clock.now();
        let mut inside = self.lock();
        let definition = Definition {
            plan,
            calendar: kept.definition.timing.clone(),
            last: kept.last,
        };
        inside.definitions.insert(name.clone(), kept.definition);
        inside.restored.insert(name.clone());
        // Nothing is done yet: what is asked for waits until somebody drives.
        let defined = Event::Define {
            name: name.clone(),
            definition,
        };
        inside.scheduler.handle(defined, now);
        if kept.paused {
            inside.scheduler.handle(Event::Pause { name }, now);
        }
        Ok(())
    }
}
