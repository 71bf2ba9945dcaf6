//! Who follows whom in a slot.

use std::time::Duration;

use super::completion::Sequel;
use super::message::{Action, DrainReason, Notice, Outcome};
use super::phase::{Phase, Standing};
use super::recycle::{Inheritance, Stage};
use super::restart::{Trust, back_off};
use super::rollback::End;
use super::seat::{Completion, Life, Seat, Start};
use super::state::{ReadinessSeen, Run, Supervisor, id};
use crate::mutation::{self, Mutation};
use crate::spec::{BootFailure, DelayGrowth};
use crate::{Incarnation, Slot, Tick, WorkerId};

impl Supervisor {
    /// Asks for a new process in a slot.
    pub(super) fn spawn(&mut self, slot: Slot, now: Tick) -> Incarnation {
        let incarnation = self.next;
        self.next = Incarnation(incarnation.0 + 1);
        let worker = id(slot, incarnation);
        let deadline = now.after(self.spec.life.boot_timeout);
        let generation = self.generation_for(slot);
        let life = Life {
            generation,
            born: now,
            phase: Phase::Spawning { deadline },
        };
        let place = self.place_mut(slot);
        place.workers.insert(incarnation, life);
        place.tally.started = place.tally.started.saturating_add(1);
        self.act(Action::Spawn { worker, generation });
        incarnation
    }

    /// Fills a slot with a new process, as soon as it is known that no other one is being started in it.
    pub(super) fn fill(&mut self, slot: Slot, start: Start, now: Tick) {
        if self.is_spawn_open(slot) {
            self.place_mut(slot).seat = Seat::Owed { since: now, start };
            return;
        }
        if start == Start::Restart {
            let policy = self.spec.restart.clone();
            self.place_mut(slot).history.record(&policy, now);
        }
        let by = self.spawn(slot, now);
        self.place_mut(slot).seat = Seat::Held { by };
    }

    /// Removes a worker that is gone and decides what becomes of its slot.
    pub(super) fn bury(&mut self, worker: WorkerId, end: End, now: Tick) {
        let Some(phase) = self.phase(worker) else {
            return;
        };
        let slot = worker.slot;
        let standing = phase.standing(now, self.spec.restart.stable);
        let sequel = Sequel::of(&self.spec.restart, &phase, end);
        let was_replacement = self.is_replacement(worker);
        let was_on_trial = self.is_on_trial(worker);
        self.place_mut(slot).workers.remove(&worker.incarnation);
        self.pass_to_replacement(worker);
        if was_on_trial && self.may_complete_trial(slot, sequel) {
            return self.complete_trial(worker, end);
        }
        if was_on_trial {
            return self.roll_back(worker, end.failure(&phase, now), now);
        }
        if was_replacement {
            return self.postpone_recycling(now);
        }
        if self.place(slot).seat
            != (Seat::Held {
                by: worker.incarnation,
            })
        {
            return;
        }
        match sequel {
            _ if !self.is_wanted(slot) => {
                self.place_mut(slot).seat = Seat::Stopped { last: end.exit() };
            }
            Sequel::Another => self.replace(slot, standing, now),
            Sequel::Done(completion) => self.complete_slot(slot, end, completion),
        }
    }

    /// A worker that is or was ready announced its end: its successor starts at once, if it may.
    pub(super) fn succeed_retired(&mut self, worker: WorkerId, standing: Standing, now: Tick) {
        let slot = worker.slot;
        self.credit(slot, standing);
        match self.pass_to_replacement(worker) {
            Inheritance::Replacement => {}
            Inheritance::Nobody if self.is_over_limit(slot, now) => self.quarantine(slot, now),
            Inheritance::Nobody => self.fill_or_owe(slot, Start::Restart, now),
        }
    }

    /// A worker has had the last job of its life: its successor starts at once. This is what the
    /// worker was there for, however short its life was, so it clears the count of failures.
    pub(super) fn succeed_exhausted(&mut self, worker: WorkerId, now: Tick) {
        let slot = worker.slot;
        self.credit(slot, Standing::Stable);
        match self.pass_to_replacement(worker) {
            Inheritance::Replacement => {}
            Inheritance::Nobody => self.fill_or_owe(slot, Start::Planned, now),
        }
    }

