//! Why a script cannot be run.

use std::path::PathBuf;

use super::program::ProgramError;
use crate::run::words::Setting;

/// Why a script cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("cannot read the script {path:?}: {problem}")]
    NoScript { path: PathBuf, problem: String },
    #[error("{path:?} is no script that herder knows how to run; {cure}")]
    UnknownScript { path: PathBuf, cure: String },
    #[error("{name} {problem}; {cure}")]
    Wrapper {
        name: String,
        problem: &'static str,
        cure: String,
    },
    #[error(
        "{0:?} is a directory without a script: its package.json names no main that is there, and it has \
         no index.js; name the script"
    )]
    NoEntry(PathBuf),
    #[error("{0}: with it the script would never run; leave it out")]
    NotRun(String),
    #[error("{}: only a SCRIPT can be told so; {}", .0, .0.leave_out())]
    NoNode(Setting),
    #[error(
        "{}: a Node program listens by itself; {}, or add {}", .0,
        .0.leave_out(), .0.other("send_handle").with("NAME")
    )]
    ListensItself(Setting),
    #[error("{}: say with {} where the herd listens", .0, .0.other("listen"))]
    NothingToSend(Setting),
    #[error("{0}: name the message that the listener goes with, such as server")]
    NamelessHandle(Setting),
    #[error(
        "{setting}: a Node program listens by itself, and says so: {cure}; {}", .setting.leave_out()
    )]
    SaysItself {
        setting: Setting,
        cure: &'static str,
    },
    #[error("{}: with {} a worker is ready when it has the handle", .0, .0.other("send_handle"))]
    ReadyTwice(Setting),
    #[error("{}: a Node program sends no heartbeat; {}", .0, .0.leave_out())]
    NoHeartbeat(Setting),
    #[error(
        "{}: nobody counts the connections that a Node program holds open; use round-robin, \
         two-choices or ip-hash", .0.with("least-connections")
    )]
    NoCount(Setting),
    #[error(
        "bun listens for itself, and the kernel chooses the worker; leave {} and {} out",
        .0.with(.1), .0.other("policy")
    )]
    BunListens(Setting, &'static str),
    #[error("{}: deno takes the listener and never serves; {}", .0.with(.1), .0.leave_out())]
    DenoDoesNotShare(Setting, &'static str),
    #[error(transparent)]
    Interpreter(#[from] ProgramError),
}
