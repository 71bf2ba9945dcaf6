//! What holds after everything that happens. Sums over workers only: thousands of jobs are not
//! looked at one by one with each event.

use super::dispatcher::JobDispatcher;
use super::worker::{Ask, Receipt, Standing, Withdrawal, Worker};
use crate::mutation::{self, Mutation};

impl JobDispatcher {
    pub(super) fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            self.check_sums();
            self.workers
                .iter()
                .for_each(|worker| self.check_worker(worker));
        }
    }

    fn check_sums(&self) {
        assert!(
            self.workers.is_sorted_by(|a, b| a.id < b.id),
            "each worker is known once"
        );
        let held: usize = self.workers.iter().map(Worker::unfinished).sum();
        assert_eq!(
            self.jobs.len(),
            self.waiting.len() + held,
            "each job is in one place"
        );
        let reserved: usize = self
            .workers
            .iter()
            .map(|worker| worker.reserved.len())
            .sum();
        assert_eq!(
            self.waiting.len(),
            self.waiting.unreserved() + reserved,
            "each job that waits does so for one worker or for any"
        );
    }

    fn check_worker(&self, worker: &Worker) {
        let unstarted = worker.sent.len() + worker.received.len() + worker.reserved.len();
        assert!(
            unstarted <= self.limits.window && worker.load() <= self.limits.jobs,
            "nobody holds more than the window"
        );
        let within = self.limits.life.is_none_or(|life| {
            let given = worker.sent.len() + worker.received.len() + worker.started.len();
            given <= usize::try_from(life).unwrap_or(usize::MAX)
        });
        assert!(
            within || mutation::is(Mutation::JobLimitOff),
            "nobody holds more than a life's jobs"
        );
        let promising = match worker.standing {
            Standing::Expected => true,
            Standing::Admitted => worker.receipt == Receipt::Flowing,
            Standing::Held | Standing::Leaving | Standing::Left => false,
        };
        assert!(
            promising || worker.reserved.is_empty(),
            "nothing is reserved for a worker that cannot take it"
        );
        assert!(
            worker.withdrawal == Withdrawal::Unasked || worker.standing != Standing::Left,
            "a withdrawal ends once"
        );
        assert!(
            worker.receipt != Receipt::Stealing || worker.take_back == Ask::Asked,
            "a theft is asked for"
        );
        assert!(
            worker.standing != Standing::Left || worker.sent.is_empty(),
            "nothing lies in the link of a withdrawn worker"
        );
    }
}
