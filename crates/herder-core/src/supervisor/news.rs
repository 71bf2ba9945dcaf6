//! What a worker's news changes, by its phase. One function an event, every phase written out.

use std::time::Duration;

use super::completion::is_failure;
use super::message::{Action, Cause, FailureKind, Notice, RecycleReason};
use super::phase::{Phase, Tenure};
use super::rollback::End;
use super::seat::Seat;
use super::state::{Supervisor, id};
use crate::mutation::{self, Mutation};
use crate::spec::Readiness;
use crate::{Exit, Slot, Tick, WorkerId};

/// News about one worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    Beat,
    BootExtended(Duration),
    Draining,
    Exhausted,
    Exited(Exit),
    Memory(u64),
    Misbehaved,
    Ready,
    Retire,
    Served(u64),
    SpawnFailed(i32),
    Spawned,
    Unborn,
    Withdrawn,
}

impl Supervisor {
    /// Takes in the news about one worker; stale news is counted and changes nothing.
    pub(super) fn take_news(&mut self, worker: WorkerId, news: News, now: Tick) {
        let worker = self.present_one(worker);
        if self.phase(worker).is_none() {
            return self.count_stale();
        }
        match news {
            // Not the worker says so, hence it is no sign of its life.
            News::Exhausted => return self.exhausted(worker, now),
            News::Exited(exit) => return self.exited(worker, exit, now),
            News::SpawnFailed(errno) => return self.spawn_failed(worker, errno, now),
            News::Spawned => return self.spawned(worker, now),
            News::Unborn => return self.unborn(worker, now),
            News::Withdrawn => return self.withdrawn(worker),
            News::Beat
            | News::BootExtended(_)
            | News::Draining
            | News::Memory(_)
            | News::Misbehaved
            | News::Ready
            | News::Retire
            | News::Served(_) => self.prove_existence(worker, now),
        }
        match news {
            News::Beat => self.beat(worker, now),
            News::BootExtended(by) => self.boot_extended(worker, by, now),
            News::Draining => self.draining(worker, now),
            News::Memory(bytes) => self.memory(worker, bytes, now),
            News::Misbehaved => self.misbehaved(worker, now),
            News::Ready => self.ready(worker, now),
            News::Retire => self.retire(worker, now),
            News::Served(total) => self.served(worker, total, now),
            News::Exhausted
            | News::Exited(_)
            | News::SpawnFailed(_)
            | News::Spawned
            | News::Unborn
            | News::Withdrawn => {}
        }
    }

    /// The worker serves from now on.
    pub(super) fn become_ready(&mut self, worker: WorkerId, guess: Guess, now: Tick) {
        let limits = self.draw_limits(now);
        let tenure = Tenure {
            since: now,
            beat: now,
            limits,
            due: None,
        };
        self.set_phase(worker, Phase::Ready { tenure });
        self.note_ready(worker.slot);
        // Before anybody is told: who acts on the news must find it true.
        self.act(Action::Admit { worker });
        self.tell(Notice::Ready {
            worker,
            guessed: guess == Guess::Guessed,
        });
        self.complete_recycling(worker, now);
        self.complete_swap(worker);
    }

    pub(super) fn tell(&mut self, notice: Notice) {
        self.act(Action::Announce(notice));
    }

    /// The worker itself. (A broken incarnation test takes news of the dead for its successor's.)
    pub(super) fn present_one(&self, worker: WorkerId) -> WorkerId {
        if !mutation::is(Mutation::IncarnationTestOff) || self.phase(worker).is_some() {
            return worker;
        }
        match self
            .places
            .get(usize::from(worker.slot.0))
            .map(|place| place.seat)
        {
            Some(Seat::Held { by }) => id(worker.slot, by),
            Some(
                Seat::Backoff { .. }
                | Seat::Done { .. }
                | Seat::Owed { .. }
                | Seat::Quarantined { .. }
                | Seat::Stopped { .. },
            )
            | None => worker,
        }
    }

    fn count_failure(&mut self, slot: Slot) {
        let tally = &mut self.place_mut(slot).tally;
        tally.failed = tally.failed.saturating_add(1);
    }

