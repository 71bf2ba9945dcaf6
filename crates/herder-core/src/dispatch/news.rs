//! What each piece of news about a worker changes.

use super::dispatcher::Dispatcher;
use super::message::{Action, CloseReason, ProbeState};
use super::pending::Waiting;
use super::worker::{Ask, Probe, Receipt, Standing, Watch, Worker};
use crate::mutation::{self, Mutation};
use crate::spec::Recall;
use crate::{ConnId, WorkerId};

/// Whether a connection came back because its worker died.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returned {
    ByDeath,
    Peacefully,
}

impl Dispatcher {
    pub(super) fn admit(&mut self, id: WorkerId) {
        match self.workers.binary_search_by_key(&id, |worker| worker.id) {
            Err(place) => self
                .workers
                .insert(place, Worker::new(id, self.first_trust(), self.now)),
            Ok(index) => match self.workers[index].standing {
                Standing::Held => self.workers[index].standing = Standing::Admitted,
                Standing::Admitted | Standing::Left | Standing::Withdrawing => {}
            },
        }
    }

    pub(super) fn hold(&mut self, id: WorkerId) {
        let Some(index) = self.find(id) else { return };
        match self.workers[index].standing {
            Standing::Held | Standing::Left | Standing::Withdrawing => {}
            Standing::Admitted => {
                self.workers[index].standing = Standing::Held;
                self.keep_unsent(index);
                if self.spec.recall == Recall::Channel && self.workers[index].queued() > 0 {
                    self.take_back(index);
                }
            }
        }
    }

    pub(super) fn withdraw(&mut self, id: WorkerId) {
        let Some(index) = self.find(id) else {
            self.actions.push_back(Action::Withdrawn {
                worker: id,
                taken_back: 0,
            });
            return;
        };
        match self.workers[index].standing {
            Standing::Withdrawing => {}
            Standing::Admitted | Standing::Held if self.spec.recall == Recall::Verdict => {
                self.keep_unsent(index);
                self.leave(index);
            }
            Standing::Admitted | Standing::Held => {
                self.workers[index].standing = Standing::Withdrawing;
                self.take_back(index);
            }
            Standing::Left => self.leave(index),
        }
    }

    pub(super) fn unreceived(&mut self, id: WorkerId, count: u32, probe: ProbeState) {
        let Some(index) = self.find(id) else { return };
        let worker = &mut self.workers[index];
        let received = worker.keep_newest(usize::try_from(count).unwrap_or(usize::MAX));
        self.totals.received += received as u64;
        worker.measure = Ask::Idle;
        worker.measured_at = self.now;
        let before = worker.receipt;
        worker.saw_probe(probe);
        if received > 0 || worker.receipt != before {
            self.moved_at = self.now;
        }
        // A count without a receipt says nothing about the refusal: to try again would be a loop.
        if received > 0 && matches!(worker.receipt, Receipt::Refused { .. }) {
            worker.receipt = Receipt::Flowing;
        }
        self.steal_if_still(index);
    }

    pub(super) fn refused(&mut self, id: WorkerId, conns: &[ConnId]) {
        let retry_at = self.now.after(self.spec.steal_after);
        let index = self.find(id);
        if let Some(index) = index {
            self.keep_unsent(index);
        }
        for &conn in conns.iter().rev() {
            let waiting = self.reclaim(index, conn);
            self.totals.sent -= 1;
            self.pending.push_front(waiting);
        }
        if let Some(index) = index {
            let worker = &mut self.workers[index];
            match worker.receipt {
                Receipt::Flowing | Receipt::Refused { .. } => {
                    worker.receipt = Receipt::Refused { retry_at };
                }
                Receipt::OnTrial => worker.receipt = Receipt::Rejecting { retry_at },
                Receipt::Rejecting { .. }
                | Receipt::Stalled(_)
                | Receipt::Stealing
                | Receipt::Undecided => {}
            }
        }
    }

    pub(super) fn taken_back_from(&mut self, id: WorkerId, conns: &[ConnId]) {
        self.bring_back(id, conns, Returned::Peacefully);
        let Some(index) = self.find(id) else { return };
        self.moved_at = self.now;
        let worker = &mut self.workers[index];
        worker.take_back = Ask::Idle;
        if worker.standing == Standing::Withdrawing {
            self.forget(index, conns.len());
            return;
        }
        if worker.receipt == Receipt::Stealing {
            worker.loses_turns(conns.len());
        }
        worker.receipt = match worker.receipt {
            // It received everything just in time.
            Receipt::Stealing if conns.is_empty() => Receipt::Flowing,
            Receipt::Stealing | Receipt::Stalled(Probe::Sent) => {
                self.actions.push_back(Action::Probe { worker: id });
                Receipt::Stalled(Probe::Unsent)
            }
            Receipt::Flowing
            | Receipt::OnTrial
            | Receipt::Refused { .. }
            | Receipt::Rejecting { .. }
            | Receipt::Stalled(Probe::Unsent)
            | Receipt::Undecided => worker.receipt,
        };
    }

