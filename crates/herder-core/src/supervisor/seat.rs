use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::phase::Phase;
use super::restart::History;
use crate::{Exit, Generation, Incarnation, Tick};

/// Who holds a slot, or why nobody does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Seat {
    /// The next start is delayed.
    Backoff {
        /// Until then.
        until: Tick,
        /// How many starts failed in a row.
        failures: u32,
    },
    /// Its worker ended by itself, and nobody follows: until a new generation, or a slot that comes
    /// back, begins anew.
    Done {
        /// How its worker ended; `None` when it could not be started.
        exit: Option<Exit>,
        /// What that says.
        completion: Completion,
    },
    /// This incarnation: when it is gone, the slot is empty.
    Held {
        /// Which.
        by: Incarnation,
    },
    /// A start is due, and waits because too many workers of the app drain.
    Owed {
        /// Since then: who waits longest is first.
        since: Tick,
        /// What kind of start.
        start: Start,
    },
    /// It was restarted too often and rests.
    Quarantined {
        /// It is tried again then.
        retry_at: Tick,
    },
    /// Nobody is wanted here.
    Stopped {
        /// How its last worker ended.
        last: Option<Exit>,
    },
}

/// What the end of a slot's last worker says of its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Completion {
    /// It ended as it was to.
    AsMeant,
    /// It failed, and is not to be tried again.
    Failed,
}

/// What has happened in a slot since the app was started, or since the counters were reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// How often a worker was started after the first, whatever for: restarts, recycling, reloads.
    pub restarts: u64,
    /// How many of its workers failed: they crashed, hung, were not ready in time, could not be
    /// started, broke the protocol, or were found broken.
    pub failures: u64,
}

/// Whether a start is limited by `max_restarts`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Start {
    /// A first start, or a planned one: it is not counted.
    Planned,
    /// It replaces a worker that died or announced its end, or follows a quarantine.
    Restart,
}

impl Seat {
    /// When something happens to it by itself.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match *self {
            Seat::Backoff { until, .. } => Some(until),
            Seat::Quarantined { retry_at } => Some(retry_at),
            Seat::Done { .. } | Seat::Held { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => {
                None
            }
        }
    }
}

/// A slot with everything that lives in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) seat: Seat,
    pub(super) workers: BTreeMap<Incarnation, Life>,
    pub(super) history: History,
    #[serde(default = "Tally::of_another_version")]
    pub(super) tally: Tally,
}

/// What the counters of a slot are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// How many workers were started, the first one included.
    pub(super) started: u64,
    pub(super) failed: u64,
}

impl Tally {
    /// A version that did not count had started a worker here.
    fn of_another_version() -> Tally {
        Tally {
            started: 1,
            failed: 0,
        }
    }

    pub(super) fn counters(self) -> Counters {
        Counters {
            restarts: self.started.saturating_sub(1),
            failures: self.failed,
        }
    }

    /// From now on is counted anew; who was started first stays the first.
    pub(super) fn reset(&mut self) {
        *self = Tally {
            started: self.started.min(1),
            failed: 0,
        };
    }
}

/// A live incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) generation: Generation,
    /// When its process was asked for.
    pub(super) born: Tick,
    pub(super) phase: Phase,
}

impl Place {
    pub(super) fn new() -> Place {
        Place {
            seat: Seat::Stopped { last: None },
            workers: BTreeMap::new(),
            history: History::default(),
            tally: Tally::default(),
        }
    }

    pub(super) fn phases(&self) -> impl Iterator<Item = Phase> {
        self.workers.values().map(|life| life.phase)
    }
}
