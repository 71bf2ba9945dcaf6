//! The parts of a herd that are supervised each on their own.

use crate::event::{HerdEvent, WorkerInfo};

/// A part of a herd: processes of one kind, with a supervisor and a restart budget of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    /// The process at which the clients' connections end.
    Gateway,
    /// The processes that do the business.
    Workers,
}

/// What no other process of a herd has, dead or alive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ProcessId {
    pub(crate) part: Part,
    /// Its life, counted within its part.
    pub(crate) life: u64,
}

/// One process of a herd, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) part: Part,
    /// Its place, its life and its number, counted within its part.
    pub(crate) info: WorkerInfo,
}

impl Part {
    /// An event, said of this part.
    pub(crate) fn said(self, event: HerdEvent) -> HerdEvent {
        match self {
            Part::Gateway => HerdEvent::Gateway(Box::new(event)),
            Part::Workers => event,
        }
    }
}

impl Process {
    pub(crate) fn id(self) -> ProcessId {
        ProcessId {
            part: self.part,
            life: self.info.id,
        }
    }
}
