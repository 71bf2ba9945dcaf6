//! How a worker is relieved of what it has not started.

use super::closing::Closing;
use super::dispatcher::JobDispatcher;
use super::message::Action;
use super::worker::{Ask, Life, Standing, Withdrawal};
use crate::Incarnation;

impl JobDispatcher {
    pub(super) fn withdraw(&mut self, id: Incarnation) {
        let Some(index) = self.find(id) else {
            self.actions.push_back(Action::Withdrawn { worker: id });
            return;
        };
        match self.workers[index].standing {
            Standing::Admitted if self.is_better_left(index) => {
                self.workers[index].withdrawal = Withdrawal::Deferred;
            }
            Standing::Admitted | Standing::Expected | Standing::Held => self.begin_leave(index),
            Standing::Leaving => {}
            Standing::Left => self.actions.push_back(Action::Withdrawn { worker: id }),
        }
    }

    /// Those go whose withdrawal was put off and costs nobody a job any more.
    pub(super) fn withdraw_deferred(&mut self) {
        for index in 0..self.workers.len() {
            if self.workers[index].withdrawal == Withdrawal::Deferred
                && (self.workers[index].standing != Standing::Admitted
                    || !self.is_better_left(index))
            {
                self.begin_leave(index);
            }
        }
    }

    /// Asks for what the worker has not received, once.
    pub(super) fn take_back(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.take_back == Ask::Idle && !worker.sent.is_empty() {
            worker.take_back = Ask::Asked;
            self.actions
                .push_back(Action::TakeBack { worker: worker.id });
        }
    }

    /// Nothing lies in the worker's link, and nothing more is sent.
    pub(super) fn leave(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.standing = Standing::Left;
        self.actions
            .push_back(Action::Withdrawn { worker: worker.id });
    }

    /// Whether the jobs in the worker's link are better left there for now: it gets nothing more
    /// anyway, or the herd stops and nobody comes who could take them. Should it stand still, others
    /// take them over as from any worker.
    fn is_better_left(&self, index: usize) -> bool {
        let worker = &self.workers[index];
        let busy = worker.take_back == Ask::Asked || !worker.sent.is_empty();
        match (worker.life, self.closing) {
            (Life::Exhausted, Closing::Unasked | Closing::Until(_)) => busy,
            (Life::Open, Closing::Until(_)) => true,
            (Life::Open, Closing::Unasked) | (_, Closing::Over) => false,
        }
    }

    fn begin_leave(&mut self, index: usize) {
        self.end_reservations_of(index);
        self.take_back(index);
        let worker = &mut self.workers[index];
        worker.withdrawal = Withdrawal::Unasked;
        worker.standing = Standing::Leaving;
        if worker.take_back == Ask::Idle {
            self.leave(index);
        }
    }
}
