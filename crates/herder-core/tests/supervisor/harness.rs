//! A supervisor with a clock that the test moves.

use std::collections::BTreeSet;
use std::time::Duration;

use herder_core::spec::{AppSpec, WorkerCount};
use herder_core::supervisor::{Action, Event, Notice, Phase, Seat, Supervisor};
use herder_core::{Exit, Generation, Incarnation, Slot, Tick, WorkerId};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Herd {
    pub(crate) core: Supervisor,
    pub(crate) now: Tick,
    /// Workers whose loop stands still. All others beat whenever time passes.
    pub(crate) silent: BTreeSet<WorkerId>,
}

impl Herd {
    pub(crate) fn new(spec: AppSpec) -> Herd {
        Herd {
            core: Supervisor::new(spec, 42),
            now: Tick::from_micros(1_000_000),
            silent: BTreeSet::new(),
        }
    }

    /// An app whose every worker is ready: incarnations 1 to n in slots 0 to n − 1.
    pub(crate) fn ready(spec: AppSpec) -> Herd {
        let mut herd = Herd::new(spec);
        herd.tell(Event::Start);
        for worker in herd.alive() {
            herd.boot(worker);
        }
        herd
    }

    /// Feeds the event and returns every action it caused.
    pub(crate) fn tell(&mut self, event: Event) -> Vec<Action> {
        self.core.handle(event, self.now);
        std::iter::from_fn(|| self.core.poll_action()).collect()
    }

    /// Lets the worker's process exist and become ready.
    pub(crate) fn boot(&mut self, worker: WorkerId) -> Vec<Action> {
        let mut actions = self.tell(Event::Spawned { worker });
        actions.extend(self.tell(Event::Ready { worker }));
        actions
    }

    pub(crate) fn exit(&mut self, worker: WorkerId) -> Vec<Action> {
        self.tell(Event::Exited {
            worker,
            exit: Exit::Code(1),
        })
    }

    /// Lets time pass: a timer at each deadline, heartbeats before it. Returns all actions, each
    /// with its moment.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<(Tick, Action)> {
        let end = self.now.after(time);
        let mut seen = Vec::new();
        loop {
            self.beat_all();
            let next = self.core.poll_timeout().filter(|at| *at <= end);
            self.now = next.map_or(end, |at| at.max(self.now));
            self.beat_all();
            let Some(_) = self.core.poll_timeout().filter(|at| *at <= self.now) else {
                match next {
                    Some(_) => continue,
                    None => return seen,
                }
            };
            let now = self.now;
            seen.extend(
                self.tell(Event::Timer)
                    .into_iter()
                    .map(|action| (now, action)),
            );
        }
    }

    /// Lets time pass and returns the actions alone.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Action> {
        self.pass(time)
            .into_iter()
            .map(|(_, action)| action)
            .collect()
    }

    /// Time passes and nobody looks.
    pub(crate) fn leap(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    pub(crate) fn alive(&self) -> Vec<WorkerId> {
        self.core.workers().map(|(worker, _)| worker).collect()
    }

    pub(crate) fn phase(&self, worker: WorkerId) -> Option<Phase> {
        self.core.phase(worker)
    }

    pub(crate) fn seat(&self, slot: u16) -> Seat {
        let mut slots = self.core.slots();
        slots
            .find(|(s, _)| *s == Slot(slot))
            .map(|(_, seat)| seat)
            .expect("the slot exists")
    }

    fn beat_all(&mut self) {
        for worker in self.alive() {
            let beats = matches!(
                self.phase(worker),
                Some(Phase::Ready { .. } | Phase::Standby { .. })
            );
            if beats && !self.silent.contains(&worker) {
                let actions = self.tell(Event::Beat { worker });
                assert_eq!(actions, [], "a beat of a ready worker asks for nothing");
            }
        }
    }
}

pub(crate) fn spec(workers: usize) -> AppSpec {
    let name = "app".parse().expect("a good name");
    AppSpec::new(name, WorkerCount::new(workers).expect("a good count"))
}

pub(crate) fn count(workers: usize) -> WorkerCount {
    WorkerCount::new(workers).expect("a good count")
}

/// Incarnation `incarnation` in slot `slot`.
pub(crate) fn id(slot: u16, incarnation: u64) -> WorkerId {
    WorkerId {
        slot: Slot(slot),
        incarnation: Incarnation(incarnation),
    }
}

/// The request for a worker of the first generation.
pub(crate) fn spawn(worker: WorkerId) -> Action {
    let generation = Generation::FIRST;
    Action::Spawn { worker, generation }
}

/// The workers that are asked for.
pub(crate) fn spawns(actions: &[Action]) -> Vec<WorkerId> {
    let spawned = |action: &Action| {
        let Action::Spawn { worker, .. } = action else {
            return None;
        };
        Some(*worker)
    };
    actions.iter().filter_map(spawned).collect()
}

/// What is announced.
pub(crate) fn notices(actions: &[Action]) -> Vec<Notice> {
    let announced = |action: &Action| {
        let Action::Announce(notice) = action else {
            return None;
        };
        Some(notice.clone())
    };
    actions.iter().filter_map(announced).collect()
}

/// What is asked for, without what is announced.
pub(crate) fn deeds(actions: &[Action]) -> Vec<Action> {
    let deed = |action: &&Action| !matches!(action, Action::Announce(_));
    actions.iter().filter(deed).cloned().collect()
}
