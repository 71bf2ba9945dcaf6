//! What the operator wishes.

use super::message::{DrainReason, Notice, Outcome};
use super::phase::Phase;
use super::restart::History;
use super::seat::{Place, Seat, Start};
use super::state::{Run, Supervisor, id};
use crate::spec::WorkerCount;
use crate::{Slot, Tick, WorkerId};

impl Supervisor {
    pub(super) fn start(&mut self, now: Tick) {
        match self.run {
            Run::Idle => {
                self.run = Run::Running;
                for slot in self.wanted_slots() {
                    self.fill(slot, Start::Planned, now);
                }
            }
            Run::Finished | Run::Leaving { .. } | Run::Running => {}
        }
    }

    pub(super) fn stop(&mut self, now: Tick) {
        match self.run {
            Run::Idle | Run::Running => self.depart(Outcome::Stopped, now),
            Run::Finished | Run::Leaving { .. } => {}
        }
    }

    pub(super) fn stop_now(&mut self, now: Tick) {
        match self.run {
            Run::Idle | Run::Running => {
                let living: Vec<WorkerId> = self.workers().map(|(worker, _)| worker).collect();
                // Killed first: nobody is told to drain for an instant.
                for worker in living {
                    self.cut_short(worker, now);
                }
                self.depart(Outcome::Stopped, now);
            }
            Run::Leaving { .. } => {
                let living: Vec<WorkerId> = self.workers().map(|(worker, _)| worker).collect();
                for worker in living {
                    self.cut_short(worker, now);
                }
            }
            Run::Finished => {}
        }
    }

    pub(super) fn scale(&mut self, count: WorkerCount, now: Tick) {
        let (from, to) = (self.size, count.count());
        match self.run {
            Run::Finished | Run::Leaving { .. } => return,
            Run::Idle | Run::Running if from == to => return,
            Run::Idle | Run::Running => {}
        }
        self.size = to;
        while self.places.len() < usize::from(to) {
            self.places.push(Place::new());
        }
        self.tell(Notice::Scaled { from, to });
        if self.run == Run::Idle {
            return;
        }
        for slot in (from..to).map(Slot) {
            self.reopen(slot, now);
        }
        if self
            .recycling
            .as_ref()
            .is_some_and(|recycling| recycling.old.slot.0 >= to)
        {
            self.recycling = None;
        }
        for slot in (to..from).rev().map(Slot) {
            self.forget_swap(slot);
            self.vacate(slot, DrainReason::ScaledDown, now);
        }
    }

    /// Forgets every failure, and starts at once what rests. What is done is done.
    pub(super) fn reset(&mut self, now: Tick) {
        for slot in self.wanted_slots() {
            if let Some(swap) = self.swap_mut(slot) {
                swap.forgive();
            }
            let place = self.place_mut(slot);
            place.history = History::default();
            place.tally.reset();
            match place.seat {
                Seat::Quarantined { .. } => {
                    self.tell(Notice::Released { slot });
                    self.fill(slot, Start::Restart, now);
                }
                Seat::Backoff { .. } => self.fill(slot, Start::Restart, now),
                Seat::Done { .. }
                | Seat::Held { .. }
                | Seat::Owed { .. }
                | Seat::Stopped { .. } => {}
            }
        }
    }

    /// Nobody is wanted any more.
    pub(super) fn depart(&mut self, outcome: Outcome, now: Tick) {
        self.run = Run::Leaving { outcome };
        self.recycling = None;
        self.abandon_deploy();
        let slots: Vec<Slot> = self.slots().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.vacate(slot, DrainReason::Stop, now);
        }
    }

    /// A slot is wanted again. A process in it that was asked for and recalled will do, if it is of
    /// the right generation: two spawns of a slot never overlap. A reload that goes on sees to its
    /// empty slots itself.
    fn reopen(&mut self, slot: Slot, now: Tick) {
        let deadline = now.after(self.spec.life.boot_timeout);
        let generation = self.generation_for(slot);
        let recalled = self
            .place(slot)
            .workers
            .iter()
            .find(|(_, life)| {
                life.generation == generation && matches!(life.phase, Phase::Recalled { .. })
            })
            .map(|(incarnation, _)| *incarnation);
        match recalled {
            None if self.deploy.reload().is_some() => {
                self.place_mut(slot).seat = Seat::Stopped { last: None };
            }
            None => self.fill(slot, Start::Planned, now),
            Some(by) => {
                self.place_mut(slot).seat = Seat::Held { by };
                self.set_phase(id(slot, by), Phase::Spawning { deadline });
            }
        }
    }
}
