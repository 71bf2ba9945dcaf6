use std::time::Duration;

use super::ejection::Health;
use crate::mutation::{self, Mutation};
use crate::rotation::Weight;
use crate::{Slot, Tick};

/// A worker as the balancer sees it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Backend {
    pub(super) worker: u64,
    pub(super) slot: Slot,
    pub(super) weight: Weight,
    pub(super) standing: Standing,
    /// When it was first admitted.
    pub(super) since: Tick,
    pub(super) youth: Youth,
    /// How many requests are under way at it.
    pub(super) open: u32,
    /// What it has saved for its turn: see [`picking`](super::picking).
    pub(super) credit: i64,
    pub(super) health: Health,
}

/// What the master wants for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Admitted,
    /// It gets nothing new, and `Drained` is owed.
    Leaving,
    /// `Drained` was said.
    Left,
}

/// Whether it is spared at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Youth {
    /// It joined others that were there for a while.
    Spared,
    /// It came with the first.
    Unspared,
}

/// A full share, in parts that are small enough for fair comparisons.
pub(super) const WHOLE: u64 = 10_000;

/// The smallest share: it has to get warm by something.
const SMALLEST: u64 = WHOLE / 10;

impl Backend {
    pub(super) fn is_admitted(&self) -> bool {
        self.standing == Standing::Admitted
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.is_admitted() && self.health.ejected_until().is_some()
    }

    /// Whether it has been there for so long that it need not be spared.
    pub(super) fn is_seasoned(&self, slow_start: Duration, now: Tick) -> bool {
        self.since.after(slow_start) <= now
    }

    /// Which part of its weight counts: of [`WHOLE`].
    pub(super) fn share(&self, slow_start: Duration, now: Tick) -> u64 {
        let is_spared = self.youth == Youth::Spared && !mutation::is(Mutation::NewcomerUnspared);
        if !is_spared || self.is_seasoned(slow_start, now) {
            return WHOLE;
        }
        let whole = slow_start.as_micros().max(1);
        let part = now.since(self.since).as_micros() * u128::from(WHOLE) / whole;
        u64::try_from(part).unwrap_or(WHOLE).clamp(SMALLEST, WHOLE)
    }
}
