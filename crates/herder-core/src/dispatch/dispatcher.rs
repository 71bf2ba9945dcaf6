use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Action, Event};
use super::pending::{Pending, Waiting};
use super::picker::Picker;
use super::worker::{Probe, Receipt, Worker};
use crate::spec::DispatchSpec;
use crate::{Tick, WorkerId};

/// How many connections the shell accepts in one turn at most: beyond it the other duties of its
/// loop would wait.
const MAX_ACCEPT: usize = 64;

/// After so long without a connection that moves, nobody makes up for turns any more: who is idle gets
/// strictly its turns.
const PAUSE: Duration = Duration::from_secs(1);

/// Decides who gets a connection, and takes back what is not received.
///
/// A connection is in exactly one hand: pending (the master's), queued (a worker's channel),
/// received, or closed. It goes from queued to pending only when it was taken back, refused, or
/// rejected, or when its worker died. A worker holds at most `window` connections un-received; when nobody has room, the kernel's
/// backlog is the queue.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Dispatcher {
    pub(super) spec: DispatchSpec,
    /// The time of the last news.
    pub(super) now: Tick,
    pub(super) picker: Picker,
    /// Sorted by id. Two incarnations of a slot may overlap.
    pub(super) workers: Vec<Worker>,
    pub(super) pending: Pending,
    pub(super) actions: VecDeque<Action>,
    /// How many connections are assigned and not sent, over all workers.
    pub(super) unsent: usize,
    pub(super) supply: Supply,
    pub(super) totals: Totals,
    /// When a connection was last accepted, received or taken back.
    #[serde(default)]
    pub(super) moved_at: Tick,
}

/// Whether the workers must be watched for credit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Supply {
    Ample,
    Starved,
}

/// Connections counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) accepted: u64,
    pub(super) closed_poisoned: u64,
    pub(super) closed_timed_out: u64,
    pub(super) received: u64,
    pub(super) rejected: u64,
    pub(super) sent: u64,
    pub(super) taken_back: u64,
}

impl Dispatcher {
    /// A dispatcher without workers. The `seed` decides every lot that it draws.
    #[must_use]
    pub fn new(spec: &DispatchSpec, seed: u64) -> Dispatcher {
        Dispatcher {
            spec: spec.clone(),
            now: Tick::ZERO,
            picker: Picker::new(spec.picker, seed),
            workers: Vec::new(),
            pending: Pending::default(),
            actions: VecDeque::new(),
            unsent: 0,
            supply: Supply::Ample,
            totals: Totals::default(),
            moved_at: Tick::ZERO,
        }
    }

    /// Takes in news. `now` never goes back; drain [`poll_action`](Dispatcher::poll_action) when
    /// everything that is known has been told (many connections make few messages).
    pub fn handle(&mut self, event: Event, now: Tick) {
        self.now = self.now.max(now);
        match event {
            Event::Accepted { conn, origin } => {
                self.totals.accepted += 1;
                self.forget_turns_after_a_pause();
                self.pending.push_back(Waiting::new(conn, origin, self.now));
            }
            Event::Admit { worker } => self.admit(worker),
            Event::Gone { worker, conns } => self.gone(worker, &conns),
            Event::Hold { worker } => self.hold(worker),
            Event::Load { worker, open } => {
                if let Some(worker) = self.worker_mut(worker) {
                    worker.open = open;
                }
            }
            Event::Received { worker, conn } => self.received_by(worker, conn),
            Event::Rejected { worker, conn } => self.rejected_by(worker, conn),
            Event::Refused { worker, conns } => self.refused(worker, conns.as_slice()),
            Event::TakenBack { worker, conns } => self.taken_back_from(worker, &conns),
            Event::Timer => self.timer(),
            Event::Unreceived {
                worker,
                count,
                probe,
            } => self.unreceived(worker, count, probe),
            Event::Withdraw { worker } => self.withdraw(worker),
        }
        self.check_invariants();
    }

