//! One fault in one operation.

use crate::deploy::Program;
use std::fmt;
use std::time::Duration;

/// What the herd is doing when the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Nothing but passing connections on.
    Dispatch,
    /// A new version is deployed.
    Reload,
    /// A version that dies is deployed, and rolled back.
    Rollback,
    /// A worker has been killed and another is started.
    Spawn,
    /// The master has been killed and another takes over.
    Takeover,
    /// The master becomes another build.
    Upgrade,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// The call that the process is about to make fails with this error of the kernel.
    Errno(i32),
    /// The process that takes the step is killed.
    Kill,
    /// The keeper is killed exactly then.
    KillKeeper,
    /// One of the workers is killed exactly then.
    KillWorker,
    /// The process that takes the step stands still for [`STANDSTILL`].
    Stop,
    /// The keeper stands still so long, from exactly then.
    StopKeeper,
    /// One of the workers stands still so long, from exactly then.
    StopWorker,
}

/// How long somebody stands still.
pub const STANDSTILL: Duration = Duration::from_secs(3);

/// One fault in one operation of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Who serves.
    pub program: Program,
    /// What the herd is doing.
    pub operation: Operation,
    /// Whose steps are counted: `master.*`, `dispatch.*`, `keeper.*`, `worker.*`, `probe.*`.
    pub steps: &'static str,
    /// At which of them it happens, counted from 1.
    pub nth: u64,
    /// What happens.
    pub deed: Deed,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 6] = [
        Operation::Spawn,
        Operation::Dispatch,
        Operation::Reload,
        Operation::Rollback,
        Operation::Takeover,
        Operation::Upgrade,
    ];

    /// Its name in the report and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Dispatch => "dispatch",
            Operation::Reload => "reload",
            Operation::Rollback => "rollback",
            Operation::Spawn => "spawn",
            Operation::Takeover => "takeover",
            Operation::Upgrade => "upgrade",
        }
    }

    /// Whose steps belong to it.
    pub fn steps(self) -> &'static [&'static str] {
        match self {
            Operation::Dispatch => &["dispatch.*"],
            Operation::Spawn | Operation::Reload | Operation::Rollback => &["master.*", "worker.*"],
            Operation::Takeover => &["master.*", "keeper.*", "worker.*"],
            Operation::Upgrade => &["master.*", "probe.*", "keeper.*"],
        }
    }
}

impl Deed {
    /// All of them.
    pub const ALL: [Deed; 7] = [
        Deed::Kill,
        Deed::Stop,
        Deed::Errno(24),
        Deed::KillWorker,
        Deed::StopWorker,
        Deed::KillKeeper,
        Deed::StopKeeper,
    ];

    /// What the process does that takes the step.
    pub(super) fn action(self) -> String {
        match self {
            Deed::Errno(number) => format!("errno={number}"),
            Deed::Kill => "kill".to_owned(),
            // Whoever takes the step waits there while it is done to another.
            Deed::KillKeeper
            | Deed::KillWorker
            | Deed::Stop
            | Deed::StopKeeper
            | Deed::StopWorker => "stop".to_owned(),
        }
    }

    /// Whether the herd ends of it.
    pub fn ends_the_herd(self, steps: &str) -> bool {
        self == Deed::KillKeeper || (self == Deed::Kill && steps.starts_with("keeper"))
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Errno(number) => f.pad(&format!("errno {number}")),
            Deed::Kill => f.pad("SIGKILL"),
            Deed::KillKeeper => f.pad("keeper SIGKILL"),
            Deed::KillWorker => f.pad("worker SIGKILL"),
            Deed::Stop => f.pad("SIGSTOP 3 s"),
            Deed::StopKeeper => f.pad("keeper SIGSTOP 3 s"),
            Deed::StopWorker => f.pad("worker SIGSTOP 3 s"),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {} at {} number {}",
            self.program.name(),
            self.operation.name(),
            self.deed,
            self.steps,
            self.nth
        )
    }
}
