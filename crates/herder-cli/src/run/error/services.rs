//! Why the built-in library cannot be.

use std::path::PathBuf;

use herder_services::library::OpenError;

use crate::run::words::Setting;

/// Why the built-in library cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServicesError {
    #[error("--{option} {name}: it is given twice; leave one out")]
    Twice { option: &'static str, name: String },
    #[error("{0}: {1}")]
    Entry(Setting, String),
    #[error(
        "{}: say where the store is, for instance {}",
        .0.with("store"), .0.other("store").with("redis://127.0.0.1:6379")
    )]
    NoStore(Setting),
    #[error("{0}: {1}")]
    Store(Setting, OpenError),
    #[error("{setting} {path:?}: {problem}; a file is made, but its directory must be there")]
    Place {
        setting: Setting,
        path: PathBuf,
        problem: String,
    },
    #[error(
        "{}: so the library of {}, {}, {} and {} is called; choose another name", .0,
        .0.other("state"), .0.other("jobs_file"), .0.other("jobs"), .0.other("bus")
    )]
    Name(Setting),
    #[error(transparent)]
    Other(OpenError),
}
