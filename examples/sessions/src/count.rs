//! The job: every minute one worker, the least busy, counts the sessions.

use std::io::{Write, stderr};

use herder::jobs::{Jobs, JobsError};

use crate::sessions::Sessions;

/// What the job is called.
pub(crate) const JOB: &str = "count";

/// Counts whenever it is this worker's turn, until the worker leaves.
pub(crate) async fn run(jobs: Jobs, sessions: Sessions) -> Result<(), JobsError> {
    let work = move |_run| {
        let sessions = sessions.clone();
        async move {
            let count = sessions.count().await?;
            let _closed = writeln!(stderr(), "{count} sessions");
            Ok::<_, herder::state::StateError>(())
        }
    };
    jobs.run(JOB, work).await
}
