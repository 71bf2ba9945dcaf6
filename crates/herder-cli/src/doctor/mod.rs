//! What the kernel, its limits and the home allow: [`gather`] looks, [`check`] judges.

mod checks;
mod facts;
mod gather;
mod home;
mod proxies;
mod services;

use serde::Serialize;

pub(crate) use checks::check;
pub(crate) use facts::{Answered, Build};
pub(crate) use gather::{build, gather};

/// What came of a check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) subject: &'static str,
    /// How it is.
    pub(crate) level: Level,
    /// What was found.
    pub(crate) text: String,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cure: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// herder works, but not as well as it could.
    Warning,
    /// Something does not work.
    Problem,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            subject,
            level: Level::Ok,
            text: text.into(),
            cure: None,
        }
    }

    fn warning(subject: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding {
            level: Level::Warning,
            cure: Some(cure.into()),
            ..Finding::ok(subject, text)
        }
    }

    fn problem(subject: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding {
            level: Level::Problem,
            ..Finding::warning(subject, text, cure)
        }
    }
}
