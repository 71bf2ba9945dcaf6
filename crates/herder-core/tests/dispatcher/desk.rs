use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use herder_core::dispatch::{Action, Dispatcher, Event, ProbeState};
use herder_core::spec::{DispatchSpec, PickerKind, Recall};
use herder_core::{ConnId, Incarnation, Origin, Slot, Tick, WorkerId};

/// What lies in a worker's channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Record {
    Conn(ConnId),
    Probe,
}

/// A truthful shell around a dispatcher: channels that hold what was sent, workers that receive
/// only when the test says so, and a clock that the test moves.
pub(crate) struct Desk {
    pub(crate) dispatcher: Dispatcher,
    /// Every action, in order.
    pub(crate) log: Vec<Action>,
    recall: Recall,
    now: Tick,
    accepted: u64,
    channels: BTreeMap<WorkerId, VecDeque<Record>>,
    watched: BTreeSet<WorkerId>,
    /// These channels take nothing.
    pub(crate) refusing: BTreeSet<WorkerId>,
    /// These workers give back what they get, as soon as they [may](Desk::answer).
    pub(crate) rejecting: BTreeSet<WorkerId>,
}

/// The first incarnation in this slot.
pub(crate) fn worker(slot: u16) -> WorkerId {
    incarnation(slot, u64::from(slot) + 1)
}

pub(crate) fn incarnation(slot: u16, number: u64) -> WorkerId {
    WorkerId {
        slot: Slot(slot),
        incarnation: Incarnation(number),
    }
}

pub(crate) fn conns(range: std::ops::Range<u64>) -> Vec<ConnId> {
    range.map(ConnId).collect()
}

impl Desk {
    /// With workers in slots 0 to `workers - 1`, admitted.
    pub(crate) fn new(workers: u16) -> Desk {
        Desk::with(workers, &DispatchSpec::default())
    }

    pub(crate) fn picking(workers: u16, picker: PickerKind) -> Desk {
        Desk::with(
            workers,
            &DispatchSpec {
                picker,
                ..DispatchSpec::default()
            },
        )
    }

    /// With workers that decide about each connection themselves.
    pub(crate) fn of_deciders(workers: u16) -> Desk {
        Desk::with(
            workers,
            &DispatchSpec {
                recall: Recall::Verdict,
                ..DispatchSpec::default()
            },
        )
    }

    pub(crate) fn with(workers: u16, spec: &DispatchSpec) -> Desk {
        let mut desk = Desk {
            dispatcher: Dispatcher::new(spec, 1),
            log: Vec::new(),
            recall: spec.recall,
            now: Tick::from_micros(1_000_000),
            accepted: 0,
            channels: BTreeMap::new(),
            watched: BTreeSet::new(),
            refusing: BTreeSet::new(),
            rejecting: BTreeSet::new(),
        };
        for slot in 0..workers {
            desk.admit(worker(slot));
        }
        desk
    }

    pub(crate) fn admit(&mut self, worker: WorkerId) {
        self.tell(Event::Admit { worker });
    }

    /// Accepts so many connections in one turn.
    pub(crate) fn accept(&mut self, count: usize) {
        self.accept_from(None, count);
    }

    /// Accepts so many connections from one place in one turn.
    pub(crate) fn accept_from(&mut self, origin: impl Into<Option<u64>>, count: usize) {
        let origin = origin.into().map(Origin);
        for _ in 0..count {
            let conn = ConnId(self.accepted);
            self.accepted += 1;
            self.dispatcher
                .handle(Event::Accepted { conn, origin }, self.now);
        }
        self.drain();
    }

    /// Tells this, and does what is asked for.
    pub(crate) fn tell(&mut self, event: Event) {
        self.dispatcher.handle(event, self.now);
        self.drain();
    }

    /// The worker receives the oldest `count` records; a watched one is noticed.
    pub(crate) fn receive(&mut self, worker: WorkerId, count: usize) -> Vec<ConnId> {
        let channel = self.channels.entry(worker).or_default();
        let records: Vec<Record> = channel.drain(..count.min(channel.len())).collect();
        if !records.is_empty() && self.watched.contains(&worker) {
            self.tell_count(worker);
            self.drain();
        }
        let conn = |record| match record {
            Record::Conn(conn) => Some(conn),
            Record::Probe => None,
        };
        records.into_iter().filter_map(conn).collect()
    }

    /// The worker takes all that it has.
    pub(crate) fn serve(&mut self, worker: WorkerId) {
        match self.recall {
            Recall::Channel => {
                self.receive(worker, usize::MAX);
            }
            Recall::Verdict => self.take(worker, usize::MAX),
        }
    }

    /// The worker decides to serve the oldest `count`, one after the other.
    pub(crate) fn take(&mut self, worker: WorkerId, count: usize) {
        for conn in self.decide(worker, count) {
            self.tell(Event::Received { worker, conn });
        }
    }

