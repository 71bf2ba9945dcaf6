//! What goes wrong on the caller's side.

use std::time::Duration;

use herder_wire::rpc::handshake::HandshakeError;
use herder_wire::rpc::signature::SignatureError;
use herder_wire::rpc::{CallError, ErrorKind, Executed, FrameError};

/// Why the libraries of the herd are not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnvironmentError {
    /// An entry is not `NAME=PATH`.
    #[error("`{0}` in HERDER_LIBRARIES is not the name of a library, `=` and a path")]
    BadEntry(String),
    /// There is no list, or it is empty.
    #[error("this process has no libraries: HERDER_LIBRARIES is not set or empty")]
    NoLibraries,
}

/// Why a connection could not be made, or why it ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the library closed the connection")]
    Closed,
    #[error("the library sent what it must not: {0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the library refused: {}", .0.message)]
    Refused(CallError),
    #[error("{0}")]
    Signature(#[from] SignatureError),
    #[error("the library was silent for {0:?}")]
    Silent(Duration),
    #[error("the library sent a frame that has no place in {0}")]
    Unexpected(&'static str),
    #[error("the library did not welcome the connection within {0:?}")]
    Unwelcome(Duration),
    #[error("the library's version {0} is not spoken here")]
    Version(u16),
}

/// The library cannot be reached or went away.
pub(super) fn unavailable(executed: Executed, message: impl Into<String>) -> CallError {
    CallError::new(ErrorKind::Unavailable, executed, message)
}

/// Too much waits here already.
pub(super) fn overloaded(message: impl Into<String>) -> CallError {
    const SOON: Duration = Duration::from_millis(50);
    CallError::new(ErrorKind::Overloaded, Executed::No, message).retry_after(SOON)
}

/// The time was over.
pub(super) fn too_late(executed: Executed, message: impl Into<String>) -> CallError {
    CallError::new(ErrorKind::Deadline, executed, message)
}
