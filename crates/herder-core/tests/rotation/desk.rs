//! A rotation, and a kernel of which only what was written is known.

use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::rotation::{
    Action, Balance, Event, Relief, Rotation, RotationSpec, Sample, SocketId, Steering, Weight,
};
use herder_core::{Incarnation, Slot, Tick, WorkerId};

pub(crate) struct Desk {
    pub(crate) rotation: Rotation,
    pub(crate) now: Tick,
    /// What the queues will show.
    pub(crate) queues: BTreeMap<SocketId, u32>,
    /// The sockets at the slots' indexes.
    pub(crate) places: BTreeMap<Slot, SocketId>,
    /// How many turns have been taken.
    pub(crate) turns: u64,
    pub(crate) is_armed: bool,
}

pub(crate) fn worker(slot: u16, incarnation: u64) -> WorkerId {
    WorkerId {
        slot: Slot(slot),
        incarnation: Incarnation(incarnation),
    }
}

pub(crate) fn socket(slot: u16, number: u64) -> SocketId {
    let slot = Slot(slot);
    SocketId { slot, number }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn rotate(slots: &[u16]) -> Action {
    let turns = slots.iter().map(|slot| Slot(*slot)).collect();
    Action::Rotate { turns }
}

pub(crate) fn enter(slot: u16, number: u64) -> Action {
    let socket = socket(slot, number);
    Action::Enter { socket }
}

pub(crate) fn by_program() -> RotationSpec {
    RotationSpec::default()
}

pub(crate) fn by_load() -> RotationSpec {
    RotationSpec::new(Balance::LeastLoaded, Steering::Program)
}

pub(crate) fn by_hash() -> RotationSpec {
    RotationSpec::new(Balance::RoundRobin, Steering::Hash)
}

impl Desk {
    pub(crate) fn new(spec: &RotationSpec) -> Desk {
        Desk {
            rotation: Rotation::new(spec),
            now: Tick::from_micros(1_000_000),
            queues: BTreeMap::new(),
            places: BTreeMap::new(),
            turns: 0,
            is_armed: false,
        }
    }

    /// Slots from 0, each with a ready worker: 0#1, 1#2, 2#3 …
    pub(crate) fn with(spec: &RotationSpec, slots: u16, relief: Relief) -> Desk {
        let mut desk = Desk::new(spec);
        for slot in 0..slots {
            desk.start_with(worker(slot, u64::from(slot) + 1), relief);
        }
        for slot in 0..slots {
            desk.admit(worker(slot, u64::from(slot) + 1));
        }
        desk
    }

    /// What is asked for, but for looks, which are answered.
    pub(crate) fn tell(&mut self, event: Event) -> Vec<Action> {
        self.rotation.handle(event, self.now);
        let mut actions = Vec::new();
        while let Some(action) = self.rotation.poll_action() {
            match action {
                Action::Arm => self.is_armed = true,
                Action::Sample => {
                    self.is_armed = false;
                    let sample = self.sample();
                    let event = Event::Sampled { sample };
                    self.rotation.handle(event, self.now);
                }
                Action::Make { socket } => {
                    self.queues.insert(socket, 0);
                    actions.push(action);
                }
                Action::Retire { socket } => {
                    self.queues.remove(&socket);
                    self.places.retain(|_, at| *at != socket);
                    actions.push(action);
                }
                Action::Flush { socket } => {
                    self.queues.insert(socket, 0);
                    self.places.retain(|_, at| *at != socket);
                    actions.push(action);
                }
                Action::Enter { socket } => {
                    self.places.insert(socket.slot, socket);
                    actions.push(action);
                }
                Action::Leave { slot } => {
                    self.places.remove(&slot);
                    actions.push(action);
                }
                Action::Rotate { .. }
                | Action::Yield { .. }
                | Action::Bar { .. }
                | Action::Unbar { .. }
                | Action::Rescue { .. }
                | Action::Hung { .. }
                | Action::Withdrawn { .. }
                | Action::Excluded { .. }
                | Action::Readmitted { .. } => actions.push(action),
            }
        }
        actions
    }

    fn sample(&self) -> Sample {
        let queues = self.queues.iter().map(|(id, length)| (*id, *length));
        Sample {
            turns: Some(self.turns),
            queues: queues.collect(),
            yielded: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, worker: WorkerId) -> Vec<Action> {
        self.start_with(worker, Relief::Kill)
    }

    pub(crate) fn start_with(&mut self, worker: WorkerId, relief: Relief) -> Vec<Action> {
        self.tell(Event::Started {
            worker,
            weight: Weight::ONE,
            relief,
        })
    }

    pub(crate) fn admit(&mut self, worker: WorkerId) -> Vec<Action> {
        self.tell(Event::Admit { worker })
    }

    pub(crate) fn withdraw(&mut self, worker: WorkerId) -> Vec<Action> {
        self.tell(Event::Withdraw { worker })
    }

    pub(crate) fn gone(&mut self, worker: WorkerId) -> Vec<Action> {
        self.tell(Event::Gone { worker })
    }

    /// So many wait at the socket.
    pub(crate) fn queue(&mut self, socket: SocketId, length: u32) {
        assert!(self.queues.insert(socket, length).is_some(), "no {socket}");
    }

    /// Time passes, with every look that is due; somebody takes turns all the time, and waits where
    /// others wait.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.pass_with(time, |desk| {
            for _ in 0..desk.rotation.turns().len() {
                if let Some(queue) = desk.next_turn().filter(|queue| **queue > 0) {
                    *queue += 1;
                }
            }
        })
    }

    /// As `pass`; this happens before each look.
    pub(crate) fn pass_with(
        &mut self,
        time: Duration,
        mut before: impl FnMut(&mut Desk),
    ) -> Vec<Action> {
        let end = self.now.after(time);
        let mut actions = self.tell(Event::Waiting);
        while let Some(at) = self.rotation.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            before(self);
            actions.extend(self.tell(Event::Timer));
        }
        self.now = end;
        actions
    }

    /// Somebody takes the next turn, without waiting yet. The queue where it is.
    pub(crate) fn next_turn(&mut self) -> Option<&mut u32> {
        let turns = self.rotation.turns();
        let length = u64::try_from(turns.len()).expect("small");
        let place = usize::try_from(self.turns.checked_rem(length)?).expect("small");
        let slot = turns[place];
        self.turns += 1;
        let socket = self.places.get(&slot)?;
        self.queues.get_mut(socket)
    }

    pub(crate) fn turns(&self) -> Vec<u16> {
        self.rotation.turns().iter().map(|slot| slot.0).collect()
    }
}
