use std::collections::BTreeSet;

use crate::{ClientId, Incarnation, JobId, Tick};

/// A job that has not come to its end.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Job {
    /// Who waits for it: nobody, once the client is gone. Then it is only followed because it takes
    /// up a place at its worker.
    pub(super) client: Option<ClientId>,
    pub(super) place: Place,
    /// Since when it has waited, when it does; a refusal does not begin the wait anew.
    pub(super) since: Tick,
    /// How many workers died while they had it.
    pub(super) deaths: u32,
    /// How often it was taken from a worker that stood still. Each time the next worker gets twice
    /// as long: otherwise workers that all begin slowly would pass it on for ever.
    pub(super) thefts: u32,
    pub(super) patience: Patience,
    pub(super) payload: Payload,
}

/// Who has a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nobody; the worker that is being started shall have it.
    Reserved(Incarnation),
    /// The worker has received it, as a take-back has shown, and has not started it.
    Received(Incarnation),
    /// It was sent to the worker and can perhaps be taken back.
    Sent(Incarnation),
    /// The worker works on it.
    Started(Incarnation),
    /// Nobody.
    Waiting,
}

/// Whether a job may still wait for a worker that is being started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    Fresh,
    Spent,
}

/// Whether the shell must keep a job's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Payload {
    Kept,
    Released,
}

impl Job {
    pub(super) fn new(client: ClientId, now: Tick) -> Job {
        Job {
            client: Some(client),
            place: Place::Waiting,
            since: now,
            deaths: 0,
            thefts: 0,
            patience: Patience::Fresh,
            payload: Payload::Kept,
        }
    }

    /// The worker that has it.
    pub(super) fn worker(&self) -> Option<Incarnation> {
        match self.place {
            Place::Received(worker) | Place::Sent(worker) | Place::Started(worker) => Some(worker),
            Place::Reserved(_) | Place::Waiting => None,
        }
    }
}

/// The jobs that nobody has, those reserved for a worker that is being started included.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Waiting {
    /// Those that are reserved for nobody, by age: what comes back stands before all that was never
    /// given to anybody, because the oldest is always given first.
    queue: BTreeSet<JobId>,
    /// All of them, by the beginning of their wait.
    since: BTreeSet<(Tick, JobId)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.since.len()
    }

    pub(super) fn unreserved(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn front(&self) -> Option<JobId> {
        self.queue.first().copied()
    }

    /// Who has waited longest, and since when.
    pub(super) fn longest(&self) -> Option<(Tick, JobId)> {
        self.since.first().copied()
    }

    /// A job begins to wait, or its reservation ends.
    pub(super) fn insert(&mut self, id: JobId, since: Tick) {
        self.queue.insert(id);
        self.since.insert((since, id));
    }

    /// A job waits for one worker only.
    pub(super) fn reserve(&mut self, id: JobId) {
        self.queue.remove(&id);
    }

    /// A job does not wait any more.
    pub(super) fn remove(&mut self, id: JobId, since: Tick) {
        self.queue.remove(&id);
        self.since.remove(&(since, id));
    }
}