    /// The worker gives the oldest `count` back, one after the other.
    pub(crate) fn reject(&mut self, worker: WorkerId, count: usize) {
        for conn in self.decide(worker, count) {
            self.tell(Event::Rejected { worker, conn });
        }
    }

    /// Whoever rejects does so, until nobody is given anything more.
    pub(crate) fn answer(&mut self) {
        let busy = |desk: &Desk, worker: &WorkerId| !desk.channel(*worker).is_empty();
        while let Some(worker) = self.rejecting.iter().copied().find(|w| busy(self, w)) {
            self.reject(worker, usize::MAX);
        }
    }

    /// The worker dies; what it had not received comes back.
    pub(crate) fn kill(&mut self, worker: WorkerId) {
        let conns = self.empty(worker);
        self.watched.remove(&worker);
        self.tell(Event::Gone { worker, conns });
    }

    /// Moves the clock, and wakes the dispatcher whenever it asked for it on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        let mut wakes = 0;
        while let Some(at) = self.dispatcher.poll_timeout().filter(|&at| at <= end) {
            wakes += 1;
            assert!(wakes < 10_000, "the dispatcher wakes without end");
            self.now = self.now.max(at);
            self.tell(Event::Timer);
            self.answer();
        }
        self.now = end;
    }

    /// What lies un-received in the worker's channel.
    pub(crate) fn channel(&self, worker: WorkerId) -> Vec<ConnId> {
        let conn = |record: &Record| match record {
            Record::Conn(conn) => Some(*conn),
            Record::Probe => None,
        };
        self.channels
            .get(&worker)
            .into_iter()
            .flatten()
            .filter_map(conn)
            .collect()
    }

    pub(crate) fn has_probe(&self, worker: WorkerId) -> bool {
        self.channels
            .get(&worker)
            .is_some_and(|channel| channel.contains(&Record::Probe))
    }

    pub(crate) fn is_watched(&self, worker: WorkerId) -> bool {
        self.watched.contains(&worker)
    }

    /// How many actions of the log are like this.
    pub(crate) fn count(&self, like: impl Fn(&Action) -> bool) -> usize {
        self.log.iter().filter(|action| like(action)).count()
    }

    /// Removes what is un-received, as a take-back does.
    pub(crate) fn empty(&mut self, worker: WorkerId) -> Vec<ConnId> {
        let conns = self.channel(worker);
        self.channels.remove(&worker);
        conns
    }

    fn decide(&mut self, worker: WorkerId, count: usize) -> Vec<ConnId> {
        let channel = self.channels.entry(worker).or_default();
        let records = channel.drain(..count.min(channel.len()));
        let conn = |record| match record {
            Record::Conn(conn) => conn,
            Record::Probe => panic!("nobody probes a worker that decides"),
        };
        records.map(conn).collect()
    }

    fn drain(&mut self) {
        while let Some(action) = self.dispatcher.poll_action() {
            self.log.push(action.clone());
            assert!(self.log.len() < 100_000, "the dispatcher asks without end");
            let needs_recall = !matches!(
                action,
                Action::Close { .. } | Action::Send { .. } | Action::Withdrawn { .. }
            );
            assert!(
                self.recall == Recall::Channel || !needs_recall,
                "{action:?} of one that decides"
            );
            self.execute(action);
        }
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Close { .. } | Action::Withdrawn { .. } => {}
            Action::Measure { worker } => self.tell_count(worker),
            Action::Probe { worker } => {
                self.channels
                    .entry(worker)
                    .or_default()
                    .push_back(Record::Probe);
            }
            Action::Send { worker, conns } if self.refusing.contains(&worker) => {
                self.dispatcher
                    .handle(Event::Refused { worker, conns }, self.now);
            }
            Action::Send { worker, conns } => {
                let records = conns.as_slice().iter().map(|&conn| Record::Conn(conn));
                self.channels.entry(worker).or_default().extend(records);
            }
            Action::TakeBack { worker } => {
                let conns = self.empty(worker);
                self.dispatcher
                    .handle(Event::TakenBack { worker, conns }, self.now);
            }
            Action::Unwatch { worker } => {
                self.watched.remove(&worker);
            }
            Action::Watch { worker } => {
                self.watched.insert(worker);
            }
        }
    }

    fn tell_count(&mut self, worker: WorkerId) {
        let count = u32::try_from(self.channel(worker).len()).expect("a channel is short");
        let probe = match self.has_probe(worker) {
            true => ProbeState::Unreceived,
            false => ProbeState::Absent,
        };
        self.dispatcher.handle(
            Event::Unreceived {
                worker,
                count,
                probe,
            },
            self.now,
        );
    }
}