    /// Who says something exists, even if the answer to its `Spawn` is still under way.
    fn prove_existence(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Recalled { .. } | Phase::Spawning { .. }) => self.spawned(worker, now),
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Ready { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Suspect { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }

    fn spawned(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Spawning { deadline }) => {
                let presumed_at = match self.spec.life.readiness {
                    Readiness::MessageOrAlive(alive) if self.may_be_guessed(worker) => {
                        Some(now.after(alive))
                    }
                    Readiness::Message
                    | Readiness::MessageOrAlive(_)
                    | Readiness::MessageOrBegun(_) => None,
                };
                self.set_phase(
                    worker,
                    Phase::Starting {
                        deadline,
                        presumed_at,
                    },
                );
                self.tell(Notice::Started { worker });
            }
            Some(Phase::Recalled { kill_at, reason }) => {
                self.tell(Notice::Started { worker });
                self.announce_leave(worker, reason);
                self.act(Action::Drain { worker, reason });
                self.set_phase(worker, Phase::Draining { kill_at, reason });
            }
            // It was killed before it existed: that kill hit nothing.
            Some(Phase::Killing { .. }) => self.kill_again(worker, now),
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Ready { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Suspect { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }

    fn spawn_failed(&mut self, worker: WorkerId, errno: i32, now: Tick) {
        match self.phase(worker) {
            Some(
                phase @ (Phase::Killing { .. } | Phase::Recalled { .. } | Phase::Spawning { .. }),
            ) => {
                if !matches!(phase.cause(), Cause::Planned(_)) {
                    self.count_failure(worker.slot);
                }
                self.tell(Notice::SpawnFailed { worker, errno });
                self.bury(worker, End::NotStarted { errno }, now);
            }
            // It exists: its end will be told by `Exited`.
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Ready { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Suspect { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }

    fn exited(&mut self, worker: WorkerId, exit: Exit, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        let cause = phase.cause();
        if is_failure(&self.spec.restart, cause, exit) {
            self.count_failure(worker.slot);
        }
        self.tell(Notice::Exited {
            worker,
            exit,
            cause,
        });
        self.bury(worker, End::Exited(exit), now);
    }

    fn withdrawn(&mut self, worker: WorkerId) {
        match self.phase(worker) {
            Some(Phase::Withdrawing { kill_at, reason }) => {
                self.drain_withdrawn(worker, reason, kill_at);
            }
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Ready { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Suspect { .. },
            )
            | None => {}
        }
    }

    pub(super) fn beat(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Ready { mut tenure }) => {
                tenure.beat = now;
                self.set_phase(worker, Phase::Ready { tenure });
            }
            Some(Phase::Standby { mut tenure }) => {
                tenure.beat = now;
                self.set_phase(worker, Phase::Standby { tenure });
            }
            Some(Phase::Suspect { mut tenure, .. }) => {
                tenure.beat = now;
                self.set_phase(worker, Phase::Ready { tenure });
                self.act(Action::Admit { worker });
                self.tell(Notice::Restored { worker });
            }
            Some(Phase::Starting {
                deadline,
                presumed_at: None,
            }) => {
                if let Readiness::MessageOrBegun(after) = self.spec.life.readiness
                    && self.may_be_guessed(worker)
                {
                    let presumed_at = Some(now.after(after));
                    self.set_phase(
                        worker,
                        Phase::Starting {
                            deadline,
                            presumed_at,
                        },
                    );
                }
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

    fn boot_extended(&mut self, worker: WorkerId, by: Duration, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Starting {
                deadline,
                presumed_at,
            }) => {
                let deadline = deadline.max(now.after(by));
                self.set_phase(
                    worker,
                    Phase::Starting {
                        deadline,
                        presumed_at,
                    },
                );
            }
            Some(Phase::Ready { .. } | Phase::Standby { .. } | Phase::Suspect { .. }) => {
                self.beat(worker, now);
            }
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }

    /// The master measured it: it is no sign of life.
    fn memory(&mut self, worker: WorkerId, bytes: u64, now: Tick) {
        match self.phase(worker) {
            Some(
                Phase::Ready { tenure } | Phase::Standby { tenure } | Phase::Suspect { tenure, .. },
            ) => {
                if tenure.limits.memory.is_some_and(|limit| bytes > limit) {
                    self.mark_due(worker, RecycleReason::Memory, now);
                }
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

    fn served(&mut self, worker: WorkerId, total: u64, now: Tick) {
        match self.phase(worker) {
            Some(
                Phase::Ready { tenure } | Phase::Standby { tenure } | Phase::Suspect { tenure, .. },
            ) => {
                self.beat(worker, now);
                if tenure.limits.requests.is_some_and(|limit| total >= limit) {
                    self.mark_due(worker, RecycleReason::Requests, now);
                }
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

    /// What once could speak must speak for ever: silence of a later generation is a failure.
    fn may_be_guessed(&self, worker: WorkerId) -> bool {
        let generation = self.generation_of(worker);
        self.deploy
            .told
            .is_none_or(|told| generation.is_some_and(|it| it <= told))
    }

    fn note_told(&mut self, worker: WorkerId) {
        if self.deploy.told.is_none() {
            self.deploy.told = self.generation_of(worker);
        }
    }

    fn ready(&mut self, worker: WorkerId, now: Tick) {
        match self.phase(worker) {
            Some(Phase::Starting { .. }) => {
                self.note_told(worker);
                self.become_ready(worker, Guess::Told, now);
            }
            Some(Phase::Ready { .. } | Phase::Standby { .. } | Phase::Suspect { .. }) => {
                self.note_told(worker);
                self.beat(worker, now);
            }
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Withdrawing { .. },
            )
            | None => {}
        }
    }

    fn misbehaved(&mut self, worker: WorkerId, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        let on_trial = self.is_on_trial(worker);
        match phase {
            Phase::Ready { .. } | Phase::Standby { .. } | Phase::Suspect { .. } => {
                self.tell(Notice::Misbehaved { worker });
                self.pass_to_replacement(worker);
                self.act(Action::Withdraw { worker });
            }
            Phase::Draining { .. }
            | Phase::Recalled { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Withdrawing { .. } => self.tell(Notice::Misbehaved { worker }),
            // It dies already.
            Phase::Aborting { .. } | Phase::Killing { .. } => return,
        }
        let standing = phase.standing(now, self.spec.restart.stable);
        self.kill(worker, Cause::Protocol, standing, now);
        if on_trial {
            self.roll_back(worker, FailureKind::Protocol, now);
        }
    }
}

/// How a worker is known to be ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guess {
    Guessed,
    Told,
}
