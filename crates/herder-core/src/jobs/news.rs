//! What each piece of news about clients, jobs and workers changes.

use super::clients::Crowd;
use super::dispatcher::JobDispatcher;
use super::job::{Job, Place};
use super::message::{Action, JobOutcome};
use super::spec::Retry;
use super::worker::{Ask, Life, Receipt, Standing, Worker};
use crate::mutation::{self, Mutation};
use crate::{ClientId, Incarnation, JobId};

impl JobDispatcher {
    pub(super) fn arrived(&mut self, id: JobId, client: ClientId) {
        if self.jobs.contains_key(&id) {
            return;
        }
        let job = Job::new(client, self.now);
        self.waiting.insert(id, job.since);
        self.jobs.insert(id, job);
        if self.waiting.len() >= self.pending() {
            self.crowd = Crowd::Dense;
        }
        self.actions
            .extend(self.clients.sent(client, id, self.crowd));
    }

    pub(super) fn client_gone(&mut self, client: ClientId) {
        // Nobody hears what was to be said to it.
        self.actions.retain(|action| !is_word_to(action, client));
        for id in self.clients.leave(client) {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            job.client = None;
            match job.worker() {
                Some(worker) => {
                    self.release(id);
                    self.actions.push_back(Action::Cancel { job: id, worker });
                }
                None => {
                    self.detach(id);
                    self.forget(id);
                }
            }
        }
    }

    pub(super) fn expected(&mut self, id: Incarnation) {
        if let Err(place) = self.place_of(id) {
            self.workers
                .insert(place, Worker::new(id, Standing::Expected));
        }
    }

    pub(super) fn admitted(&mut self, id: Incarnation, started: u32) {
        let index = match self.place_of(id) {
            Ok(index) => index,
            Err(place) => {
                self.workers
                    .insert(place, Worker::new(id, Standing::Admitted));
                place
            }
        };
        let worker = &mut self.workers[index];
        match worker.standing {
            Standing::Leaving | Standing::Left => return,
            Standing::Admitted | Standing::Expected | Standing::Held => {}
        }
        worker.standing = Standing::Admitted;
        worker.moves();
        worker.used = worker.used.max(started);
        if worker.life == Life::Open && worker.is_used_up(&self.limits) {
            worker.life = Life::Exhausted;
            self.actions.push_back(Action::Exhausted { worker: id });
        }
        // It had started more than was known: not everything that is reserved is for it.
        while self.workers[index].has_promised_too_much(&self.limits) {
            self.end_newest_reservation_of(index);
        }
    }

    pub(super) fn held(&mut self, id: Incarnation) {
        let Some(index) = self.find(id) else { return };
        match self.workers[index].standing {
            Standing::Admitted | Standing::Expected => {
                self.workers[index].standing = Standing::Held;
                self.end_reservations_of(index);
                self.take_back(index);
            }
            Standing::Held | Standing::Leaving | Standing::Left => {}
        }
    }

    pub(super) fn started(&mut self, worker: Incarnation, id: JobId) {
        let Some(index) = self.find(worker) else {
            return;
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.place != Place::Sent(worker) && job.place != Place::Received(worker) {
            return;
        }
        self.detach(id);
        let worker = &mut self.workers[index];
        worker.started.insert(id);
        worker.moves();
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = Place::Started(worker.id);
        }
        if self.spec.retry == Retry::Never {
            self.release(id);
        }
    }

    /// The worker says that the job has come to its end.
    pub(super) fn worker_ended(&mut self, worker: Incarnation, id: JobId, outcome: JobOutcome) {
        let Some(index) = self.find(worker) else {
            return;
        };
        if self.jobs.get(&id).and_then(Job::worker) != Some(worker) {
            return;
        }
        self.workers[index].moves();
        self.detach(id);
        self.end(id, outcome);
    }

    pub(super) fn refused(&mut self, worker: Incarnation, id: JobId) {
        let Some(index) = self.find(worker) else {
            return;
        };
        if self.jobs.get(&id).map(|job| job.place) != Some(Place::Sent(worker)) {
            return;
        }
        self.detach(id);
        let worker = &mut self.workers[index];
        worker.used = worker.used.saturating_sub(1);
        // Its last job was not sent, and nobody has heard that it was.
        let exhausted = Action::Exhausted { worker: worker.id };
        if self.actions.front() == Some(&exhausted) {
            self.actions.pop_front();
            worker.life = Life::Open;
        }
        match worker.receipt {
            Receipt::Flowing | Receipt::Full => worker.receipt = Receipt::Full,
            // The trial has failed.
            Receipt::Still { .. } => worker.stood_still(self.spec.steal_after, self.now),
            Receipt::Stealing => {}
        }
        self.end_reservations_of(index);
        self.wait_on(id);
    }

