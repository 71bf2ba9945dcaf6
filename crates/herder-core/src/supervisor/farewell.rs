//! What a worker's own end changes, by its phase, and the end of one that never was.

use super::message::{Cause, DrainReason, FailureKind, Notice, RecycleReason};
use super::phase::Phase;
use super::rollback::End;
use super::state::Supervisor;
use crate::mutation::{self, Mutation};
use crate::spec::RestartWhen;
use crate::{Tick, WorkerId};

/// How many characters of a reason are kept.
const MAX_REASON: usize = 200;

impl Supervisor {
    pub(super) fn retire(&mut self, worker: WorkerId, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        match phase {
            Phase::Ready { .. } | Phase::Suspect { .. } => {
                self.tell(Notice::Retired { worker });
                self.make_way(worker, phase, now);
            }
            // Another has its slot.
            Phase::Standby { .. } => {
                self.tell(Notice::Retired { worker });
                self.leave(worker, DrainReason::Retired, now);
            }
            // It keeps the slot: what it leaves behind is a failed start.
            Phase::Starting { .. } => {
                self.tell(Notice::Retired { worker });
                self.leave(worker, DrainReason::Retired, now);
            }
            Phase::Aborting { .. }
            | Phase::Draining { .. }
            | Phase::Killing { .. }
            | Phase::Recalled { .. }
            | Phase::Spawning { .. }
            | Phase::Withdrawing { .. } => {}
        }
    }

    /// It leaves, and is followed. A generation whose workers leave too often is as good as one whose
    /// workers die.
    fn make_way(&mut self, worker: WorkerId, phase: Phase, now: Tick) {
        let reason = DrainReason::Retired;
        if self.is_followed_by_nobody() {
            self.pass_to_replacement(worker);
            return self.leave(worker, reason, now);
        }
        if self.is_on_trial(worker) && self.is_over_limit(worker.slot, now) {
            self.leave(worker, reason, now);
            let kind = FailureKind::Died {
                exit: None,
                cause: Cause::Planned(reason),
                after: phase.served(now),
            };
            return self.roll_back(worker, kind, now);
        }
        let standing = phase.standing(now, self.spec.restart.stable);
        self.succeed_retired(worker, standing, now);
        self.leave(worker, reason, now);
    }

    /// A master before this one told it to leave, and died before it could write so down: what is
    /// planned is not counted.
    pub(super) fn draining(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            // Whether it retired or was told to leave: a job that was done is not begun again.
            Some(Phase::Ready { .. } | Phase::Suspect { .. }) if self.is_followed_by_nobody() => {
                self.tell(Notice::Retired { worker });
                self.pass_to_replacement(worker);
            }
            Some(Phase::Ready { .. } | Phase::Suspect { .. }) => {
                self.tell(Notice::Retired { worker });
                self.succeed_exhausted(worker, now);
            }
            Some(Phase::Standby { .. }) => self.tell(Notice::Retired { worker }),
            Some(Phase::Starting { .. }) => {
                self.tell(Notice::Retired { worker });
                self.start_over(worker, now);
            }
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Withdrawing { .. },
            )
            | None => return,
        }
        self.leave(worker, DrainReason::Retired, now);
    }

    /// It keeps its slot until it is gone, and then its exit decides.
    fn is_followed_by_nobody(&self) -> bool {
        self.spec.restart.when == RestartWhen::Never
    }

    /// Whoever watches from outside has found the worker broken.
    pub(super) fn fail(&mut self, worker: WorkerId, reason: &str, now: Tick) {
        let worker = self.present_one(worker);
        let Some(phase) = self.phase(worker) else {
            return self.count_stale();
        };
        if mutation::is(Mutation::WatchdogUnheard) {
            return;
        }
        let standing = phase.standing(now, self.spec.restart.stable);
        let reason = reason.chars().take(MAX_REASON).collect();
        match phase {
            Phase::Ready { .. } | Phase::Standby { .. } | Phase::Suspect { .. } => {
                self.tell(Notice::Failed { worker, reason });
                self.abort(worker, Cause::Watchdog, standing, now);
            }
            Phase::Spawning { .. } | Phase::Starting { .. } => {
                let on_trial = self.is_on_trial(worker);
                self.tell(Notice::Failed { worker, reason });
                self.kill(worker, Cause::Watchdog, standing, now);
                if on_trial {
                    self.roll_back(worker, FailureKind::Broken, now);
                }
            }
            // It leaves, or dies, already.
            Phase::Aborting { .. }
            | Phase::Draining { .. }
            | Phase::Killing { .. }
            | Phase::Recalled { .. }
            | Phase::Withdrawing { .. } => {}
        }
    }

    /// Nobody is there, and nobody is to blame.
    pub(super) fn unborn(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Spawning { .. } | Phase::Starting { .. }) => {
                self.start_over(worker, now);
                let place = self.place_mut(worker.slot);
                place.workers.remove(&worker.incarnation);
            }
            Some(Phase::Draining { .. } | Phase::Killing { .. } | Phase::Recalled { .. }) => {
                self.bury(worker, End::Unborn, now);
            }
            // It has served.
            Some(
                Phase::Aborting { .. }
                | Phase::Ready { .. }
                | Phase::Standby { .. }
                | Phase::Suspect { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }

    pub(super) fn exhausted(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Ready { .. } | Phase::Suspect { .. }) => {
                let reason = RecycleReason::Jobs;
                self.tell(Notice::Recycling { worker, reason });
                self.succeed_exhausted(worker, now);
                self.leave(worker, DrainReason::Recycle(reason), now);
            }
            Some(Phase::Standby { .. }) => {
                self.leave(worker, DrainReason::Recycle(RecycleReason::Jobs), now);
            }
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Starting { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }
}