    /// Whether one more worker may drain while its successor starts.
    ///
    /// Whom a reload or a rollback sends away is bounded by `max_generations` and not counted here.
    ///
    /// Those whose successor waits are counted once: the app never has more processes than its
    /// slots plus `max_draining`, except for those that were told to leave without a successor.
    pub(super) fn may_drain_more(&self) -> bool {
        let owed = self
            .slots()
            .filter(|(_, seat)| matches!(seat, Seat::Owed { .. }))
            .count();
        self.leaving_count() < usize::from(self.spec.life.max_draining.get()) + owed
    }

    /// Starts the successors that waited, who waited longest first.
    pub(super) fn pay_owed(&mut self, now: Tick) {
        loop {
            let owed = self.slots().filter_map(|(slot, seat)| match seat {
                Seat::Owed { .. } if self.is_spawn_open(slot) => None,
                Seat::Owed { since, start } => Some((since, slot, start)),
                Seat::Backoff { .. }
                | Seat::Done { .. }
                | Seat::Held { .. }
                | Seat::Quarantined { .. }
                | Seat::Stopped { .. } => None,
            });
            match owed.min_by_key(|(since, slot, _)| (*since, *slot)) {
                Some((_, slot, start)) if self.may_drain_more() => self.fill(slot, start, now),
                Some(_) | None => return,
            }
        }
    }

