use std::collections::{BTreeMap, VecDeque};

use super::clients::{Clients, Crowd};
use super::closing::Closing;
use super::job::{Job, Waiting};
use super::message::{Action, Event, JobOutcome};
use super::spec::JobSpec;
use super::worker::{Limits, Worker};
use crate::{ClientId, Incarnation, JobId, Tick};

/// Decides which worker gets a client's message.
///
/// A job waits, is with one worker, or has come to its end; it leaves a worker un-ended only when it
/// was refused or taken back, or when the worker died. A worker's identity is its incarnation, and
/// the rotation is their order: the smallest above the last used, else the smallest.
///
/// Jobs are given by age, so that those which come back (the shell numbers them in order of arrival)
/// go first.
#[derive(Clone, PartialEq, Debug)]
pub struct JobDispatcher {
    pub(super) spec: JobSpec,
    pub(super) limits: Limits,
    /// The time of the last news.
    pub(super) now: Tick,
    /// Sorted by incarnation.
    pub(super) workers: Vec<Worker>,
    /// Whose turn was last.
    pub(super) last: Option<Incarnation>,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) waiting: Waiting,
    pub(super) clients: Clients,
    pub(super) crowd: Crowd,
    pub(super) closing: Closing,
    /// What is decided and not polled. An assignment never is: it is decided when it is polled.
    pub(super) actions: VecDeque<Action>,
}

impl JobDispatcher {
    /// A dispatcher without workers and clients.
    #[must_use]
    pub fn new(spec: JobSpec) -> JobDispatcher {
        JobDispatcher {
            limits: Limits::new(&spec),
            clients: Clients::new(spec.client_window.get()),
            spec,
            now: Tick::ZERO,
            workers: Vec::new(),
            last: None,
            jobs: BTreeMap::new(),
            waiting: Waiting::default(),
            crowd: Crowd::Sparse,
            closing: Closing::Unasked,
            actions: VecDeque::new(),
        }
    }

    /// Takes in news. `now` never goes back; drain [`poll_action`](JobDispatcher::poll_action) when
    /// everything that is known has been told.
    pub fn handle(&mut self, event: Event, now: Tick) {
        self.now = self.now.max(now);
        match event {
            Event::Admitted { worker, started } => self.admitted(worker, started),
            Event::Arrived { job, client } => self.arrived(job, client),
            Event::ClientGone { client } => self.client_gone(client),
            Event::Closing { within } => self.close_within(within),
            Event::Expected { worker } => self.expected(worker),
            Event::Failed { worker, job } => {
                self.worker_ended(worker, job, JobOutcome::Failed { worker });
            }
            Event::Finished { worker, job } => self.worker_ended(worker, job, JobOutcome::Finished),
            Event::Gone { worker } => self.gone(worker),
            Event::Held { worker } => self.held(worker),
            Event::Refused { worker, job } => self.refused(worker, job),
            Event::Room { worker } => self.room(worker),
            Event::Started { worker, job } => self.started(worker, job),
            Event::TakenBack { worker, jobs } => self.taken_back(worker, &jobs),
            // What is due is done when it is polled.
            Event::Timer => {}
            Event::Withdraw { worker } => self.withdraw(worker),
        }
        self.check_invariants();
    }

    /// The next request to the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        let mut action = self.decided();
        if action.is_none() {
            self.settle();
            action = self.decided();
        }
        self.check_invariants();
        action
    }

    /// When to call [`handle`](JobDispatcher::handle) with [`Event::Timer`]. Ask when no action is
    /// left to be polled.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let moments = [
            self.reservation_ends_at(),
            self.trial_at(),
            self.steal_at(),
            self.expires_at(),
            self.closing_ends_at(),
        ];
        moments.into_iter().flatten().min()
    }

    /// How many jobs nobody has.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many jobs the worker has and has not finished; started or not.
    #[must_use]
    pub fn unfinished(&self, worker: Incarnation) -> usize {
        self.find(worker)
            .map_or(0, |index| self.workers[index].unfinished())
    }

    /// How many jobs the worker works on.
    #[must_use]
    pub fn running(&self, worker: Incarnation) -> usize {
        self.find(worker)
            .map_or(0, |index| self.workers[index].started.len())
    }

    /// How many jobs of the client have not come to their end.
    #[must_use]
    pub fn outstanding(&self, client: ClientId) -> usize {
        self.clients.outstanding(client)
    }

    pub(super) fn find(&self, id: Incarnation) -> Option<usize> {
        self.workers
            .binary_search_by_key(&id, |worker| worker.id)
            .ok()
    }

    fn decided(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| self.assign())
    }
}
