use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Tick;

/// A moment of the wall clock: milliseconds since 1970-01-01 00:00 UTC.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(i64);

/// The present, by both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// By the clock on the wall, which may be set.
    pub wall: Wall,
    /// By the clock that never goes back.
    pub tick: Tick,
}

/// The times at which a job is due.
pub trait Calendar {
    /// The first time after `after`; `None` when there is none.
    fn next_after(&self, after: Wall) -> Option<Wall>;
}

impl Wall {
    /// The moment `millis` milliseconds after the beginning of 1970, UTC.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Wall {
        Wall(millis)
    }

    /// Milliseconds since the beginning of 1970, UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment plus `delay`; saturates at the end of time.
    #[must_use]
    pub fn after(self, delay: Duration) -> Wall {
        let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        Wall(self.0.saturating_add(millis))
    }

    /// This moment less `span`; saturates at the beginning of time.
    #[must_use]
    pub fn before(self, span: Duration) -> Wall {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Wall(self.0.saturating_sub(millis))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Wall) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}
