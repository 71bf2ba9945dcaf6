//! Why a call to a namespace failed.

use herder_rpc::{CallError, Executed};

use crate::services::{code, is_temporary};

/// Why a call to a namespace failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The call failed as calls to libraries do: the library or the store was away, say.
    #[error(transparent)]
    Call(CallError),
    /// The value has another revision than the one asked for.
    #[error("the value has another revision, {present}")]
    Conflict {
        /// The present revision; 0 = there is no value.
        present: u64,
    },
    /// The namespace is full.
    #[error("{0}")]
    Full(String),
    /// A value cannot be read, or written, as JSON of this type.
    #[error("the value is not of this type: {0}")]
    Json(String),
    /// The value is no number that can be counted up.
    #[error("{0}")]
    NotANumber(String),
    /// The lease is another's, or nobody's.
    #[error("the lease is not held any more")]
    NotHeld,
}

impl StateError {
    /// Whether it was carried out. What was not may be tried again without a thought.
    #[must_use]
    pub fn executed(&self) -> Executed {
        match self {
            StateError::Call(error) => error.executed,
            StateError::Conflict { .. }
            | StateError::Full(_)
            | StateError::Json(_)
            | StateError::NotANumber(_)
            | StateError::NotHeld => Executed::No,
        }
    }

    /// Whether it may go better soon: the library or the store is away, or has too much to do. A
    /// server answers 503.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            StateError::Call(error) => is_temporary(error),
            StateError::Conflict { .. }
            | StateError::Full(_)
            | StateError::Json(_)
            | StateError::NotANumber(_)
            | StateError::NotHeld => false,
        }
    }

    pub(super) fn json(error: &serde_json::Error) -> StateError {
        StateError::Json(error.to_string())
    }
}

impl From<CallError> for StateError {
    fn from(error: CallError) -> StateError {
        match code(&error) {
            Some("conflict") => {
                let present = error
                    .data
                    .as_ref()
                    .and_then(|data| data["present"].as_u64());
                StateError::Conflict {
                    present: present.unwrap_or_default(),
                }
            }
            Some("full") => StateError::Full(error.message.clone()),
            Some("not_a_number") => StateError::NotANumber(error.message.clone()),
            Some("not_held") => StateError::NotHeld,
            Some(_) | None => StateError::Call(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use herder_rpc::ErrorKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_library_says_has_a_name_here() {
        let conflict = CallError::app("conflict", "another").with_data(json!({ "present": 7 }));
        let error = StateError::from(conflict);
        assert!(matches!(error, StateError::Conflict { present: 7 }));
        assert_eq!(error.executed(), Executed::No);
        let error = StateError::from(CallError::app("not_held", "gone"));
        assert!(matches!(error, StateError::NotHeld));
        let away = CallError::new(ErrorKind::Unavailable, Executed::Maybe, "away");
        let error = StateError::from(away);
        assert_eq!(error.executed(), Executed::Maybe);
        assert!(error.is_temporary());
    }
}
