//! What can be wrong with a herd before it runs.

use std::fmt;
use std::io;

/// Why a herd cannot run.
///
/// `Debug` shows the same sentence as `Display`, so that a `main` which returns it prints a message
/// for people.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The process has run a herd already.
    #[error("a process can run one Cluster, and this one has run it")]
    AlreadyRun,
    /// A worker of a herd in one process was restarted too often.
    #[error("worker {slot} was restarted {restarts} times in a short time")]
    GaveUp {
        /// Its place.
        slot: u16,
        /// How often it was restarted within the window.
        restarts: u32,
    },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A library of a herd in one process cannot be built.
    #[error("library {name}: {problem}")]
    Library {
        /// Its name.
        name: String,
        /// What its setup said.
        problem: String,
    },
    /// It cannot listen where it is told to. Only in one process: else the master says so.
    #[error(transparent)]
    Listen(#[from] herder_sys::listener::ListenError),
    /// [`init`](crate::init) was not called.
    #[error(
        "herder::init() was not called: it must be the first statement of main, because every \
         process of the herd runs main (only Cluster::in_process() does without)"
    )]
    NotInitialised,
    /// A setting cannot be.
    #[error("Cluster::{method}: {problem}")]
    Setting {
        /// The method of [`Cluster`](crate::Cluster).
        method: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl fmt::Debug for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
