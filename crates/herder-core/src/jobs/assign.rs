//! Whose turn it is, and who gets what waits.

use super::dispatcher::JobDispatcher;
use super::job::{Patience, Place};
use super::message::Action;
use super::spec::JobPicker;
use super::worker::{Life, Standing, Worker};
use crate::{JobId, Tick};

/// How often `steal_after` is doubled for a job that is passed on, at most.
const MAX_DOUBLINGS: u32 = 10;

impl JobDispatcher {
    /// Gives one job to one worker, as far as that is possible now.
    pub(super) fn assign(&mut self) -> Option<Action> {
        self.end_reservations();
        if let Some((index, job)) = self.next_promised() {
            return Some(self.give(job, index));
        }
        while let Some(id) = self.waiting.front() {
            let patience = self.jobs[&id].patience;
            let index = self.pick(patience)?;
            self.last = Some(self.workers[index].id);
            if self.workers[index].standing == Standing::Admitted {
                return Some(self.give(id, index));
            }
            self.reserve(id, index);
        }
        None
    }

    /// When the first reservation ends.
    pub(super) fn reservation_ends_at(&self) -> Option<Tick> {
        if !self.is_anything_reserved() {
            return None;
        }
        let first = |worker: &Worker| worker.reserved.front().map(|(_, until)| *until);
        self.workers.iter().filter_map(first).min()
    }

    /// When a worker that stood still gets a job again, should one wait.
    pub(super) fn trial_at(&self) -> Option<Tick> {
        self.waiting.front()?;
        let trial = |worker: &Worker| worker.trial_at(&self.limits);
        self.workers.iter().filter_map(trial).min()
    }

    /// What is reserved for a worker goes to whoever can take it.
    pub(super) fn end_reservations_of(&mut self, index: usize) {
        while let Some((id, _)) = self.workers[index].reserved.pop_front() {
            self.end_reservation(id);
        }
    }

    /// The newest reservation of a worker ends.
    pub(super) fn end_newest_reservation_of(&mut self, index: usize) {
        if let Some((id, _)) = self.workers[index].reserved.pop_back() {
            self.end_reservation(id);
        }
    }

    fn end_reservations(&mut self) {
        if !self.is_anything_reserved() {
            return;
        }
        for index in 0..self.workers.len() {
            if self.workers[index].standing != Standing::Expected {
                continue;
            }
            let now = self.now;
            while let Some((id, _)) = self.workers[index]
                .reserved
                .pop_front_if(|(_, until)| *until <= now)
            {
                self.end_reservation(id);
            }
        }
    }

    /// The job goes to the next who can take it, and waits for no starting worker again.
    fn end_reservation(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = Place::Waiting;
            job.patience = Patience::Spent;
            self.waiting.insert(id, job.since);
        }
    }

    fn is_anything_reserved(&self) -> bool {
        self.waiting.len() > self.waiting.unreserved()
    }

    /// A job that was reserved for a worker which is admitted now.
    fn next_promised(&mut self) -> Option<(usize, JobId)> {
        if !self.is_anything_reserved() {
            return None;
        }
        let index = self.workers.iter().position(|worker| {
            worker.standing == Standing::Admitted && !worker.reserved.is_empty()
        })?;
        let (id, _) = self.workers[index].reserved.pop_front()?;
        Some((index, id))
    }

    /// The index of the worker whose turn it is.
    fn pick(&self, patience: Patience) -> Option<usize> {
        let workers = &self.workers;
        let start = self.last.map_or(0, |last| {
            workers.partition_point(|worker| worker.id <= last)
        });
        let turns = || (start..workers.len()).chain(0..start);
        let takes = |index: &usize| workers[*index].can_take(&self.limits, self.now);
        let starts = |index: &usize| {
            patience == Patience::Fresh && workers[*index].can_reserve(&self.limits)
        };
        match self.spec.picker {
            JobPicker::RoundRobin => turns().find(|index| takes(index) || starts(index)),
            // The first of equals: the rotation breaks ties. Nobody waits for a worker that is being
            // started, however idle it will be: another may have room earlier.
            JobPicker::FewestJobs => turns()
                .filter(takes)
                .min_by_key(|index| workers[*index].load()),
        }
    }

    fn reserve(&mut self, id: JobId, index: usize) {
        let until = self.now.after(self.spec.starting_wait);
        let worker = &mut self.workers[index];
        worker.reserved.push_back((id, until));
        self.waiting.reserve(id);
        let job = self.jobs.get_mut(&id).expect("what waits is known");
        job.place = Place::Reserved(worker.id);
    }

    fn give(&mut self, id: JobId, index: usize) -> Action {
        let job = self.jobs.get_mut(&id).expect("what waits is known");
        self.waiting.remove(id, job.since);
        let worker = &mut self.workers[index];
        job.place = Place::Sent(worker.id);
        // Should it come back, it has waited long enough.
        job.patience = Patience::Spent;
        let patience = self
            .spec
            .steal_after
            .saturating_mul(1 << job.thefts.min(MAX_DOUBLINGS));
        worker.sent.push_back((id, self.now.after(patience)));
        worker.used = worker.used.saturating_add(1);
        if worker.is_used_up(&self.limits) {
            worker.life = Life::Exhausted;
            // Before anything else, so that a refusal can still recall it.
            let action = Action::Exhausted { worker: worker.id };
            self.actions.push_front(action);
        }
        Action::Assign {
            job: id,
            worker: worker.id,
        }
    }
}
