//! What callers are told when something fails.

use std::time::Duration;

use herder_rpc::{CallError, ErrorKind, Executed};
use serde_json::json;

use crate::bus::BusError;
use crate::jobs::JobError;
use crate::state::{Refusal, StateError};

/// A store that is away is looked for about so often. Who calls is told at once.
const AWAY: Duration = Duration::from_secs(1);

impl From<StateError> for CallError {
    fn from(error: StateError) -> CallError {
        let message = error.to_string();
        match error {
            StateError::Refused(refusal) => refused(&refusal),
            StateError::NotKept(_) => {
                CallError::new(ErrorKind::Unavailable, Executed::Yes, message)
            }
            StateError::NotDone(_) => CallError::new(ErrorKind::Overloaded, Executed::No, message),
            StateError::NotSent(_) => {
                CallError::new(ErrorKind::Unavailable, Executed::No, message).retry_after(AWAY)
            }
            StateError::Unavailable(_) => {
                CallError::new(ErrorKind::Unavailable, Executed::Maybe, message).retry_after(AWAY)
            }
        }
    }
}

impl From<BusError> for CallError {
    fn from(error: BusError) -> CallError {
        let message = error.to_string();
        match error {
            BusError::NoReceiver { .. } => CallError::app("no_receiver", message),
            BusError::Full { .. } => CallError::app("full", message),
            BusError::TooLarge { .. } => CallError::new(ErrorKind::TooLarge, Executed::No, message),
            BusError::NoAnswer { .. } => CallError::app("no_answer", message),
            BusError::NoRequest { .. } => CallError::app("no_request", message),
        }
    }
}

impl From<JobError> for CallError {
    fn from(error: JobError) -> CallError {
        let message = error.to_string();
        let code = match error {
            JobError::Unknown(_) => "no_job",
            JobError::NoStore => "no_store",
            JobError::NotKept(_) => "not_kept",
            JobError::Name(_) | JobError::Timing(_) | JobError::Timeout => "invalid",
        };
        CallError::app(code, message)
    }
}

fn refused(refusal: &Refusal) -> CallError {
    let message = refusal.to_string();
    match refusal {
        Refusal::Conflict { present } => {
            CallError::app("conflict", message).with_data(json!({ "present": present }))
        }
        Refusal::Full { .. } => CallError::app("full", message),
        Refusal::NotANumber(_) => CallError::app("not_a_number", message),
        Refusal::NotHeld { .. } => CallError::app("not_held", message),
        Refusal::Key { .. } | Refusal::Value { .. } | Refusal::Zero(_) => {
            CallError::new(ErrorKind::BadArguments, Executed::No, message)
        }
    }
}
