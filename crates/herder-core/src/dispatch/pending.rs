use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ConnId, Origin, Tick};

/// A connection that waits in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) conn: ConnId,
    pub(super) origin: Option<Origin>,
    /// Since when it has been in the master's hand; neither a refusal nor a rejection begins the wait
    /// anew.
    pub(super) since: Tick,
    /// When it was last given to a worker.
    pub(super) given_at: Tick,
    /// How many workers died while it was in their queues.
    pub(super) deaths: u32,
}

impl Waiting {
    /// A connection that comes into the master's hand now.
    pub(super) fn new(conn: ConnId, origin: Option<Origin>, now: Tick) -> Waiting {
        Waiting {
            conn,
            origin,
            since: now,
            given_at: now,
            deaths: 0,
        }
    }
}

/// The connections in the master's own hand, next one first.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    queue: VecDeque<Waiting>,
    /// No connection has waited since before this. What comes back goes to the front, so the front
    /// need not be the oldest; a bound that is exact only after `expire` saves a search per event.
    floor: Tick,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push_back(&mut self, waiting: Waiting) {
        self.lower_floor(waiting.since);
        self.queue.push_back(waiting);
    }

    pub(super) fn push_front(&mut self, waiting: Waiting) {
        self.lower_floor(waiting.since);
        self.queue.push_front(waiting);
    }

    /// Puts it before everything that was accepted after it.
    pub(super) fn insert_by_age(&mut self, waiting: Waiting) {
        self.lower_floor(waiting.since);
        let older = |other: &&Waiting| other.conn < waiting.conn;
        let place = self.queue.iter().take_while(older).count();
        self.queue.insert(place, waiting);
    }

    pub(super) fn pop_front(&mut self) -> Option<Waiting> {
        self.queue.pop_front()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Waiting> {
        self.queue.get(place)
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Waiting> {
        self.queue.remove(place)
    }

    /// Since when the one has waited that has waited longest.
    pub(super) fn longest_since(&self) -> Option<Tick> {
        self.queue.iter().map(|waiting| waiting.since).min()
    }

    /// When to call `expire`: not later than the first connection has waited for `timeout`.
    pub(super) fn expires_at(&self, timeout: Duration) -> Option<Tick> {
        (!self.queue.is_empty()).then(|| self.floor.after(timeout))
    }

    /// Removes what has waited for `timeout` and says which.
    pub(super) fn expire(&mut self, timeout: Duration, now: Tick, mut closed: impl FnMut(ConnId)) {
        if self.expires_at(timeout).is_none_or(|at| at > now) {
            return;
        }
        self.queue.retain(|waiting| {
            let fresh = waiting.since.after(timeout) > now;
            if !fresh {
                closed(waiting.conn);
            }
            fresh
        });
        self.floor = self.longest_since().unwrap_or(now);
    }

    fn lower_floor(&mut self, since: Tick) {
        self.floor = if self.queue.is_empty() {
            since
        } else {
            self.floor.min(since)
        };
    }
}
