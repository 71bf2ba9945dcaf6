use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a job whose worker died after it had started it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Retry {
    /// It is lost: it may have been carried out, and must not be carried out twice.
    Never,
    /// Another worker gets it: to carry it out twice does no harm.
    Idempotent,
}

/// Which worker gets the next job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum JobPicker {
    /// Strict rotation over the workers that have room.
    RoundRobin,
    /// The worker with the fewest unfinished jobs.
    FewestJobs,
}

/// How jobs are dispatched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// Who is picked.
    pub picker: JobPicker,
    /// How many jobs a worker gets in its life, exactly; `None` = any number.
    pub max_jobs: Option<NonZeroU32>,
    /// What becomes of a started job whose worker died.
    pub retry: Retry,
    /// How many unfinished jobs a client may have before nothing more is read from it.
    pub client_window: NonZeroU32,
    /// How many jobs a worker may hold that it has not started.
    pub worker_window: NonZeroU32,
    /// How many jobs a worker may hold that it has not finished.
    pub worker_jobs: NonZeroU32,
    /// How many jobs may wait for a worker, in all, before nothing more is read from whoever sends.
    pub pending: NonZeroU32,
    /// How long a job waits for a worker that is being started, when it is that worker's turn in the
    /// rotation.
    pub starting_wait: Duration,
    /// A job that is not started for this long is taken back when another worker has room.
    pub steal_after: Duration,
    /// A job that nobody could take for this long is given up.
    pub pending_timeout: Duration,
    /// A job that met this many deaths is given up.
    pub poison_deaths: NonZeroU32,
}

impl Default for JobSpec {
    fn default() -> JobSpec {
        let number = |number| NonZeroU32::new(number).expect("no default is zero");
        JobSpec {
            picker: JobPicker::RoundRobin,
            max_jobs: None,
            retry: Retry::Never,
            client_window: number(32),
            worker_window: number(8),
            worker_jobs: number(1024),
            pending: number(4096),
            starting_wait: Duration::from_millis(250),
            steal_after: Duration::from_millis(50),
            pending_timeout: Duration::from_secs(10),
            poison_deaths: number(3),
        }
    }
}
