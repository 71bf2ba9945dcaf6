//! What time alone brings about.

use std::time::Duration;

use super::message::{Action, Cause, FailureKind, Notice, RecycleReason};
use super::news::Guess;
use super::phase::{Phase, Standing, Tenure};
use super::state::Supervisor;
use crate::mutation::{self, Mutation};
use crate::{Slot, Tick, WorkerId};

/// Without heartbeats the master counts as late after half of this.
const USUAL_HANG: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Lets every deadline act that has passed.
    pub(super) fn run_timers(&mut self, now: Tick) {
        let living: Vec<WorkerId> = self.workers().map(|(worker, _)| worker).collect();
        for worker in living {
            // Asked one by one: what expired for one may have given others another deadline, to leave, say.
            let phase = self.phase(worker);
            let deadline = phase.and_then(|phase| phase.deadline(&self.spec.life));
            if deadline.is_some_and(|at| at <= now) {
                self.expired(worker, now);
            }
        }
        let due: Vec<Slot> = self
            .slots()
            .filter(|(_, seat)| seat.deadline().is_some_and(|at| at <= now))
            .map(|(slot, _)| slot)
            .collect();
        for slot in due {
            self.seat_expired(slot, now);
        }
        self.resume_recycling(now);
        self.deploy_expired(now);
    }

    /// When the next deadline passes.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let workers = self
            .workers()
            .filter_map(|(_, phase)| phase.deadline(&self.spec.life));
        let seats = self.slots().filter_map(|(_, seat)| seat.deadline());
        let rest = self.recycling_deadline().into_iter();
        let rest = rest.chain(self.deploy.deadline());
        workers.chain(seats).chain(rest).min()
    }

    /// Who comes much later than it wanted to stood still, and may not know it: a shell that does says so.
    pub(super) fn absorb_leap(&mut self, now: Tick) {
        let Some(announced) = self.announced else {
            return;
        };
        let late = now.since(announced.max(self.now));
        if late > self.half_of_hang() {
            self.stood_still(late, now);
        }
    }

    /// A master that stood still could not hear its workers, nor let them go on: neither their silence nor
    /// the time that has run out is held against them.
    ///
    /// Limits of silence move by as much, and none lies nearer than half of `hang`; so do the deadlines of who
    /// starts or leaves, and what is left of a soak. What a death has decided already (an abort, a kill, a
    /// back-off, a rest in quarantine) stays.
    pub(super) fn stood_still(&mut self, lasted: Duration, now: Tick) {
        let half = self.half_of_hang();
        let soak_floor = now.after(self.spec.reload.soak / 2);
        self.deploy.stood_still(lasted, soak_floor);
        let beat_floor = before(now, half);
        let suspect_floor = before(now, self.spec.life.hang_kill / 2);
        let lives = self
            .places
            .iter_mut()
            .flat_map(|it| it.workers.values_mut());
        for phase in lives.map(|life| &mut life.phase) {
            match phase {
                Phase::Spawning { deadline } => {
                    *deadline = deadline.after(lasted).max(now.after(half));
                }
                Phase::Starting {
                    deadline,
                    presumed_at,
                } => {
                    *deadline = deadline.after(lasted).max(now.after(half));
                    // What it says for itself may lie there unread.
                    *presumed_at = presumed_at.map(|at| at.after(lasted));
                }
                Phase::Ready { tenure } | Phase::Standby { tenure } => {
                    tenure.beat = tenure.beat.after(lasted).max(beat_floor).min(now);
                }
                Phase::Suspect { since, .. } => {
                    *since = since.after(lasted).max(suspect_floor).min(now);
                }
                Phase::Draining { kill_at, .. }
                | Phase::Recalled { kill_at, .. }
                | Phase::Withdrawing { kill_at, .. } => {
                    if !mutation::is(Mutation::StandstillUnnoticed) {
                        *kill_at = kill_at.after(lasted);
                    }
                }
                Phase::Aborting { .. } | Phase::Killing { .. } => {}
            }
        }
    }

    fn half_of_hang(&self) -> Duration {
        self.spec.life.hang.unwrap_or(USUAL_HANG) / 2
    }

    fn expired(&mut self, worker: WorkerId, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        match phase {
            Phase::Starting {
                presumed_at: Some(at),
                ..
            } if at <= now => {
                self.become_ready(worker, Guess::Guessed, now);
            }
            Phase::Spawning { .. } | Phase::Starting { .. } => {
                let on_trial = self.is_on_trial(worker);
                let given = self.life(worker).map(|life| now.since(life.born));
                self.tell(Notice::BootTimedOut { worker });
                self.kill(worker, Cause::BootTimeout, Standing::Unready, now);
                if let Some(given) = given.filter(|_| on_trial) {
                    self.roll_back(worker, FailureKind::NotReadyInTime(given), now);
                }
            }
            Phase::Ready { tenure } => self.service_expired(worker, tenure, now),
            Phase::Standby { tenure } | Phase::Suspect { tenure, .. } => {
                let standing = tenure.standing(tenure.beat, self.spec.restart.stable);
                self.abort(worker, Cause::Hang, standing, now);
            }
            Phase::Aborting {
                standing, cause, ..
            } => self.kill(worker, cause, standing, now),
            Phase::Draining { reason, .. }
            | Phase::Recalled { reason, .. }
            | Phase::Withdrawing { reason, .. } => {
                self.tell(Notice::GraceExpired { worker });
                self.kill(worker, Cause::Planned(reason), Standing::Unready, now);
            }
            Phase::Killing { .. } => self.kill_again(worker, now),
        }
    }

    /// It hangs, or is as good as one that does.
    pub(super) fn abort(&mut self, worker: WorkerId, cause: Cause, standing: Standing, now: Tick) {
        let after = self
            .phase(worker)
            .map_or(Duration::ZERO, |phase| phase.served(now));
        let on_trial = self.is_on_trial(worker);
        self.pass_to_replacement(worker);
        self.act(Action::Withdraw { worker });
        self.act(Action::Abort { worker });
        let kill_at = now.after(self.spec.life.abort_grace);
        self.set_phase(
            worker,
            Phase::Aborting {
                kill_at,
                standing,
                cause,
            },
        );
        if on_trial {
            let exit = None;
            self.roll_back(worker, FailureKind::Died { exit, cause, after }, now);
        }
    }

    fn service_expired(&mut self, worker: WorkerId, tenure: Tenure, now: Tick) {
        if tenure.expires_at().is_some_and(|at| at <= now) {
            self.mark_due(worker, RecycleReason::Lifetime, now);
        }
        if tenure
            .silent_at(&self.spec.life)
            .is_some_and(|at| at <= now)
            && let Some(Phase::Ready { tenure }) = self.phase(worker)
        {
            self.set_phase(worker, Phase::Suspect { since: now, tenure });
            self.act(Action::Hold { worker });
            self.tell(Notice::Suspected {
                worker,
                silent: now.since(tenure.beat),
            });
        }
    }
}

/// The moment `by` before `now`; the origin when there is none.
pub(super) fn before(now: Tick, by: Duration) -> Tick {
    let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
    Tick::from_micros(now.as_micros().saturating_sub(micros))
}
