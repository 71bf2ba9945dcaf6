//! What went wrong, for people and programs.

use serde::{Deserialize, Serialize};

/// Why something was not done. Nothing that ran before was disturbed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct Problem {
    /// What kind of thing went wrong.
    pub kind: ProblemKind,
    /// A whole sentence.
    pub message: String,
    /// What would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where it stands: `FILE:LINE`, or the name of a setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What a process printed last, when its end is the reason: as it wrote it, so escape it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// Kinds of problems. Each has its exit status of the command and its status of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProblemKind {
    /// What was asked for makes no sense: arguments, a file, a body.
    Invalid,
    /// There is no such app, worker or file.
    NotFound,
    /// It conflicts with what runs, or with another operation under way.
    Conflict,
    /// The app did not start: no worker of it became ready.
    BootFailed,
    /// The address cannot be listened at.
    CannotListen,
    /// It was begun and rolled back, or failed.
    Failed,
    /// Who asks may not.
    Forbidden,
    /// There are too many who ask, or it took too long.
    Busy,
    /// A defect of herder's own, or of the machine.
    Internal,
}

impl Problem {
    /// A problem that is told by one sentence.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Problem {
        Problem {
            kind,
            message: message.into(),
            hint: None,
            place: None,
            last_lines: Vec::new(),
        }
    }

    /// With what would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// With where it stands.
    #[must_use]
    pub fn place(mut self, place: impl Into<String>) -> Problem {
        self.place = Some(place.into());
        self
    }
}

impl ProblemKind {
    /// The status that the command ends with.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            ProblemKind::Failed | ProblemKind::Conflict | ProblemKind::Busy => 1,
            ProblemKind::Invalid => 2,
            ProblemKind::BootFailed => 3,
            ProblemKind::CannotListen => 4,
            ProblemKind::NotFound => 5,
            ProblemKind::Forbidden => 77,
            ProblemKind::Internal => 70,
        }
    }

    /// The status of the answer by HTTP.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            ProblemKind::Invalid => 400,
            ProblemKind::Forbidden => 403,
            ProblemKind::NotFound => 404,
            ProblemKind::Conflict => 409,
            ProblemKind::BootFailed | ProblemKind::CannotListen | ProblemKind::Failed => 422,
            ProblemKind::Busy => 503,
            ProblemKind::Internal => 500,
        }
    }
}