    pub(super) fn room(&mut self, id: Incarnation) {
        if let Some(index) = self.find(id) {
            self.workers[index].has_free_link(self.now);
        }
    }

    pub(super) fn taken_back(&mut self, id: Incarnation, jobs: &[JobId]) {
        let Some(index) = self.find(id) else { return };
        let stolen = self.workers[index].receipt == Receipt::Stealing;
        let mut stood_still = false;
        for &job in jobs {
            if mutation::is(Mutation::JobTakeBackOff) {
                break;
            }
            let Some(known) = self.jobs.get_mut(&job) else {
                continue;
            };
            if known.place != Place::Sent(id) {
                continue;
            }
            known.thefts = known.thefts.saturating_add(u32::from(stolen));
            stood_still = true;
            self.detach(job);
            let worker = &mut self.workers[index];
            worker.used = worker.used.saturating_sub(1);
            self.wait_anew(job);
        }
        self.receive_all(index);
        let worker = &mut self.workers[index];
        worker.take_back = Ask::Idle;
        if stolen {
            worker.receipt = Receipt::Flowing;
            // Otherwise it received everything just in time.
            if stood_still {
                worker.stood_still(self.spec.steal_after, self.now);
            }
        }
        if worker.standing == Standing::Leaving {
            self.leave(index);
        }
    }

    pub(super) fn gone(&mut self, id: Incarnation) {
        let index = match self.place_of(id) {
            Ok(index) => index,
            Err(next)
                if mutation::is(Mutation::JobStrangerTrusted) && next < self.workers.len() =>
            {
                next
            }
            Err(_) => return,
        };
        self.end_reservations_of(index);
        let worker = self.workers.remove(index);
        self.actions
            .retain(|action| !is_request_to(action, worker.id));
        for id in worker.all_jobs() {
            let lost = worker.started.contains(&id)
                && self.spec.retry == Retry::Never
                && !mutation::is(Mutation::JobRetryUnasked);
            if lost {
                self.end(id, JobOutcome::Lost { worker: worker.id });
            } else {
                self.met_death(id);
            }
        }
        if worker.owes_withdrawal() {
            self.actions
                .push_back(Action::Withdrawn { worker: worker.id });
        }
    }

    pub(super) fn pending(&self) -> usize {
        usize::try_from(self.spec.pending.get()).unwrap_or(usize::MAX)
    }

    /// What lay in the worker's link and does no more, the worker has.
    fn receive_all(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        for (id, _) in worker.sent.drain(..) {
            worker.received.insert(id);
            if let Some(job) = self.jobs.get_mut(&id) {
                job.place = Place::Received(worker.id);
            }
        }
    }

    /// Where the worker stands, or would stand.
    fn place_of(&self, id: Incarnation) -> Result<usize, usize> {
        self.workers.binary_search_by_key(&id, |worker| worker.id)
    }
}

/// Whether the action is a request to the worker, which nobody needs once it is dead.
fn is_request_to(action: &Action, id: Incarnation) -> bool {
    match action {
        Action::Assign { worker, .. }
        | Action::Cancel { worker, .. }
        | Action::TakeBack { worker } => *worker == id,
        Action::Empty
        | Action::Exhausted { .. }
        | Action::Over { .. }
        | Action::Pause { .. }
        | Action::Release { .. }
        | Action::Resume { .. }
        | Action::Withdrawn { .. } => false,
    }
}

/// Whether the action is about the client.
fn is_word_to(action: &Action, id: ClientId) -> bool {
    match action {
        Action::Over { client, .. } | Action::Pause { client } | Action::Resume { client } => {
            *client == id
        }
        Action::Assign { .. }
        | Action::Cancel { .. }
        | Action::Empty
        | Action::Exhausted { .. }
        | Action::Release { .. }
        | Action::TakeBack { .. }
        | Action::Withdrawn { .. } => false,
    }
}
