//! The herd stops: nobody is withdrawn before every job is with a worker that works on it.

use std::time::Duration;

use super::dispatcher::JobDispatcher;
use super::message::{Action, JobOutcome};
use crate::Tick;

/// How far the dispatcher's end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    /// `Empty` was said.
    Over,
    Unasked,
    /// Withdrawals wait, until then at most.
    Until(Tick),
}

impl JobDispatcher {
    pub(super) fn close_within(&mut self, within: Duration) {
        let until = self.now.after(within);
        self.closing = match self.closing {
            Closing::Over => Closing::Over,
            Closing::Unasked => Closing::Until(until),
            Closing::Until(earlier) => Closing::Until(earlier.min(until)),
        };
    }

    /// When withdrawals wait no longer.
    pub(super) fn closing_ends_at(&self) -> Option<Tick> {
        match self.closing {
            Closing::Over | Closing::Unasked => None,
            Closing::Until(until) => Some(until),
        }
    }

    /// Ends the wait of the withdrawals, and that of jobs that nobody can take any more.
    pub(super) fn close(&mut self) {
        if self.closing == Closing::Unasked {
            return;
        }
        let stranded = !self.workers.iter().any(|worker| worker.has_future());
        while stranded && let Some((_, id)) = self.waiting.longest() {
            self.detach(id);
            self.end(id, JobOutcome::Unserved);
        }
        if let Closing::Until(until) = self.closing {
            let in_links = self.workers.iter().any(|worker| !worker.sent.is_empty());
            let empty = self.waiting.len() == 0 && !in_links;
            if empty || until <= self.now {
                self.closing = Closing::Over;
                self.actions.push_back(Action::Empty);
            }
        }
    }
}
