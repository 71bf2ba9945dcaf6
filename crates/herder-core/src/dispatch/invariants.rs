//! What always holds.

use super::dispatcher::Dispatcher;
use super::worker::{Ask, Worker};
use crate::mutation::{self, Mutation};

impl Dispatcher {
    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.workers.is_sorted_by(|a, b| a.id < b.id),
            "each worker is known once"
        );
        debug_assert_eq!(
            self.unsent,
            self.workers.iter().map(Worker::unsent).sum::<usize>(),
            "the unsent are counted"
        );
        debug_assert!(
            mutation::is(Mutation::CreditOff)
                || self
                    .workers
                    .iter()
                    .all(|worker| worker.queued() <= self.window()),
            "nobody holds more than the window"
        );
        debug_assert!(
            self.workers
                .iter()
                .all(|w| w.unsent() == 0 || w.take_back == Ask::Idle),
            "nothing goes into a queue that is being emptied"
        );
        let totals = &self.totals;
        let queued: usize = self.workers.iter().map(Worker::queued).sum();
        let closed = totals.closed_poisoned + totals.closed_timed_out;
        debug_assert_eq!(
            totals.accepted,
            (self.pending.len() + queued) as u64 + totals.received + closed,
            "each connection is in one place"
        );
        debug_assert_eq!(
            totals.accepted + totals.taken_back,
            (self.pending.len() + self.unsent) as u64 + totals.sent + closed,
            "each connection in the master's hand is accounted for"
        );
    }
}
