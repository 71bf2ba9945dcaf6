//! Workers that decide about each connection themselves: what they take, give back, and leave
//! undecided.

use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::message::Action;
use super::worker::{Receipt, Standing};
use crate::mutation::{self, Mutation};
use crate::spec::Recall;
use crate::{ConnId, Tick, WorkerId};

/// Within this a worker decides that may be given more at a time. It is a hundred times what a fast
/// program needs for a whole request, and a connection may wait so long behind others without harm.
const PROMPT: Duration = Duration::from_millis(5);

/// How long a worker that gave a connection back is passed over; doubles with each trial in vain.
const FIRST_RETRY: Duration = Duration::from_millis(5);

/// The longest time for which it is passed over.
const LAST_RETRY: Duration = Duration::from_millis(100);

impl Dispatcher {
    pub(super) fn received_by(&mut self, id: WorkerId, conn: ConnId) {
        let Some(index) = self.find(id) else { return };
        let held = self.workers[index].queued();
        // A verdict on what it was not given means nothing.
        let Some(waiting) = self.workers[index].remove(conn) else {
            return;
        };
        self.learn(index, held, self.now.since(waiting.given_at));
        self.totals.received += 1;
        let worker = &mut self.workers[index];
        worker.measured_at = self.now;
        worker.failed_trials = 0;
        match worker.receipt {
            Receipt::OnTrial
            | Receipt::Refused { .. }
            | Receipt::Rejecting { .. }
            | Receipt::Undecided => worker.receipt = Receipt::Flowing,
            Receipt::Flowing | Receipt::Stalled(_) | Receipt::Stealing => {}
        }
        self.forget_if_decided(index);
    }

    pub(super) fn rejected_by(&mut self, id: WorkerId, conn: ConnId) {
        let Some(index) = self.find(id) else { return };
        let Some(waiting) = self.workers[index].remove(conn) else {
            return;
        };
        self.totals.rejected += 1;
        self.totals.taken_back += 1;
        self.keep_unsent(index);
        self.pending.insert_by_age(waiting);
        let caution = self.first_trust();
        let worker = &mut self.workers[index];
        worker.trust = caution;
        worker.measured_at = self.now;
        match worker.receipt {
            Receipt::Flowing | Receipt::OnTrial | Receipt::Refused { .. } | Receipt::Undecided
                if !mutation::is(Mutation::RejectionUnnoticed) =>
            {
                let retry_at = self.now.after(retry_after(worker.failed_trials));
                worker.failed_trials = worker.failed_trials.saturating_add(1);
                worker.receipt = Receipt::Rejecting { retry_at };
            }
            // It was given before it was known that the worker rejects.
            Receipt::Rejecting { .. } => {}
            Receipt::Flowing
            | Receipt::OnTrial
            | Receipt::Refused { .. }
            | Receipt::Stalled(_)
            | Receipt::Stealing
            | Receipt::Undecided => {}
        }
        self.forget_if_decided(index);
    }

    /// How many connections a worker may hold about which nothing is known.
    pub(super) fn first_trust(&self) -> usize {
        match self.spec.recall {
            Recall::Channel => usize::MAX,
            Recall::Verdict => {
                usize::try_from(self.spec.cautious_window.get()).unwrap_or(usize::MAX)
            }
        }
    }

    /// Less for those that have become slow, and nothing more for those that decide nothing.
    pub(super) fn note_stalls(&mut self) {
        let caution = self.first_trust();
        for index in 0..self.workers.len() {
            if self.workers[index]
                .oldest_sent()
                .is_some_and(|at| at.after(PROMPT) < self.now)
            {
                self.workers[index].trust = caution;
            }
            if self.stalls_at(index).is_some_and(|at| at <= self.now) {
                self.keep_unsent(index);
                self.workers[index].receipt = Receipt::Undecided;
            }
        }
    }

    /// When the first worker is to be judged as undecided.
    pub(super) fn first_stalls_at(&self) -> Option<Tick> {
        (0..self.workers.len())
            .filter_map(|index| self.stalls_at(index))
            .min()
    }

    /// It gets nothing more, which is all that can be done: its verdicts are awaited still.
    pub(super) fn leave(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.standing = Standing::Left;
        self.actions.push_back(Action::Withdrawn {
            worker: worker.id,
            taken_back: 0,
        });
        self.forget_if_decided(index);
    }

    /// A worker that held `held` connections has decided about one, so long after it was given it: only who
    /// was at its limit has shown that it could do with more.
    fn learn(&mut self, index: usize, held: usize, after: Duration) {
        let (caution, window) = (self.first_trust(), self.window());
        let worker = &mut self.workers[index];
        if after > PROMPT {
            worker.trust = caution;
        } else if held == worker.trust && worker.trust < window {
            worker.trust += 1;
        }
    }

    fn stalls_at(&self, index: usize) -> Option<Tick> {
        match self.spec.recall {
            Recall::Channel => None,
            Recall::Verdict if mutation::is(Mutation::StallUnnoticed) => None,
            Recall::Verdict => self.workers[index].stalls_at(self.spec.stall_after),
        }
    }

    fn forget_if_decided(&mut self, index: usize) {
        let worker = &self.workers[index];
        if worker.standing == Standing::Left && worker.queued() == 0 {
            self.workers.remove(index);
        }
    }
}

fn retry_after(failed_trials: u32) -> Duration {
    // Long before the power overflows it exceeds the longest time.
    let factor = 1 << failed_trials.min(16);
    (FIRST_RETRY * factor).min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_rejects_is_passed_over_longer_and_longer() {
        let millis = |failed| retry_after(failed).as_millis();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(millis),
            [5, 10, 20, 40, 80, 100, 100, 100]
        );
    }
}