    /// The next request to the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.unsent == 0 && self.actions.is_empty() {
            self.settle();
        }
        let action = if self.unsent > 0 {
            self.next_send()
        } else {
            self.next_request()
        };
        self.check_invariants();
        action
    }

    /// When to call [`handle`](Dispatcher::handle) with [`Event::Timer`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let stealable = self
            .workers
            .iter()
            .filter_map(|worker| self.look_at(worker));
        let retries = self
            .workers
            .iter()
            .filter_map(|worker| match worker.receipt {
                Receipt::Refused { retry_at } | Receipt::Rejecting { retry_at } => Some(retry_at),
                Receipt::Flowing
                | Receipt::OnTrial
                | Receipt::Stalled(_)
                | Receipt::Stealing
                | Receipt::Undecided => None,
            });
        let moments = [
            self.first_stalls_at(),
            self.sticky_wait_ends_at(),
            self.pending.expires_at(self.spec.pending_timeout),
        ];
        let moments = moments.into_iter().flatten();
        stealable.chain(retries).chain(moments).min()
    }

    /// How many connections the shell may accept now. With 0 it disarms the listener.
    #[must_use]
    pub fn accept_budget(&self) -> usize {
        // Who waits for one worker takes nobody's place at the others.
        let waiting = self.pending.len().saturating_sub(self.awaiting());
        self.credit().saturating_sub(waiting).min(MAX_ACCEPT)
    }

    /// How many connections were accepted in all.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.totals.accepted
    }

    /// How many connections were closed because too many workers died with them in their queues.
    #[must_use]
    pub fn closed_poisoned(&self) -> u64 {
        self.totals.closed_poisoned
    }

    /// How many connections were closed because nobody could take them in time.
    #[must_use]
    pub fn closed_timed_out(&self) -> u64 {
        self.totals.closed_timed_out
    }

    /// How many connections are known to have been received by workers.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.totals.received
    }

    /// How often a worker gave a connection back.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.totals.rejected
    }

    /// How many connections were put into channels, those that came back included:
    /// `accepted + taken_back - sent - closed` are in the master's hand.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.totals.sent
    }

    /// How many connections came back out of channels.
    #[must_use]
    pub fn taken_back(&self) -> u64 {
        self.totals.taken_back
    }

    /// How many connections are in the master's hand and assigned to nobody.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many connections the worker was given and is not known to have received.
    #[must_use]
    pub fn queued(&self, worker: WorkerId) -> usize {
        self.find(worker)
            .map_or(0, |index| self.workers[index].queued())
    }

    /// How many connections the worker says it holds open.
    #[must_use]
    pub fn open(&self, worker: WorkerId) -> u32 {
        self.find(worker)
            .map_or(0, |index| self.workers[index].open)
    }

    fn forget_turns_after_a_pause(&mut self) {
        if self.moved_at.after(PAUSE) <= self.now {
            for worker in &mut self.workers {
                worker.missed = 0;
            }
        }
        self.moved_at = self.now;
    }

    pub(super) fn find(&self, id: WorkerId) -> Option<usize> {
        self.workers
            .binary_search_by_key(&id, |worker| worker.id)
            .ok()
    }

    pub(super) fn worker_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.find(id).map(|index| &mut self.workers[index])
    }

    pub(super) fn window(&self) -> usize {
        usize::try_from(self.spec.window.get()).unwrap_or(usize::MAX)
    }

    /// How many connections all workers may get now.
    pub(super) fn credit(&self) -> usize {
        let window = self.window();
        self.workers
            .iter()
            .map(|worker| worker.credit(window))
            .sum()
    }

    fn next_send(&mut self) -> Option<Action> {
        let worker = self.workers.iter_mut().find(|worker| worker.unsent() > 0)?;
        let conns = worker.next_batch();
        self.unsent -= conns.as_slice().len();
        self.totals.sent += conns.as_slice().len() as u64;
        Some(Action::Send {
            worker: worker.id,
            conns,
        })
    }

    fn next_request(&mut self) -> Option<Action> {
        let action = self.actions.pop_front()?;
        if let Action::Probe { worker } = action
            && let Some(worker) = self.worker_mut(worker)
        {
            worker.receipt = Receipt::Stalled(Probe::Sent);
        }
        Some(action)
    }
}
