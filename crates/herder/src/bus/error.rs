//! Why a message did not arrive.

use herder_rpc::CallError;

use crate::services::code;

/// Why a message did not arrive, or was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The call failed as calls to libraries do: the library was away, say.
    #[error(transparent)]
    Call(CallError),
    /// Everybody who would get it has too much waiting.
    #[error("{0}")]
    Full(String),
    /// The payload cannot be read, or written, as JSON of this type.
    #[error("the payload is not of this type: {0}")]
    Json(String),
    /// Everybody who got the request is gone without an answer.
    #[error("{0}")]
    NoAnswer(String),
    /// Nobody gets it: nobody there subscribed to the topic.
    #[error("{0}")]
    NoReceiver(String),
    /// What is answered is no request, or does not wait any more.
    #[error("{0}")]
    NoRequest(String),
}

impl BusError {
    pub(super) fn json(error: &serde_json::Error) -> BusError {
        BusError::Json(error.to_string())
    }
}

impl From<CallError> for BusError {
    fn from(error: CallError) -> BusError {
        let message = error.message.clone();
        match code(&error) {
            Some("full") => BusError::Full(message),
            Some("no_answer") => BusError::NoAnswer(message),
            Some("no_receiver") => BusError::NoReceiver(message),
            Some("no_request") => BusError::NoRequest(message),
            Some(_) | None => BusError::Call(error),
        }
    }
}
