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
            Seat::Held { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => None,
        }
    }
}

/// A slot with everything that lives in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) seat: Seat,
    pub(super) workers: BTreeMap<Incarnation, Life>,
    pub(super) history: History,
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
        }
    }

    pub(super) fn phases(&self) -> impl Iterator<Item = Phase> {
        self.workers.values().map(|life| life.phase)
    }
}
