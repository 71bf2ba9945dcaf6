//! One fault in one operation.

use crate::deploy::Program;
use crate::interpreter::Node;
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

/// Who serves in the matrix.
pub const PROGRAMS: [Program; 4] = [
    Program::Native,
    Program::NativeShared,
    Program::Node(Node::Version(20)),
    Program::Python,
];

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

    /// The one of this name.
    pub(super) fn of_name(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Which of [`Operation::steps`] this step is one of.
    pub(super) fn steps_of(self, step: &str) -> Option<&'static str> {
        let mut all = self.steps().iter().copied();
        all.find(|steps| step.starts_with(steps.trim_end_matches('*')))
    }

    /// How many steps of it are played, and one more. To pass connections on has no end, and few kinds of steps.
    pub(super) fn most_steps(self) -> u64 {
        /// More steps than any operation has: beyond, something never ends.
        const MOST_STEPS: u64 = 200;
        match self {
            Operation::Dispatch => 25,
            Operation::Reload
            | Operation::Rollback
            | Operation::Spawn
            | Operation::Takeover
            | Operation::Upgrade => MOST_STEPS,
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

    /// The one that is shown so.
    pub(super) fn of_name(name: &str) -> Option<Deed> {
        Deed::ALL.into_iter().find(|it| it.to_string() == name)
    }

    /// What happens, whoever it happens to.
    pub(super) fn fault(self) -> String {
        match self {
            Deed::Errno(_) => self.to_string(),
            Deed::Kill | Deed::KillKeeper | Deed::KillWorker => Deed::Kill.to_string(),
            Deed::Stop | Deed::StopKeeper | Deed::StopWorker => Deed::Stop.to_string(),
        }
    }

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

impl Cell {
    /// The cell of the same row at another of its steps.
    #[must_use]
    pub fn at(self, nth: u64) -> Cell {
        Cell { nth, ..self }
    }

    /// Whether both are of one row: they differ in the number of the step alone.
    pub(super) fn is_of_row(&self, other: &Cell) -> bool {
        self.at(1) == other.at(1)
    }

    /// Whether a master dies, be it of the operation.
    pub(super) fn ends_master(&self) -> bool {
        let is_masters = |who| self.steps.starts_with(who);
        self.operation == Operation::Takeover
            || (self.deed == Deed::Kill && ["master", "dispatch"].into_iter().any(is_masters))
    }

    /// Whether the keeper dies while there may be no master: before the next one has begun, or while it becomes
    /// another build, which needs the keeper to begin. Then nobody is left who could clean up.
    pub(super) fn may_leave(&self) -> bool {
        let is_between = matches!(self.operation, Operation::Takeover | Operation::Upgrade);
        is_between && self.deed.ends_the_herd(self.steps)
    }

    /// Where it stands in a report.
    pub(super) fn place(&self) -> (&'static str, Operation, &'static str, Deed, u64) {
        let program = self.program.name();
        (program, self.operation, self.steps, self.deed, self.nth)
    }

    /// To whom it happens.
    pub(super) fn victim(&self) -> &'static str {
        let (who, _) = self.steps.split_once('.').unwrap_or((self.steps, ""));
        match (self.deed, who) {
            (Deed::KillKeeper | Deed::StopKeeper, _) | (_, "keeper") => "keeper",
            (Deed::KillWorker | Deed::StopWorker, _) | (_, "worker") => "worker",
            (_, "master") if self.operation == Operation::Takeover => "new master",
            (_, "probe") => "new master",
            _ => "master",
        }
    }

    /// The program of the matrix that is called so in reports.
    pub(super) fn program_of_name(name: &str) -> Option<Program> {
        PROGRAMS.into_iter().find(|program| program.name() == name)
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
