//! What the books are told, and what they want done.

use std::collections::BTreeMap;
use std::path::PathBuf;

use herder_api::control::{Progress, StepKind};
use herder_api::herd::{HerdAnswer, HerdOrder, HerdRequest};
use herder_api::status::HerdStatus;
use herder_api::{App, Problem};
use serde::{Deserialize, Serialize};

use super::entry::Pace;
use super::list::Rest;

/// An app's number.
pub(crate) type AppId = u32;

/// The number of something that somebody asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CourseId(pub(crate) u64);

/// A moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Now {
    /// Milliseconds of a clock that never leaps.
    pub(crate) mono: u64,
    /// Milliseconds since 1970.
    pub(crate) wall: u64,
}

/// What an app is, and for whom.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// What to run.
    pub(crate) app: App,
    /// The environment of whoever started it.
    #[serde(default)]
    pub(crate) inherited: BTreeMap<String, String>,
    /// Which profile of variables is chosen.
    #[serde(default)]
    pub(crate) profile: Option<String>,
    /// The file that it was applied or started from.
    #[serde(default)]
    pub(crate) source: Option<PathBuf>,
}

/// Told of one life of a herd.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum News {
    /// Nobody is there to be adopted.
    Absent,
    /// Its master greets.
    Connected(Box<HerdStatus>),
    /// Something changed.
    Status(Box<HerdStatus>),
    /// It has ended by itself, or is about to: `outcome` of its last event.
    Finished {
        /// `boot_failed`, `stopped`, `completed`, `failed`.
        outcome: String,
        /// What the worker printed last that was the reason.
        last_lines: Vec<String>,
    },
    /// A worker of a slot has failed.
    Died {
        /// Which.
        slot: u16,
        /// How, as its herd said it.
        how: String,
    },
    /// An answer to a request.
    Answer {
        /// Its number.
        request: u64,
        /// What became of it.
        answer: Result<HerdAnswer, Problem>,
    },
    /// The connection with its master is lost. Its keeper may live.
    Lost,
    /// The keeper is dead, or could not be started.
    Gone {
        /// How, as far as is known.
        end: End,
        /// What it complained of on stderr.
        complaint: Vec<String>,
    },
}

/// How a keeper ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// With an exit status.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It was nobody's child any more, so nobody knows.
    Unknown,
    /// It was never started.
    NotStarted(String),
}

/// What is to be done with one app.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Todo {
    /// It shall run.
    Start,
    /// It shall not.
    Stop(Pace),
    /// The daemon ends, and it with it.
    End(Rest),
    /// It is stopped and started, perhaps as something else.
    Restart(Option<Box<Definition>>),
    /// New workers take over; a herd that does not run is started.
    Reload(Option<Box<Definition>>),
    /// It leaves the list.
    Delete,
    /// So many workers, and perhaps other settings that touch no process.
    Scale(u16, Option<Box<Definition>>),
    /// Settings that touch no process.
    Update(Box<Definition>),
    /// Its herd is asked for something that is done at once.
    Request(HerdRequest),
}

impl Todo {
    /// As people call it.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Todo::Start => "start",
            Todo::Stop(_) | Todo::End(_) => "stop",
            Todo::Restart(_) => "restart",
            Todo::Reload(_) => "reload",
            Todo::Delete => "delete",
            Todo::Scale(..) => "scale",
            Todo::Update(_) => "update",
            Todo::Request(request) => match request {
                HerdRequest::Signal { .. } => "signal",
                HerdRequest::Send { .. } => "send",
                HerdRequest::Fail { .. } => "fail",
                HerdRequest::Reset => "reset",
                HerdRequest::ReopenLogs => "reopen_logs",
                HerdRequest::FlushLogs => "flush",
                HerdRequest::Upgrade => "upgrade",
                HerdRequest::Reload => "reload",
                HerdRequest::Scale { .. } => "scale",
                HerdRequest::Stop { .. } => "stop",
                HerdRequest::Status => "status",
            },
        }
    }

    /// Which step of a plan this is.
    pub(crate) fn of_step(kind: StepKind, definition: Definition, workers: u16) -> Option<Todo> {
        let definition = Box::new(definition);
        Some(match kind {
            StepKind::Keep => return None,
            StepKind::Update => Todo::Update(definition),
            StepKind::Scale => Todo::Scale(workers, Some(definition)),
            StepKind::Reload => Todo::Reload(Some(definition)),
            StepKind::Restart => Todo::Restart(Some(definition)),
            StepKind::Start => Todo::Start,
            StepKind::Delete => Todo::Delete,
        })
    }
}

/// What the books want done. It is done in this order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Do {
    /// Write the order, start a keeper, and connect. News follow with this life.
    Launch {
        id: AppId,
        life: u64,
        order: Box<HerdOrder>,
    },
    /// Look whether a herd runs, and connect. News follow with this life.
    Adopt {
        id: AppId,
        life: u64,
        order: Box<HerdOrder>,
    },
    /// Write the order, for the next reload or the next master.
    WriteOrder { order: Box<HerdOrder> },
    /// Ask the herd.
    Ask {
        id: AppId,
        life: u64,
        request: u64,
        what: HerdRequest,
    },
    /// End the keeper.
    End { id: AppId, life: u64, how: Ending },
    /// Empty the log files of a herd that does not run.
    Flush { definition: Box<Definition> },
    /// Remove what was kept for the herd of that name.
    Forget { name: String },
    /// Say how far it has come.
    Tell {
        course: CourseId,
        progress: Progress,
    },
    /// That was the last word.
    Close { course: CourseId },
    /// Write the list, before anything that follows from it.
    Save,
    /// Write the list soon: what is new in it would be found out again.
    Jot,
    /// Say what happened.
    Note {
        app: String,
        event: &'static str,
        level: &'static str,
        message: String,
    },
    /// The daemon ends.
    Leave,
}

/// How a keeper is ended that cannot be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// In order.
    Term,
    /// Its workers are killed.
    Fast,
    /// With its master. Nobody cleans up.
    Kill,
}
