use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Cause, DrainReason};
use super::recycle::{Due, Limits};
use crate::Tick;
use crate::spec::LifePolicy;

/// Where an incarnation is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// It hung and was told to abort; nothing it says can save it any more.
    Aborting {
        /// Killed then.
        kill_at: Tick,
        /// What it had been worth.
        standing: Standing,
        /// Why.
        #[serde(default = "hang")]
        cause: Cause,
    },
    /// It finishes what it has, then leaves.
    Draining {
        /// Killed then.
        kill_at: Tick,
        /// Why it leaves.
        reason: DrainReason,
    },
    /// It was killed, and its death has not been seen.
    Killing {
        /// When it was killed first.
        since: Tick,
        /// When it is killed again.
        again_at: Tick,
        /// Why.
        cause: Cause,
        /// What it had been worth.
        standing: Standing,
    },
    /// It serves.
    Ready {
        /// Its time in service.
        tenure: Tenure,
    },
    /// It shall leave, but whether its process exists is not known yet.
    Recalled {
        /// Killed then.
        kill_at: Tick,
        /// Why it leaves.
        reason: DrainReason,
    },
    /// Its process was asked for.
    Spawning {
        /// Killed then.
        deadline: Tick,
    },
    /// Its process exists and is not ready.
    Starting {
        /// Killed then.
        deadline: Tick,
        /// Taken for ready then, should it not say so itself.
        presumed_at: Option<Tick>,
    },
    /// A worker of a new generation has its place: it keeps what it has, gets nothing new, and may be
    /// called back.
    Standby {
        /// Its time in service.
        tenure: Tenure,
    },
    /// It was ready and sends no heartbeat: it keeps what it has and gets nothing new.
    Suspect {
        /// When it became suspect.
        since: Tick,
        /// Its time in service.
        tenure: Tenure,
    },
    /// It gets nothing new; what it had not received is being taken back.
    Withdrawing {
        /// Killed then.
        kill_at: Tick,
        /// Why it leaves.
        reason: DrainReason,
    },
}

/// The service of a worker since it became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tenure {
    /// When it became ready.
    pub since: Tick,
    /// Its last sign of life.
    pub beat: Tick,
    /// When it is to be recycled.
    pub limits: Limits,
    /// The limit that it has reached, if any.
    pub due: Option<Due>,
}

/// What an incarnation had proved when its end began: it decides how it is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// It was ready, but not for long.
    Brief,
    /// It was ready for `stable` at least.
    Stable,
    /// It was never ready.
    Unready,
}

impl Phase {
    /// Whether it holds connections and may get more, now or when it beats again.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        matches!(self, Phase::Ready { .. } | Phase::Suspect { .. })
    }

    /// Whether it may become ready.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        matches!(self, Phase::Spawning { .. } | Phase::Starting { .. })
    }

    /// Whether it was told to leave and still may do so by itself.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self, Phase::Withdrawing { .. } | Phase::Draining { .. })
    }

    /// The same, but for whom a reload or a rollback has sent away: what `max_draining` counts.
    pub(super) fn is_leaving_for_another(&self) -> bool {
        match self {
            Phase::Draining { reason, .. } | Phase::Withdrawing { reason, .. } => {
                !matches!(reason, DrainReason::Replaced | DrainReason::RolledBack)
            }
            Phase::Aborting { .. }
            | Phase::Killing { .. }
            | Phase::Ready { .. }
            | Phase::Recalled { .. }
            | Phase::Spawning { .. }
            | Phase::Standby { .. }
            | Phase::Starting { .. }
            | Phase::Suspect { .. } => false,
        }
    }

    /// Why a worker that ends in this phase has ended.
    pub(super) fn cause(&self) -> Cause {
        match *self {
            Phase::Aborting { cause, .. } | Phase::Killing { cause, .. } => cause,
            Phase::Draining { reason, .. }
            | Phase::Recalled { reason, .. }
            | Phase::Withdrawing { reason, .. } => Cause::Planned(reason),
            Phase::Ready { .. }
            | Phase::Spawning { .. }
            | Phase::Standby { .. }
            | Phase::Starting { .. }
            | Phase::Suspect { .. } => Cause::Crash,
        }
    }

    /// When something happens to it if it says nothing.
    pub(super) fn deadline(&self, life: &LifePolicy) -> Option<Tick> {
        match *self {
            Phase::Aborting { kill_at, .. }
            | Phase::Draining { kill_at, .. }
            | Phase::Recalled { kill_at, .. }
            | Phase::Withdrawing { kill_at, .. } => Some(kill_at),
            Phase::Killing { again_at, .. } => Some(again_at),
            Phase::Ready { tenure } => earliest(tenure.silent_at(life), tenure.expires_at()),
            Phase::Spawning { deadline } => Some(deadline),
            Phase::Standby { tenure } => tenure.hung_at(life),
            Phase::Starting {
                deadline,
                presumed_at,
            } => earliest(Some(deadline), presumed_at),
            Phase::Suspect { since, .. } => Some(since.after(life.hang_kill)),
        }
    }

    /// How long it has been in service.
    pub(super) fn served(&self, now: Tick) -> Duration {
        match self {
            Phase::Ready { tenure } | Phase::Standby { tenure } | Phase::Suspect { tenure, .. } => {
                now.since(tenure.since)
            }
            Phase::Aborting { .. }
            | Phase::Draining { .. }
            | Phase::Killing { .. }
            | Phase::Recalled { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Withdrawing { .. } => Duration::ZERO,
        }
    }

    /// What a worker that ends in this phase at `now` had proved.
    ///
    /// Silence is no proof of health: a suspect's service ended with its last beat.
    pub(super) fn standing(&self, now: Tick, stable: Duration) -> Standing {
        match *self {
            Phase::Aborting { standing, .. } | Phase::Killing { standing, .. } => standing,
            Phase::Ready { tenure } => tenure.standing(now, stable),
            Phase::Standby { tenure } | Phase::Suspect { tenure, .. } => {
                tenure.standing(tenure.beat, stable)
            }
            Phase::Draining { .. }
            | Phase::Recalled { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Withdrawing { .. } => Standing::Unready,
        }
    }
}

impl Tenure {
    /// What it proves when it ended then.
    pub(super) fn standing(&self, end: Tick, stable: Duration) -> Standing {
        if end.since(self.since) >= stable {
            Standing::Stable
        } else {
            Standing::Brief
        }
    }

    /// When it becomes suspect without another beat.
    pub(super) fn silent_at(&self, life: &LifePolicy) -> Option<Tick> {
        life.hang.map(|hang| self.beat.after(hang))
    }

    /// When it counts as hung without another beat, though nothing new depends on it.
    pub(super) fn hung_at(&self, life: &LifePolicy) -> Option<Tick> {
        self.silent_at(life).map(|at| at.after(life.hang_kill))
    }

    /// When its lifetime ends, unless it is to be recycled anyway.
    pub(super) fn expires_at(&self) -> Option<Tick> {
        match self.due {
            None => self.limits.lifetime_ends,
            Some(_) => None,
        }
    }
}

/// Why a version aborted that had one reason only.
fn hang() -> Cause {
    Cause::Hang
}

/// The earlier of two moments, of which either may never come.
pub(super) fn earliest(a: Option<Tick>, b: Option<Tick>) -> Option<Tick> {
    a.into_iter().chain(b).min()
}
