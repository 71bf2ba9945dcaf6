//! The parts of a herd that are supervised each on their own.

use std::fmt;

use crate::event::{HerdEvent, LibraryInfo, WorkerInfo};

/// A part of a herd: processes of one kind, with a supervisor and a restart budget of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    /// The process at which the clients' connections end.
    Gateway,
    /// A process with which the workers share what only one can have.
    Library(LibraryInfo),
    /// The processes that do the business.
    Workers,
}

/// A part as a number: 0 the workers, 1 the gateway, from 2 on the libraries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PartNumber(pub(crate) u8);

/// What no other process of a herd has, dead or alive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ProcessId {
    pub(crate) part: PartNumber,
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

impl PartNumber {
    pub(crate) const WORKERS: PartNumber = PartNumber(0);
    /// The number of the first library.
    pub(crate) const LIBRARIES: u8 = 2;
}

impl Part {
    /// An event, said of this part.
    pub(crate) fn said(self, event: HerdEvent) -> HerdEvent {
        match self {
            Part::Gateway => HerdEvent::Gateway(Box::new(event)),
            Part::Library(library) => HerdEvent::Library(library, Box::new(event)),
            Part::Workers => event,
        }
    }

    /// What no other part of the herd has.
    pub(crate) fn number(self) -> PartNumber {
        PartNumber(match self {
            Part::Workers => PartNumber::WORKERS.0,
            Part::Gateway => 1,
            Part::Library(library) => PartNumber::LIBRARIES + library.place,
        })
    }

    /// The part that an event tells of, and what it tells.
    pub(crate) fn told(event: &HerdEvent) -> (Part, &HerdEvent) {
        if let HerdEvent::Gateway(event) = event {
            (Part::Gateway, event)
        } else if let HerdEvent::Library(library, event) = event {
            (Part::Library(*library), event)
        } else {
            (Part::Workers, event)
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Gateway => f.write_str("a gateway"),
            Part::Library(library) => write!(f, "the library {}", library.name),
            Part::Workers => f.write_str("workers"),
        }
    }
}

impl Process {
    pub(crate) fn id(self) -> ProcessId {
        ProcessId {
            part: self.part.number(),
            life: self.info.id,
        }
    }
}
