//! What becomes of a job that nobody has any more, and how it leaves where it was.

use super::dispatcher::JobDispatcher;
use super::job::{Payload, Place};
use super::message::{Action, JobOutcome};
use crate::JobId;

impl JobDispatcher {
    /// Takes the job out of wherever it is.
    pub(super) fn detach(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (place, since) = (job.place, job.since);
        let holder = match place {
            Place::Reserved(worker)
            | Place::Received(worker)
            | Place::Sent(worker)
            | Place::Started(worker) => self.find(worker),
            Place::Waiting => None,
        };
        let worker = holder.map(|index| &mut self.workers[index]);
        match (place, worker) {
            (Place::Waiting, _) | (_, None) => self.waiting.remove(id, since),
            (Place::Reserved(_), Some(worker)) => {
                worker.reserved.retain(|(reserved, _)| *reserved != id);
                self.waiting.remove(id, since);
            }
            (Place::Received(_), Some(worker)) => {
                worker.received.remove(&id);
            }
            (Place::Sent(_), Some(worker)) => worker.unsend(id),
            (Place::Started(_), Some(worker)) => {
                worker.started.remove(&id);
            }
        }
    }

    /// A detached job waits on: it never left the shell's hand.
    pub(super) fn wait_on(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.client.is_none() {
            self.forget(id);
            return;
        }
        job.place = Place::Waiting;
        self.waiting.insert(id, job.since);
    }

    /// A detached job begins to wait.
    pub(super) fn wait_anew(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.since = self.now;
        }
        self.wait_on(id);
    }

    /// A detached job's worker died.
    pub(super) fn met_death(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.deaths = job.deaths.saturating_add(1);
        if job.deaths >= self.spec.poison_deaths.get() {
            self.end(id, JobOutcome::Poisoned);
        } else {
            self.wait_anew(id);
        }
    }

    /// A detached job has come to its end.
    pub(super) fn end(&mut self, id: JobId, outcome: JobOutcome) {
        let Some(client) = self.forget(id) else {
            return;
        };
        self.actions.push_back(Action::Over {
            job: id,
            client,
            outcome,
        });
        self.actions.extend(self.clients.over(client, id));
    }

    /// A detached job is followed no longer. Returns who waits for it.
    pub(super) fn forget(&mut self, id: JobId) -> Option<crate::ClientId> {
        self.release(id);
        self.jobs.remove(&id)?.client
    }

    /// The job will not be sent again.
    pub(super) fn release(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id)
            && job.payload == Payload::Kept
        {
            job.payload = Payload::Released;
            self.actions.push_back(Action::Release { job: id });
        }
    }
}
