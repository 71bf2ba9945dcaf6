//! A generation that fails before its soak is over makes way for the one before it.

use super::deploy::{Operation, Reload};
use super::message::{Action, Cause, DrainReason, Failure, FailureKind, Notice};
use super::phase::Phase;
use super::reload::Swap;
use super::seat::{Seat, Start};
use super::state::{Supervisor, id};
use crate::mutation::{self, Mutation};
use crate::{Exit, Generation, Slot, Tick, WorkerId};

/// How a worker came to be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Exited(Exit),
    NotStarted { errno: i32 },
    Unborn,
}

impl End {
    pub(super) fn exit(self) -> Option<Exit> {
        match self {
            End::Exited(exit) => Some(exit),
            End::NotStarted { .. } | End::Unborn => None,
        }
    }

    /// What it says of a generation whose worker ended so in this phase.
    pub(super) fn failure(self, phase: &Phase, now: Tick) -> FailureKind {
        match self {
            End::NotStarted { errno } => FailureKind::NotStarted { errno },
            End::Unborn => FailureKind::NotStarted { errno: 0 },
            End::Exited(exit) => match phase {
                Phase::Ready { tenure } | Phase::Suspect { tenure, .. } => FailureKind::Died {
                    exit: Some(exit),
                    cause: Cause::Crash,
                    after: now.since(tenure.since),
                },
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Withdrawing { .. } => FailureKind::ExitedBeforeReady(exit),
            },
        }
    }
}

impl Supervisor {
    /// Whether the reload fails if this worker does: it is of the new generation, and its slot depends
    /// on it.
    pub(super) fn is_on_trial(&self, worker: WorkerId) -> bool {
        let Some(reload) = self.deploy.reload() else {
            return false;
        };
        let held = Seat::Held {
            by: worker.incarnation,
        };
        self.is_wanted(worker.slot)
            && self.generation_of(worker) == Some(reload.to)
            && (self.place(worker.slot).seat == held || self.is_swapped_in(worker))
    }

    /// This worker of the new generation has failed: the old one serves again.
    pub(super) fn roll_back(&mut self, worker: WorkerId, kind: FailureKind, now: Tick) {
        let to = self.deploy.serving;
        let until = now.after(self.spec.life.boot_timeout);
        let operation = self.deploy.operation.replace(Operation::Return { until });
        let Some(Operation::Reload(reload)) = operation else {
            self.deploy.operation = operation;
            return;
        };
        let generation = reload.to;
        self.tell(Notice::RolledBack {
            generation,
            to,
            failure: Failure {
                worker: Some(worker),
                kind,
            },
        });
        self.swap_back(reload, now);
        self.latch(generation, now);
    }

    /// The app stops before it is known what the new generation is worth.
    pub(super) fn tell_stopped(&mut self, generation: Generation) {
        let failure = Failure {
            worker: None,
            kind: FailureKind::Stopped,
        };
        self.tell(Notice::RolledBack {
            generation,
            to: self.deploy.serving,
            failure,
        });
    }

    /// Whether every slot is in service, or will not be soon.
    pub(super) fn is_whole(&self) -> bool {
        self.wanted_slots().all(|slot| match self.place(slot).seat {
            Seat::Held { by } => self
                .phase(id(slot, by))
                .is_some_and(|phase| phase.is_serving()),
            Seat::Done { .. } | Seat::Quarantined { .. } => true,
            Seat::Backoff { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => false,
        })
    }

    /// First who serves again, then who leaves: at no moment there are fewer in service than can be.
    fn swap_back(&mut self, reload: Reload, now: Tick) {
        let new: Vec<WorkerId> = self
            .lives()
            .filter(|(_, life)| life.generation == reload.to)
            .map(|(worker, _)| worker)
            .collect();
        let mut left = Vec::new();
        for (slot, swap) in reload.swaps {
            match self.call_back(slot, &swap) {
                Called::Back => {}
                Called::Nobody => left.push((slot, swap.before)),
            }
            self.place_mut(slot).history = swap.history;
        }
        for worker in new {
            self.leave(worker, DrainReason::RolledBack, now);
        }
        for (slot, before) in left {
            self.restore_seat(slot, before, now);
        }
        // The reload had not come to these.
        for slot in self.wanted_slots() {
            if let Seat::Stopped { .. } = self.place(slot).seat {
                self.fill(slot, Start::Planned, now);
            }
        }
    }

    /// The old worker of a slot serves (again), if it can.
    fn call_back(&mut self, slot: Slot, swap: &Swap) -> Called {
        let Some(by) = swap.old else {
            return Called::Nobody;
        };
        let worker = id(slot, by);
        match self.phase(worker) {
            Some(Phase::Standby { tenure }) => {
                self.set_phase(worker, Phase::Ready { tenure });
                if !mutation::is(Mutation::ReadmissionOff) {
                    self.act(Action::Admit { worker });
                }
            }
            Some(Phase::Ready { .. } | Phase::Suspect { .. }) => {}
            Some(
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Starting { .. }
                | Phase::Withdrawing { .. },
            )
            | None => return Called::Nobody,
        }
        self.place_mut(slot).seat = Seat::Held { by };
        Called::Back
    }

    /// A slot in which nobody served is what it was; one that has lost its worker gets another.
    fn restore_seat(&mut self, slot: Slot, before: Seat, now: Tick) {
        match before {
            Seat::Backoff { .. } => self.place_mut(slot).seat = before,
            Seat::Done { exit, completion } => {
                self.place_mut(slot).seat = before;
                self.tell(Notice::Done {
                    slot,
                    exit,
                    completion,
                });
            }
            Seat::Quarantined { retry_at } => {
                self.place_mut(slot).seat = before;
                let window = self.spec.restart.window;
                let restarts = self.place(slot).history.count(&self.spec.restart, now);
                self.tell(Notice::Quarantined {
                    slot,
                    restarts,
                    window,
                    retry_in: retry_at.since(now),
                });
            }
            Seat::Held { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => {
                self.fill(slot, Start::Planned, now);
            }
        }
    }

    fn latch(&mut self, generation: Generation, now: Tick) {
        let latch = self.spec.reload.latch;
        if !latch.is_zero() {
            let until = now.after(latch);
            self.deploy.latched_until = Some(until);
            self.tell(Notice::Latched { generation, until });
        }
    }
}

/// Who holds a slot after a rollback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Called {
    Back,
    Nobody,
}
