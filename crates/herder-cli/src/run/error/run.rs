//! Why a description makes no herd.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use herder_api::Problem;

use super::library::LibraryError;
use super::node::NodeError;
use super::own::OwnError;
use super::program::ProgramError;
use super::proxy::ProxyError;
use super::services::ServicesError;
use crate::run::words::Setting;

/// Why a description makes no herd.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(
        "say what is to run: herder run SCRIPT for a Node program, herder run -- PROGRAM for any other, \
         herder run FILE for what herder.toml or PM2's ecosystem file defines"
    )]
    Nothing,
    #[error("{setting}: {problem}")]
    Wrong { setting: Setting, problem: String },
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("{0}: only a file that defines apps can be told so; leave the option out")]
    NoFile(&'static str),
    #[error("{given}: {path:?} says it; leave it out here, and change it there")]
    SaidByFile { given: String, path: PathBuf },
    #[error("{}{}", .0.place.as_deref().map_or_else(String::new, |it| format!("{it}: ")), .0.message)]
    Problem(Problem),
    #[error(transparent)]
    Own(#[from] OwnError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Services(#[from] ServicesError),
    #[error("{}: a foreign program has no channel on which connections could be passed; use {} (or auto)",
        .0.with("pass"), .0.with("shared"))]
    NoChannel(Setting),
    #[error(
        "{}: in shared mode the kernel gives a connection to whichever worker is first; {}",
        .0.with(.1), .0.leave_out()
    )]
    NoPolicy(Setting, String),
    #[error(
        "{}: in shared mode nobody counts a program's requests; use {} or {}", .0,
        .0.other("max_lifetime"), .0.other("max_memory")
    )]
    NoCount(Setting),
    #[error("{}: only what is opened by {} has it; {}", .0, .0.other("listen"), .0.leave_out())]
    NothingOpened(Setting),
    #[error(
        "{setting} {after:?}: a worker that is not ready within {} ({limit:?}) is killed; make one \
         shorter or the other longer", .setting.other("boot_timeout")
    )]
    ReadyTooLate {
        setting: Setting,
        after: Duration,
        limit: Duration,
    },
    #[error("{setting} {given:?}: {problem}")]
    Unusable {
        setting: Setting,
        given: OsString,
        problem: String,
    },
}
