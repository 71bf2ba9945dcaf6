//! What can go wrong with jobs.

use herder_rpc::CallError;
use herder_services::jobs::TimingError;

use crate::services::code;

/// Why something cannot be done to jobs.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobsError {
    /// The call failed as calls to libraries do: the library was away, say.
    #[error(transparent)]
    Call(CallError),
    /// The job cannot be as it is said to.
    #[error("{0}")]
    Invalid(String),
    /// There is no job of this name.
    #[error("{0}")]
    NoJob(String),
    /// It was done, and is not kept over a restart.
    #[error("{0}")]
    NotKept(String),
}

impl From<CallError> for JobsError {
    fn from(error: CallError) -> JobsError {
        let message = error.message.clone();
        match code(&error) {
            Some("invalid" | "no_store") => JobsError::Invalid(message),
            Some("no_job") => JobsError::NoJob(message),
            Some("not_kept") => JobsError::NotKept(message),
            Some(_) | None => JobsError::Call(error),
        }
    }
}

impl From<TimingError> for JobsError {
    fn from(error: TimingError) -> JobsError {
        JobsError::Invalid(error.to_string())
    }
}
