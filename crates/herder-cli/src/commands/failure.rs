//! How a verb can fail.

use std::io;

use herder_api::Problem;
use herder_client::Error;

use crate::render::problem::problem;
use crate::render::{Format, Screen};

/// How a verb ends.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a verb was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What is to be said. The first decides the exit status.
    Problems(Vec<Problem>),
    /// The daemon was not reached, or said no.
    Daemon(Error),
    /// All was said already; the exit status.
    Told(u8),
    /// Nobody reads what is printed any more: there is nothing to do, and nobody to tell.
    NoReader,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problems(vec![problem])
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Failure {
        Failure::Problems(problems)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Daemon(error)
    }
}

impl From<io::Error> for Failure {
    /// Of printing. (Every other error of the system becomes a sentence where it happens.)
    fn from(_: io::Error) -> Failure {
        Failure::NoReader
    }
}

impl Failure {
    /// The exit status of the command.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Problems(problems) => {
                problems.first().map_or(1, |first| first.kind.exit_status())
            }
            Failure::Daemon(error) => error.exit_status(),
            Failure::Told(status) => *status,
            Failure::NoReader => 0,
        }
    }

    /// Says it.
    pub(crate) fn tell(&self, screen: Screen, format: Format) {
        let problems = match self {
            Failure::Problems(problems) => problems.as_slice(),
            Failure::Daemon(error) => std::slice::from_ref(error.problem()),
            Failure::Told(_) | Failure::NoReader => &[],
        };
        for one in problems {
            screen.tell(&match format {
                Format::Text => problem(one, None, screen.err),
                Format::Json => json(one),
            });
        }
    }
}

fn json(problem: &Problem) -> String {
    let text = serde_json::to_string(problem);
    text.expect("a problem's fields are text") + "\n"
}