    /// The time of an empty slot has come.
    pub(super) fn seat_expired(&mut self, slot: Slot, now: Tick) {
        match self.place(slot).seat {
            Seat::Backoff { .. } => self.fill(slot, Start::Restart, now),
            Seat::Quarantined { .. } => {
                self.tell(Notice::Released { slot });
                self.place_mut(slot).history.trust = Trust::Probation;
                self.fill(slot, Start::Restart, now);
            }
            Seat::Done { .. } | Seat::Held { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => {}
        }
    }

    /// A worker of this slot became ready.
    pub(super) fn note_ready(&mut self, slot: Slot) {
        self.readiness_seen = ReadinessSeen::Once;
        self.place_mut(slot).history.trust = Trust::Normal;
    }

    /// Ends the app when every slot failed before any worker was ready, and some are still tried.
    pub(super) fn give_up_boot(&mut self, now: Tick) {
        let hopeless = self.run == Run::Running
            && self.spec.life.boot_failure == BootFailure::Exit
            && self.readiness_seen == ReadinessSeen::Never
            && !self.is_reloading()
            && !self.is_all_done()
            && self.wanted_slots().all(|slot| self.has_failed(slot));
        if hopeless {
            self.depart(Outcome::BootFailed, now);
        }
    }

    fn has_failed(&self, slot: Slot) -> bool {
        let place = self.place(slot);
        let done = matches!(
            place.seat,
            Seat::Done {
                completion: Completion::Failed,
                ..
            }
        );
        done || place.history.quarantines > 0
    }

    /// Says so when nothing is left to supervise.
    pub(super) fn finish_when_empty(&mut self) {
        let Run::Leaving { outcome } = self.run else {
            return;
        };
        if self.workers().next().is_none() {
            self.run = Run::Finished;
            self.act(Action::Finish(outcome));
        }
    }

    /// Empties a slot that nobody wants: its worker is told to leave, a pending start is forgotten.
    pub(super) fn vacate(&mut self, slot: Slot, reason: DrainReason, now: Tick) {
        let living: Vec<WorkerId> = self
            .place(slot)
            .workers
            .keys()
            .map(|incarnation| id(slot, *incarnation))
            .collect();
        for worker in living {
            self.leave(worker, reason, now);
        }
        let place = self.place_mut(slot);
        match place.seat {
            Seat::Held { .. } | Seat::Stopped { .. } => {}
            Seat::Done { exit, .. } => place.seat = Seat::Stopped { last: exit },
            Seat::Backoff { .. } | Seat::Owed { .. } | Seat::Quarantined { .. } => {
                place.seat = Seat::Stopped { last: None };
            }
        }
    }

    /// Starts another worker in the place of one that never came to serve, whatever that place is.
    pub(super) fn start_over(&mut self, worker: WorkerId, now: Tick) {
        let slot = worker.slot;
        let was_replacement = self.is_replacement(worker);
        let was_swapped_in = self.is_swapped_in(worker);
        let held = Seat::Held {
            by: worker.incarnation,
        };
        let by = self.spawn(slot, now);
        // It is no other start, but the same one.
        let tally = &mut self.place_mut(slot).tally;
        tally.started = tally.started.saturating_sub(1);
        if was_replacement && let Some(recycling) = &mut self.recycling {
            recycling.stage = Stage::Replacing { by };
        }
        if was_swapped_in && let Some(swap) = self.swap_mut(slot) {
            swap.by = Some(by);
        }
        if self.place(slot).seat == held {
            self.place_mut(slot).seat = Seat::Held { by };
        }
    }

    pub(super) fn is_wanted(&self, slot: Slot) -> bool {
        self.run == Run::Running && slot.0 < self.size
    }

    /// Starts a successor, or remembers it while too many workers drain.
    fn fill_or_owe(&mut self, slot: Slot, start: Start, now: Tick) {
        if self.may_drain_more() {
            return self.fill(slot, start, now);
        }
        let draining = u16::try_from(self.leaving_count()).unwrap_or(u16::MAX);
        self.place_mut(slot).seat = Seat::Owed { since: now, start };
        self.tell(Notice::ReplacementWaits { slot, draining });
    }

    /// The worker of a slot is gone, and not by its own announcement.
    fn replace(&mut self, slot: Slot, standing: Standing, now: Tick) {
        self.credit(slot, standing);
        if mutation::is(Mutation::BackoffOff) {
            return self.fill(slot, Start::Restart, now);
        }
        let trust = self.place(slot).history.trust;
        match standing {
            Standing::Stable if self.is_over_limit(slot, now) => return self.quarantine(slot, now),
            Standing::Stable => return self.fill(slot, Start::Restart, now),
            Standing::Unready if trust == Trust::Probation => return self.quarantine(slot, now),
            Standing::Brief | Standing::Unready => {}
        }
        let history = &mut self.place_mut(slot).history;
        history.failures = history.failures.saturating_add(1);
        let failures = history.failures;
        let delay = self.delay_after(failures);
        let until = now.after(delay);
        if self.is_over_limit(slot, until) {
            return self.quarantine(slot, now);
        }
        self.place_mut(slot).seat = Seat::Backoff { until, failures };
        self.tell(Notice::RestartDelayed {
            slot,
            delay,
            failures,
        });
    }

    /// The delay after the `failures`-th failure in a row.
    pub(super) fn delay_after(&mut self, failures: u32) -> Duration {
        let policy = &self.spec.restart;
        match policy.growth {
            DelayGrowth::Doubling => self.jitter.spread(back_off(policy, failures)),
            DelayGrowth::Fixed => policy.first_delay,
        }
    }

    /// A worker that was ready for long enough clears its slot's count of failures.
    fn credit(&mut self, slot: Slot, standing: Standing) {
        match standing {
            Standing::Stable => self.place_mut(slot).history.failures = 0,
            Standing::Brief | Standing::Unready => {}
        }
    }

    fn quarantine(&mut self, slot: Slot, now: Tick) {
        let policy = self.spec.restart.clone();
        let place = self.place_mut(slot);
        let restarts = place.history.count(&policy, now);
        place.history.quarantines = place.history.quarantines.saturating_add(1);
        place.seat = Seat::Quarantined {
            retry_at: now.after(policy.retry),
        };
        let (window, retry_in) = (policy.window, policy.retry);
        self.tell(Notice::Quarantined {
            slot,
            restarts,
            window,
            retry_in,
        });
    }

    /// Whether one more restart of the slot at that moment would be too many.
    pub(super) fn is_over_limit(&self, slot: Slot, at: Tick) -> bool {
        !mutation::is(Mutation::BackoffOff)
            && self
                .place(slot)
                .history
                .is_exhausted(&self.spec.restart, at)
    }

    fn leaving_count(&self) -> usize {
        self.workers()
            .filter(|(_, phase)| phase.is_leaving_for_another())
            .count()
    }
}
