//! What can become of a request.

use rustix::io::Errno;
use std::fmt;

/// What became of one request. Everything but [`Outcome::Complete`] is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The connection was closed (FIN) before any byte of the answer.
    Closed,
    /// The whole answer came; the worker that gave it, when the load knows how to tell.
    Complete {
        /// What the load's `worker_from` read from the body.
        worker: Option<i32>,
    },
    /// No connection, for this reason (`errno`). `Refused` and `TimedOut` are apart.
    ConnectFailed(i32),
    /// Reading or writing failed for this reason (`errno`); a reset is apart.
    Failed(i32),
    /// The answer was no HTTP/1.1 response.
    Malformed,
    /// Nobody listens there (ECONNREFUSED).
    Refused,
    /// The connection was reset before any byte of the answer.
    Reset,
    /// The connection ended in the middle of the answer.
    ShortBody,
    /// The request was sent on a connection that had been idle, and no byte came back: the server had just
    /// decided to close it. Apart from `Closed` and `Reset`, because HTTP clients retry it.
    StaleReset,
    /// A status other than 200.
    Status(u16),
    /// Not finished in time.
    TimedOut,
    /// A whole answer whose body the load's `worker_from` did not recognise.
    Unexpected,
}

impl Outcome {
    /// Whether the whole expected answer came.
    pub fn is_complete(self) -> bool {
        matches!(self, Outcome::Complete { .. })
    }

    /// The kind of outcome, for counting: the same with the worker left out.
    #[must_use]
    pub fn kind(self) -> Outcome {
        if self.is_complete() {
            Outcome::Complete { worker: None }
        } else {
            self
        }
    }

    /// What a failed connect means.
    pub(super) fn of_connect(error: Errno) -> Outcome {
        match error {
            Errno::CONNREFUSED => Outcome::Refused,
            Errno::TIMEDOUT => Outcome::TimedOut,
            other => Outcome::ConnectFailed(other.raw_os_error()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Closed => f.write_str("closed without answer"),
            Outcome::Complete { .. } => f.write_str("complete"),
            Outcome::ConnectFailed(errno) => write!(f, "connect failed (errno {errno})"),
            Outcome::Failed(errno) => write!(f, "failed (errno {errno})"),
            Outcome::Malformed => f.write_str("malformed"),
            Outcome::Refused => f.write_str("refused"),
            Outcome::Reset => f.write_str("reset"),
            Outcome::ShortBody => f.write_str("short body"),
            Outcome::StaleReset => f.write_str("stale reset"),
            Outcome::Status(status) => write!(f, "status {status}"),
            Outcome::TimedOut => f.write_str("timed out"),
            Outcome::Unexpected => f.write_str("unexpected body"),
        }
    }
}
