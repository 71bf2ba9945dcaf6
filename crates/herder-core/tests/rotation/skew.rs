//! Some requests keep their worker busy for long: who comes behind them is not to wait, as long as others have
//! nothing to do. Time is made of steps of a tenth of a millisecond.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use herder_core::rotation::{
    Action, Event, Load, Relief, Rotation, RotationSpec, Sample, SocketId, Steering, Weight,
};
use herder_core::{Slot, Tick, WorkerId};

use crate::desk::{by_hash, by_load, by_program, worker};

const WORKERS: u16 = 2;
const STEP: u64 = 100;
/// Somebody comes each millisecond …
const EVERY: u64 = 10;
/// … for a minute, and one in a hundred keeps its worker busy for so many steps.
const COME: u64 = 60_000;
const BUSY: u64 = 500;

/// Who waits: when it came, and how long it will take.
type Client = (u64, u64);

struct World {
    steering: Steering,
    rotation: Rotation,
    queues: BTreeMap<SocketId, VecDeque<Client>>,
    places: BTreeMap<Slot, SocketId>,
    turns: Vec<Slot>,
    taken: u64,
    is_armed: bool,
    /// Until which step each is busy, how many it has served, and whether that was said.
    busy: BTreeMap<WorkerId, (u64, u64, u64)>,
    step: u64,
    lots: u64,
    /// How long those waited that take no time.
    waited: Vec<u64>,
}

impl World {
    fn new(spec: &RotationSpec) -> World {
        let mut world = World {
            steering: spec.steering,
            rotation: Rotation::new(spec),
            queues: BTreeMap::new(),
            places: BTreeMap::new(),
            turns: Vec::new(),
            taken: 0,
            is_armed: false,
            busy: BTreeMap::new(),
            step: 0,
            lots: 1,
            waited: Vec::new(),
        };
        for slot in 0..WORKERS {
            let worker = worker(slot, u64::from(slot) + 1);
            world.busy.insert(worker, (0, 0, 0));
            world.tell(Event::Started {
                worker,
                weight: Weight::ONE,
                relief: Relief::Move,
            });
            world.tell(Event::Admit { worker });
        }
        world
    }

    fn lot(&mut self, of: u64) -> u64 {
        self.lots = self.lots.wrapping_mul(6_364_136_223_846_793_005);
        self.lots = self.lots.wrapping_add(1_442_695_040_888_963_407);
        (self.lots >> 33) % of
    }

    fn now(&self) -> Tick {
        Tick::from_micros(1_000_000 + self.step * STEP)
    }

    fn tell(&mut self, event: Event) {
        self.rotation.handle(event, self.now());
        while let Some(action) = self.rotation.poll_action() {
            match action {
                Action::Make { socket } => drop(self.queues.insert(socket, VecDeque::new())),
                Action::Enter { socket } => drop(self.places.insert(socket.slot, socket)),
                Action::Rotate { turns } => self.turns = turns,
                Action::Leave { slot } => drop(self.places.remove(&slot)),
                Action::Flush { socket } => {
                    self.places.retain(|_, at| *at != socket);
                    let moved = self.queues.insert(socket, VecDeque::new());
                    moved.into_iter().flatten().for_each(|it| self.wait(it));
                }
                Action::Arm => self.is_armed = true,
                Action::Sample => {
                    let length = |it: &VecDeque<Client>| u32::try_from(it.len()).expect("few");
                    let queues = self.queues.iter().map(|(id, it)| (*id, length(it)));
                    let sample = Sample {
                        turns: (self.steering == Steering::Program).then_some(self.taken),
                        queues: queues.collect(),
                        yielded: Vec::new(),
                    };
                    self.rotation.handle(Event::Sampled { sample }, self.now());
                }
                Action::Retire { .. }
                | Action::Yield { .. }
                | Action::Bar { .. }
                | Action::Unbar { .. }
                | Action::Rescue { .. }
                | Action::Hung { .. }
                | Action::Withdrawn { .. }
                | Action::Excluded { .. }
                | Action::Readmitted { .. } => {}
            }
        }
    }

    fn wait(&mut self, client: Client) {
        let socket = match self.steering {
            Steering::Hash => {
                let lot = usize::try_from(self.lot(WORKERS.into())).expect("small");
                *self.queues.keys().nth(lot).expect("each has one")
            }
            Steering::Program => {
                let turn = usize::try_from(self.taken).expect("small") % self.turns.len();
                self.taken += 1;
                self.places[&self.turns[turn]]
            }
        };
        self.queues.entry(socket).or_default().push_back(client);
    }

    /// One step: somebody comes perhaps, workers work, and the queues are looked at when it is time.
    fn pass(&mut self) {
        if self.step.is_multiple_of(EVERY) {
            let long = if self.lot(100) == 0 { BUSY } else { 0 };
            self.wait((self.step, long));
        }
        if self.is_armed && self.queues.values().any(|it| !it.is_empty()) {
            self.is_armed = false;
            self.tell(Event::Waiting);
        }
        let workers: Vec<WorkerId> = self.busy.keys().copied().collect();
        for worker in workers {
            self.work(worker);
        }
        if self
            .rotation
            .poll_timeout()
            .is_some_and(|at| at <= self.now())
        {
            self.tell(Event::Timer);
        }
        self.step += 1;
    }

    fn work(&mut self, worker: WorkerId) {
        let socket = self.rotation.socket_of(worker).expect("it has one");
        let step = self.step;
        let (until, served, said) = self.busy.get_mut(&worker).expect("it lives");
        while *until <= step {
            let Some((came, takes)) = self.queues.get_mut(&socket).and_then(VecDeque::pop_front)
            else {
                break;
            };
            *served += 1;
            *until = step + takes;
            if takes == 0 {
                self.waited.push(step - came);
            }
        }
        // It says what it has when it has nothing to do.
        if *until <= step && *said != *served {
            *said = *served;
            let load = Load {
                served: *served,
                ..Load::default()
            };
            self.tell(Event::Load { worker, load });
        }
    }
}

/// How long all but one in a hundred of the quick waited.
fn p99(spec: &RotationSpec) -> Duration {
    let mut world = World::new(spec);
    while world.step < COME * EVERY {
        world.pass();
    }
    world.waited.sort_unstable();
    let at = world.waited.len() * 99 / 100;
    Duration::from_micros(world.waited[at] * STEP)
}

#[test]
fn by_load_the_quick_wait_half_as_long_as_by_lot() {
    let (load, turns, lot) = (p99(&by_load()), p99(&by_program()), p99(&by_hash()));
    println!("by load {load:?}, in turns {turns:?}, by lot {lot:?}");
    assert!(load * 100 <= lot * 52, "{load:?} {lot:?}");
    assert!(load < turns, "{load:?} {turns:?}");
}
