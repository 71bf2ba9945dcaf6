//! What follows from the state alone: who must be watched, when to look at a queue again, what is
//! due.

use std::collections::VecDeque;
use std::time::Duration;

use super::dispatcher::{Dispatcher, Supply};
use super::message::{Action, CloseReason};
use super::worker::{Ask, Receipt, Standing, Watch, Worker};
use crate::Tick;
use crate::spec::Recall;

impl Dispatcher {
    /// Decides everything that is left to decide.
    pub(super) fn settle(&mut self) {
        self.assign();
        match self.spec.recall {
            Recall::Channel => self.watch(),
            // Each verdict comes by itself.
            Recall::Verdict => {}
        }
    }

    /// When nobody has room, each receipt by a full worker must wake the shell. The watch ends only
    /// when half of the room is free again: at the limit it would go on and off with each receipt.
    ///
    /// Whoever was seen to stand still, and could not be relieved, is watched as well: otherwise its
    /// receipt would go unnoticed until it is given more. So is whoever is waited for.
    fn watch(&mut self) {
        let window = self.window();
        let still_after = self.still_after();
        let room = window
            * self
                .workers
                .iter()
                .filter(|worker| worker.is_eligible())
                .count();
        let credit = self.credit();
        if credit == 0 {
            self.supply = Supply::Starved;
        } else if credit * 2 >= room {
            self.supply = Supply::Ample;
        }
        for worker in &mut self.workers {
            let wanted = match worker.receipt {
                Receipt::Refused { .. } | Receipt::Stalled(_) => {
                    worker.standing != Standing::Withdrawing
                }
                Receipt::Flowing => {
                    let full = worker.watch == Watch::On || worker.credit(window) == 0;
                    let needed = self.supply == Supply::Starved && full;
                    let needed = needed || worker.awaited > 0;
                    worker.is_eligible() && (needed || worker.was_seen_still(still_after))
                }
                Receipt::Stealing => worker.watch == Watch::On,
                Receipt::OnTrial | Receipt::Rejecting { .. } | Receipt::Undecided => false,
            };
            match (worker.watch, wanted) {
                (Watch::Off, true) => {
                    worker.watch = Watch::On;
                    self.actions.push_back(Action::Watch { worker: worker.id });
                    // It may have received just before the watch began.
                    measure(worker, &mut self.actions);
                }
                (Watch::On, false) => {
                    worker.watch = Watch::Off;
                    self.actions
                        .push_back(Action::Unwatch { worker: worker.id });
                }
                (Watch::Off, false) | (Watch::On, true) => {}
            }
        }
    }

    /// Does what has become due.
    pub(super) fn timer(&mut self) {
        let now = self.now;
        for worker in &mut self.workers {
            match worker.receipt {
                Receipt::Refused { retry_at } if retry_at <= now => {
                    worker.receipt = Receipt::Flowing;
                }
                Receipt::Rejecting { retry_at } if retry_at <= now => {
                    worker.receipt = Receipt::OnTrial;
                }
                Receipt::Flowing
                | Receipt::OnTrial
                | Receipt::Refused { .. }
                | Receipt::Rejecting { .. }
                | Receipt::Stalled(_)
                | Receipt::Stealing
                | Receipt::Undecided => {}
            }
        }
        for index in 0..self.workers.len() {
            if self
                .look_at(&self.workers[index])
                .is_some_and(|at| at <= now)
            {
                measure(&mut self.workers[index], &mut self.actions);
            }
        }
        // Whoever can be served is not late.
        self.assign();
        let (actions, totals) = (&mut self.actions, &mut self.totals);
        self.pending.expire(self.spec.pending_timeout, now, |conn| {
            totals.closed_timed_out += 1;
            actions.push_back(Action::Close {
                conn,
                reason: CloseReason::TimedOut,
            });
        });
    }

    /// When the worker's queue is to be measured: once when its oldest connection has been there for
    /// too long, and again as soon as somebody else could take it.
    pub(super) fn look_at(&self, worker: &Worker) -> Option<Tick> {
        let idle = self.spec.recall == Recall::Channel
            && worker.is_stealable()
            && worker.measure == Ask::Idle;
        let old_at = worker.oldest_sent()?.after(self.still_after());
        (idle && (worker.measured_at < old_at || self.other_has_credit(worker))).then_some(old_at)
    }

    /// Takes the worker's queue back when it was just seen to stand still and somebody else has room.
    pub(super) fn steal_if_still(&mut self, index: usize) {
        let worker = &self.workers[index];
        let still = worker
            .oldest_sent()
            .is_some_and(|oldest| oldest.after(self.still_after()) <= self.now);
        if still && worker.is_stealable() && self.other_has_credit(worker) {
            self.workers[index].receipt = Receipt::Stealing;
            self.take_back(index);
        }
    }

    /// How long a queue may stand still before others are given what is in it.
    fn still_after(&self) -> Duration {
        if self.picker.is_sticky() {
            self.spec.steal_after.max(self.spec.sticky_wait)
        } else {
            self.spec.steal_after
        }
    }

    fn other_has_credit(&self, worker: &Worker) -> bool {
        let window = self.window();
        self.workers
            .iter()
            .any(|other| other.id != worker.id && other.credit(window) > 0)
    }
}

/// Asks for a look at the worker's queue, once.
pub(super) fn measure(worker: &mut Worker, actions: &mut VecDeque<Action>) {
    if worker.measure == Ask::Idle {
        worker.measure = Ask::Asked;
        actions.push_back(Action::Measure { worker: worker.id });
    }
}
