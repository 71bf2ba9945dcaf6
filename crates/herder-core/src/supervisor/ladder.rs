//! How an incarnation is brought to its end: withdraw, drain, kill.

use std::time::Duration;

use super::message::{Action, Cause, DrainReason, Notice};
use super::phase::{Phase, Standing};
use super::state::Supervisor;
use crate::mutation::{self, Mutation};
use crate::{Tick, WorkerId};

/// A killed worker that still lives is killed again after this long: its group may have forked.
const KILL_AGAIN: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Tells a worker to leave, as gracefully as its phase allows. One that leaves already is left
    /// alone.
    pub(super) fn leave(&mut self, worker: WorkerId, reason: DrainReason, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        let kill_at = now.after(self.spec.life.grace);
        match phase {
            Phase::Ready { .. } | Phase::Standby { .. } | Phase::Suspect { .. } => {
                self.announce_leave(worker, reason);
                self.withdraw(worker, reason);
                self.set_phase(worker, Phase::Withdrawing { kill_at, reason });
            }
            Phase::Starting { .. } => {
                self.announce_leave(worker, reason);
                self.act(Action::Drain { worker, reason });
                self.set_phase(worker, Phase::Draining { kill_at, reason });
            }
            Phase::Spawning { .. } => self.set_phase(worker, Phase::Recalled { kill_at, reason }),
            Phase::Aborting { .. }
            | Phase::Draining { .. }
            | Phase::Killing { .. }
            | Phase::Recalled { .. }
            | Phase::Withdrawing { .. } => {}
        }
    }

    /// The dispatcher gives it nothing more: it may finish what it has.
    pub(super) fn drain_withdrawn(&mut self, worker: WorkerId, reason: DrainReason, kill_at: Tick) {
        if !mutation::is(Mutation::StopLadderSwapped) {
            self.act(Action::Drain { worker, reason });
        }
        self.set_phase(worker, Phase::Draining { kill_at, reason });
    }

    /// Ends a worker at once because the app stops at once.
    pub(super) fn cut_short(&mut self, worker: WorkerId, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        let stop = DrainReason::Stop;
        match phase {
            Phase::Ready { .. } | Phase::Standby { .. } | Phase::Suspect { .. } => {
                self.announce_leave(worker, stop);
                self.act(Action::Withdraw { worker });
                self.kill(worker, Cause::Planned(stop), Standing::Unready, now);
            }
            Phase::Spawning { .. } | Phase::Starting { .. } => {
                self.announce_leave(worker, stop);
                self.kill(worker, Cause::Planned(stop), Standing::Unready, now);
            }
            Phase::Draining { reason, .. }
            | Phase::Recalled { reason, .. }
            | Phase::Withdrawing { reason, .. } => {
                self.kill(worker, Cause::Planned(reason), Standing::Unready, now);
            }
            Phase::Aborting {
                standing, cause, ..
            } => self.kill(worker, cause, standing, now),
            Phase::Killing { .. } => {}
        }
    }

    /// Kills a worker; `standing` decides how it is replaced when its death is seen.
    pub(super) fn kill(&mut self, worker: WorkerId, cause: Cause, standing: Standing, now: Tick) {
        self.act(Action::Kill { worker });
        let again_at = now.after(KILL_AGAIN);
        self.set_phase(
            worker,
            Phase::Killing {
                since: now,
                again_at,
                cause,
                standing,
            },
        );
    }

    /// Kills a worker once more that outlived its kill.
    pub(super) fn kill_again(&mut self, worker: WorkerId, now: Tick) {
        self.act(Action::Kill { worker });
        if let Some(Phase::Killing { again_at, .. }) = self.phase_mut(worker) {
            *again_at = now.after(KILL_AGAIN);
        }
    }

    /// Tells that a worker is told to leave. One that announced its own end needs no telling.
    pub(super) fn announce_leave(&mut self, worker: WorkerId, reason: DrainReason) {
        match reason {
            DrainReason::Retired => {}
            DrainReason::Recycle(_)
            | DrainReason::Replaced
            | DrainReason::RolledBack
            | DrainReason::ScaledDown
            | DrainReason::Stop => {
                self.act(Action::Announce(Notice::Stopping { worker, reason }));
            }
        }
    }

    fn withdraw(&mut self, worker: WorkerId, reason: DrainReason) {
        if mutation::is(Mutation::StopLadderSwapped) {
            self.act(Action::Drain { worker, reason });
        }
        self.act(Action::Withdraw { worker });
    }
}
