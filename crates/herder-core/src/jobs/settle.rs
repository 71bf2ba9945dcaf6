//! What follows from the state and the time alone.

use super::clients::Crowd;
use super::dispatcher::JobDispatcher;
use super::message::JobOutcome;
use super::worker::{Receipt, Worker};
use crate::Tick;

impl JobDispatcher {
    /// Decides what is left to decide when nothing more can be assigned.
    pub(super) fn settle(&mut self) {
        self.expire();
        self.steal();
        self.close();
        self.withdraw_deferred();
        self.disperse();
    }

    /// When the first job has waited too long.
    pub(super) fn expires_at(&self) -> Option<Tick> {
        let (since, _) = self.waiting.longest()?;
        Some(since.after(self.spec.pending_timeout))
    }

    /// When jobs are taken back from a worker that stands still, because another has room.
    pub(super) fn steal_at(&self) -> Option<Tick> {
        self.next_steal().map(|(at, _)| at)
    }

    /// Gives up what has waited too long. Whoever could be served was not late.
    fn expire(&mut self) {
        while self.expires_at().is_some_and(|at| at <= self.now)
            && let Some((_, id)) = self.waiting.longest()
        {
            self.detach(id);
            self.end(id, JobOutcome::Unserved);
        }
    }

    fn steal(&mut self) {
        if let Some((at, index)) = self.next_steal()
            && at <= self.now
        {
            self.workers[index].receipt = Receipt::Stealing;
            self.take_back(index);
        }
    }

    /// Whose link has stood longest, and when it is to be emptied. One at a time: what comes back may
    /// fill all the room there is.
    fn next_steal(&self) -> Option<(Tick, usize)> {
        let mut roomy = 0_usize;
        let mut oldest: Option<(Tick, usize)> = None;
        let has_room = |worker: &Worker| usize::from(worker.has_room(&self.limits));
        for worker in &self.workers {
            if worker.receipt == Receipt::Stealing {
                return None;
            }
            roomy += has_room(worker);
        }
        if roomy == 0 {
            return None;
        }
        for (index, worker) in self.workers.iter().enumerate() {
            let others = roomy - has_room(worker);
            if let Some(at) = worker.stands_still_at()
                && others > 0
                && oldest.is_none_or(|(earlier, _)| at < earlier)
            {
                oldest = Some((at, index));
            }
        }
        oldest
    }

    /// Half of the room must be free again: at the limit, clients would be stopped with each job.
    fn disperse(&mut self) {
        if self.crowd == Crowd::Dense && self.waiting.len() <= self.pending() / 2 {
            self.crowd = Crowd::Sparse;
            let resumed = self.clients.disperse();
            self.actions.extend(resumed);
        }
    }
}
