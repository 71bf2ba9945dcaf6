//! Why something was not answered.

use std::io;
use std::path::Path;

use herder_api::Problem;
use herder_api::problem::ProblemKind;

/// Why there is no answer, or not the wanted one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The daemon says why not.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The daemon was not reached, could not be started, or went away before it answered.
    #[error("{0}")]
    Unreachable(Problem),
}

/// The status that the command ends with when the daemon is not reached.
const UNREACHABLE: u8 = 6;

impl Error {
    /// What to say about it.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        match self {
            Error::Problem(problem) | Error::Unreachable(problem) => problem,
        }
    }

    /// The status that the command ends with: that of the problem, or 6 when the daemon was not reached.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Problem(problem) => problem.kind.exit_status(),
            Error::Unreachable(_) => UNREACHABLE,
        }
    }

    /// Nobody takes the connection.
    pub(crate) fn absent(socket: &Path, error: &io::Error) -> Error {
        let at = socket.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            let message = format!("You may not speak with the daemon at {at}: {error}.");
            let problem = Problem::new(ProblemKind::Forbidden, message)
                .hint("Only its owner and root may; run the command as that user.");
            return Error::Problem(problem);
        }
        let message = format!("No daemon answers at {at}: {error}.");
        Error::Unreachable(Problem::new(ProblemKind::Busy, message))
    }

    /// It was there, and went away or fell silent before it had answered.
    pub(crate) fn lost(what: &str, why: &str) -> Error {
        unreachable(format!("The daemon {why} before it had answered {what}."))
    }

    /// It went away when it had told a part.
    pub(crate) fn cut(what: &str) -> Error {
        unreachable(format!(
            "The daemon went away in the middle of its answer to {what}."
        ))
    }

    /// It answers something that this client does not know.
    pub(crate) fn strange(what: &str, why: &dyn std::fmt::Display) -> Error {
        let message = format!("The daemon's answer to {what} makes no sense: {why}.");
        Error::Problem(
            Problem::new(ProblemKind::Internal, message).hint(
                "Another version of herder may be running; `herder upgrade` makes it this one.",
            ),
        )
    }
}

fn unreachable(message: String) -> Error {
    Error::Unreachable(
        Problem::new(ProblemKind::Busy, message)
            .hint("What has become of it, `herder list` shows."),
    )
}