    pub(super) fn gone(&mut self, id: WorkerId, conns: &[ConnId]) {
        let mut returned = Returned::ByDeath;
        if let Some(index) = self.find(id) {
            self.keep_unsent(index);
            // They were to be taken back anyway: its end, which was planned, is none of their doing.
            match self.workers[index].standing {
                Standing::Left | Standing::Withdrawing => returned = Returned::Peacefully,
                Standing::Admitted | Standing::Held => {}
            }
        }
        self.bring_back(id, conns, returned);
        self.actions.retain(|action| !is_request_to(action, id));
        if let Some(index) = self.find(id) {
            if self.workers[index].standing == Standing::Withdrawing {
                // Nobody watches a channel that is gone.
                self.workers[index].watch = Watch::Off;
                self.forget(index, conns.len());
            } else {
                self.workers.remove(index);
            }
        }
    }

    /// Asks for the worker's queue, once.
    pub(super) fn take_back(&mut self, index: usize) {
        self.keep_unsent(index);
        let worker = &mut self.workers[index];
        if worker.take_back == Ask::Idle {
            worker.take_back = Ask::Asked;
            self.actions
                .push_back(Action::TakeBack { worker: worker.id });
        }
    }

    /// What was assigned and not sent is pending again: it never left the master's hand.
    pub(super) fn keep_unsent(&mut self, index: usize) {
        while let Some(waiting) = self.workers[index].pop_unsent() {
            self.unsent -= 1;
            self.pending.push_front(waiting);
        }
    }

    /// `conns` are in the master's hand again, whatever was believed of them: a connection is given
    /// to exactly one receiver. Everything else that was queued has been received.
    fn bring_back(&mut self, id: WorkerId, conns: &[ConnId], returned: Returned) {
        let index = self.find(id);
        let conns = if mutation::is(Mutation::TakeBackOff) {
            &[]
        } else {
            conns
        };
        for &conn in conns.iter().rev() {
            let met = u32::from(returned == Returned::ByDeath);
            let mut waiting = self.reclaim(index, conn);
            waiting.deaths += met;
            waiting.since = self.now;
            self.totals.taken_back += 1;
            if waiting.deaths >= self.spec.poison_deaths.get() {
                self.totals.closed_poisoned += 1;
                self.actions.push_back(Action::Close {
                    conn,
                    reason: CloseReason::Poisoned,
                });
            } else {
                self.pending.push_front(waiting);
            }
        }
        if let Some(index) = index {
            self.totals.received += self.workers[index].keep_newest(0) as u64;
        }
    }

    /// Takes a connection out of the worker's queue. One that is not there was wrongly believed to be
    /// received.
    fn reclaim(&mut self, index: Option<usize>, conn: ConnId) -> Waiting {
        let known = index.and_then(|index| self.workers[index].remove(conn));
        known.unwrap_or_else(|| {
            self.totals.received = self.totals.received.saturating_sub(1);
            Waiting::new(conn, None, self.now)
        })
    }

    fn forget(&mut self, index: usize, taken_back: usize) {
        let worker = self.workers.remove(index);
        self.actions
            .retain(|action| !is_request_to(action, worker.id));
        if worker.watch == Watch::On {
            self.actions
                .push_back(Action::Unwatch { worker: worker.id });
        }
        let taken_back = u32::try_from(taken_back).unwrap_or(u32::MAX);
        self.actions.push_back(Action::Withdrawn {
            worker: worker.id,
            taken_back,
        });
    }
}

/// Whether the action is a request about this worker's queue, which nobody needs once it is gone.
fn is_request_to(action: &Action, id: WorkerId) -> bool {
    match action {
        Action::Measure { worker }
        | Action::Probe { worker }
        | Action::TakeBack { worker }
        | Action::Unwatch { worker }
        | Action::Watch { worker } => *worker == id,
        // Sends are never queued as actions; answers and closings stay owed.
        Action::Close { .. } | Action::Send { .. } | Action::Withdrawn { .. } => false,
    }
}
