//! One client, whose connections come one after the other, on a machine that lets any worker stand for a moment:
//! everybody is to get the same number. Time is in microseconds.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::rotation::{Action, Event, Relief, Rotation, Sample, SocketId, Steering, Weight};
use herder_core::{Slot, Tick, WorkerId};

use crate::desk::{by_program, worker};

const CONNECTIONS: u64 = 10_000;
const START: u64 = 1_000_000;

struct World {
    rotation: Rotation,
    places: BTreeMap<Slot, SocketId>,
    turns: Vec<Slot>,
    taken: u64,
    is_armed: bool,
    /// At which socket the client waits, and from when until when.
    waits: Option<(SocketId, u64, u64)>,
    /// When the next connection takes its turn.
    comes_at: u64,
    left_out: BTreeSet<WorkerId>,
    looks: u32,
    lots: u64,
    now: u64,
}

impl World {
    fn new(workers: u16, seed: u64) -> World {
        let mut world = World {
            rotation: Rotation::new(&by_program()),
            places: BTreeMap::new(),
            turns: Vec::new(),
            taken: 0,
            is_armed: false,
            waits: None,
            comes_at: u64::MAX,
            left_out: BTreeSet::new(),
            looks: 0,
            lots: seed,
            now: START,
        };
        assert_eq!(by_program().steering, Steering::Program);
        for slot in 0..workers {
            let worker = worker(slot, u64::from(slot) + 1);
            world.tell(Event::Started {
                worker,
                weight: Weight::ONE,
                relief: Relief::HandOver,
            });
        }
        for slot in 0..workers {
            let worker = worker(slot, u64::from(slot) + 1);
            world.tell(Event::Admit { worker });
        }
        world
    }

    /// From 0 up to one less.
    fn lot(&mut self, of: u64) -> u64 {
        self.lots = self.lots.wrapping_mul(6_364_136_223_846_793_005);
        self.lots = self.lots.wrapping_add(1_442_695_040_888_963_407);
        (self.lots >> 33) % of
    }

    fn tell(&mut self, event: Event) {
        self.rotation.handle(event, Tick::from_micros(self.now));
        while let Some(action) = self.rotation.poll_action() {
            match action {
                Action::Enter { socket } => drop(self.places.insert(socket.slot, socket)),
                Action::Rotate { turns } => self.turns = turns,
                Action::Arm => self.is_armed = true,
                Action::Sample => {
                    let sample = self.sample();
                    let event = Event::Sampled { sample };
                    self.rotation.handle(event, Tick::from_micros(self.now));
                }
                Action::Excluded { worker, .. } => drop(self.left_out.insert(worker)),
                Action::Yield { .. } => unreachable!("nobody has more than one who waits"),
                Action::Make { .. }
                | Action::Leave { .. }
                | Action::Readmitted { .. }
                | Action::Bar { .. }
                | Action::Unbar { .. }
                | Action::Retire { .. }
                | Action::Flush { .. }
                | Action::Rescue { .. }
                | Action::Hung { .. }
                | Action::Withdrawn { .. } => {}
            }
        }
    }

    /// The turns are looked at a little later than the queues: who comes between is seen there alone.
    fn sample(&mut self) -> Sample {
        self.looks += 1;
        let later = self.now + self.lot(30);
        let now = self.now;
        let waits = |socket| match self.waits {
            Some((at, from, until)) => u32::from(at == socket && (from..until).contains(&now)),
            None => 0,
        };
        let queues = self.rotation.sockets().map(|it| (it, waits(it)));
        Sample {
            turns: Some(self.taken + u64::from(self.comes_at <= later)),
            queues: queues.collect(),
            yielded: self.turns.iter().map(|slot| (*slot, 0)).collect(),
        }
    }

    /// Until then, with every look that is due; a busy machine lets the master look late.
    fn pass_until(&mut self, end: u64) {
        while let Some(due) = self.rotation.poll_timeout() {
            let late = match self.lot(50) {
                0 => self.lot(20_000),
                _ => self.lot(100),
            };
            let due = Tick::from_micros(self.now).max(due).after(micros(late));
            let due = due.as_micros();
            if due >= end {
                break;
            }
            self.now = due;
            self.tell(Event::Timer);
        }
        self.now = end;
    }

    /// Somebody comes and is served. Returns by which slot.
    fn serve(&mut self) -> Slot {
        let place = usize::try_from(self.taken).expect("few") % self.turns.len();
        let slot = self.turns[place];
        let came = self.now + 1 + self.lot(10);
        let stands = match self.lot(400) {
            0 => self.lot(400_000),
            _ => 5 + self.lot(60),
        };
        self.taken += 1;
        self.comes_at = u64::MAX;
        self.waits = Some((self.places[&slot], came, came + stands));
        if self.is_armed {
            self.is_armed = false;
            self.tell(Event::Waiting);
        }
        self.pass_until(came + stands);
        self.waits = None;
        // It is answered, and the client comes again.
        self.comes_at = came + stands + 20 + self.lot(20);
        self.pass_until(self.comes_at);
        slot
    }
}

fn micros(micros: u64) -> std::time::Duration {
    std::time::Duration::from_micros(micros)
}

#[test]
fn one_after_the_other_all_get_the_same_number_whoever_stands_for_a_moment() {
    for seed in 1..=20 {
        for workers in [2, 3, 4] {
            let mut world = World::new(workers, seed);
            let mut served: BTreeMap<Slot, u64> = BTreeMap::new();
            for _ in 0..CONNECTIONS {
                let slot = world.serve();
                *served.entry(slot).or_default() += 1;
            }
            let least = served.values().min().expect("somebody");
            let most = served.values().max().expect("somebody");
            assert!(most - least <= 1, "seed {seed}, {workers}: {served:?}");
            assert!(world.left_out.is_empty(), "{:?}", world.left_out);
            assert!(world.looks > 500, "{} looks", world.looks);
        }
    }
}
