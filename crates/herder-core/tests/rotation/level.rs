//! A crowd of clients, each of which comes again as soon as it is answered, and two workers, one of which stands now
//! and then because others have the processor. Time is in microseconds.

use std::collections::BTreeMap;

use herder_core::rotation::{Action, Event, Relief, Rotation, Sample, SocketId, Weight};
use herder_core::{Slot, Tick};

use crate::desk::{by_program, worker};

const CROWD: u32 = 128;
/// How long an answer takes.
const WORK: u64 = 50;
const START: u64 = 1_000_000;

struct World {
    rotation: Rotation,
    places: BTreeMap<Slot, SocketId>,
    turns: Vec<Slot>,
    taken: u64,
    yielded: BTreeMap<Slot, u64>,
    seen: BTreeMap<Slot, u64>,
    to_yield: BTreeMap<Slot, u64>,
    queues: BTreeMap<Slot, u32>,
    served: BTreeMap<Slot, u64>,
    /// How long each had nothing to do while others waited elsewhere.
    starved: BTreeMap<Slot, u64>,
    is_armed: bool,
    kernel: Kernel,
    orders: u32,
    looks: u32,
    now: u64,
}

/// Whether turns are yielded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Deaf,
    Obedient,
}

impl World {
    fn new(weights: &[u8]) -> World {
        World::of(Kernel::Obedient, weights)
    }

    fn of(kernel: Kernel, weights: &[u8]) -> World {
        let mut world = World {
            rotation: Rotation::new(&by_program()),
            places: BTreeMap::new(),
            turns: Vec::new(),
            taken: 0,
            yielded: BTreeMap::new(),
            seen: BTreeMap::new(),
            to_yield: BTreeMap::new(),
            queues: BTreeMap::new(),
            served: BTreeMap::new(),
            starved: BTreeMap::new(),
            is_armed: false,
            kernel,
            orders: 0,
            looks: 0,
            now: START,
        };
        for (slot, weight) in (0..).zip(weights) {
            let worker = worker(slot, u64::from(slot) + 1);
            let weight = Weight::new(*weight).expect("1 to 16");
            world.tell(Event::Started {
                worker,
                weight,
                relief: Relief::Kill,
            });
            world.queues.insert(Slot(slot), 0);
            world.tell(Event::Admit { worker });
        }
        world
    }

    fn tell(&mut self, event: Event) {
        self.rotation.handle(event, Tick::from_micros(self.now));
        while let Some(action) = self.rotation.poll_action() {
            match action {
                Action::Enter { socket } => drop(self.places.insert(socket.slot, socket)),
                Action::Rotate { turns } => self.turns = turns,
                Action::Yield { .. } if self.kernel == Kernel::Deaf => {}
                Action::Yield { slot, turns } => {
                    let seen = self.seen.get(&slot).copied().unwrap_or(0);
                    self.to_yield.insert(slot, seen + u64::from(turns));
                    self.orders += 1;
                }
                Action::Arm => self.is_armed = true,
                Action::Sample => {
                    let sample = self.sample();
                    let event = Event::Sampled { sample };
                    self.rotation.handle(event, Tick::from_micros(self.now));
                }
                Action::Make { .. } | Action::Excluded { .. } | Action::Readmitted { .. } => {}
                Action::Leave { .. }
                | Action::Bar { .. }
                | Action::Unbar { .. }
                | Action::Retire { .. }
                | Action::Flush { .. }
                | Action::Rescue { .. }
                | Action::Hung { .. }
                | Action::Withdrawn { .. } => panic!("{action:?}"),
            }
        }
    }

    fn sample(&mut self) -> Sample {
        self.looks += 1;
        let yielded = |slot: &Slot| (*slot, self.yielded.get(slot).copied().unwrap_or(0));
        let yielded: Vec<_> = self.places.keys().map(yielded).collect();
        self.seen = yielded.iter().copied().collect();
        let queue = |(slot, id): (&Slot, &SocketId)| (*id, self.queues[slot]);
        Sample {
            turns: Some(self.taken),
            queues: self.places.iter().map(queue).collect(),
            yielded,
        }
    }

    /// As the kernel's program does it.
    fn come(&mut self) {
        for left in (0..4).rev() {
            let place = self.taken % self.turns.len() as u64;
            let slot = self.turns[usize::try_from(place).expect("few")];
            self.taken += 1;
            let yielded = self.yielded.entry(slot).or_default();
            if left > 0 && *yielded < self.to_yield.get(&slot).copied().unwrap_or(0) {
                *yielded += 1;
                continue;
            }
            *self.queues.entry(slot).or_default() += 1;
            break;
        }
        if std::mem::take(&mut self.is_armed) {
            self.tell(Event::Waiting);
        }
    }

    /// One answer of each that is not standing, and its client comes again.
    fn step(&mut self, standing: Option<Slot>) {
        self.now += WORK;
        let waiting: u32 = self.queues.values().sum();
        let all: Vec<Slot> = self.queues.keys().copied().collect();
        let mut again = 0;
        for slot in all.into_iter().filter(|slot| Some(*slot) != standing) {
            let queue = self.queues.entry(slot).or_default();
            if *queue > 0 {
                *queue -= 1;
                again += 1;
                *self.served.entry(slot).or_default() += 1;
            } else if waiting > CROWD / 2 {
                *self.starved.entry(slot).or_default() += WORK;
            }
        }
        (0..again).for_each(|_| self.come());
        while let Some(due) = self.rotation.poll_timeout()
            && due.as_micros() <= self.now
        {
            self.tell(Event::Timer);
        }
    }

    fn steps(&mut self, time: u64, standing: Option<Slot>) {
        (0..time / WORK).for_each(|_| self.step(standing));
    }

    fn crowd(&mut self) {
        (0..CROWD).for_each(|_| self.come());
    }

    fn disperse(&mut self) {
        self.queues.values_mut().for_each(|queue| *queue = 0);
    }

    fn spread(&self) -> u64 {
        let served = |slot: &Slot| self.served.get(slot).copied().unwrap_or(0);
        let counts: Vec<u64> = self.places.keys().map(served).collect();
        counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0)
    }
}

#[test]
fn who_stood_for_a_moment_does_not_keep_the_whole_crowd() {
    let starved = [Kernel::Deaf, Kernel::Obedient].map(|kernel| {
        let mut world = World::of(kernel, &[1, 1]);
        world.crowd();
        for round in 0..20 {
            let stands = Slot(u16::from(round % 3 == 0));
            world.steps(8_000, Some(stands));
            world.steps(92_000, None);
        }
        world.starved.values().sum::<u64>()
    });
    let [without, with] = starved;
    assert!(
        with < without / 2,
        "the others had nothing to do for {with} us, and for {without} if nobody yields"
    );
}

#[test]
fn who_yields_is_no_more_than_some_turns_behind() {
    let mut world = World::new(&[1, 1]);
    world.crowd();
    // It has the processor half of the time, for good.
    for _ in 0..1000 {
        world.steps(2_000, Some(Slot(1)));
        world.steps(2_000, None);
    }
    let spread = world.spread();
    assert!(spread <= 512 + u64::from(CROWD), "{spread} more");
}

#[test]
fn turns_that_were_yielded_come_later() {
    let mut world = World::new(&[1, 1]);
    world.crowd();
    world.steps(8_000, Some(Slot(0)));
    world.steps(40_000, None);
    let yielded = world.yielded[&Slot(0)];
    assert!(yielded > 10, "{yielded}");
    world.disperse();
    // One client at a time.
    for _ in 0..20_000 {
        world.come();
        world.step(None);
        world.disperse();
    }
    let [first, second] = [Slot(0), Slot(1)].map(|slot| world.yielded[&slot]);
    assert_eq!(first, second);
}

#[test]
fn after_a_silence_nothing_is_made_up_for() {
    let mut world = World::new(&[1, 1]);
    world.crowd();
    world.steps(8_000, Some(Slot(0)));
    world.steps(40_000, None);
    world.disperse();
    world.steps(1_500_000, None);
    let before = world.yielded.clone();
    assert!(before[&Slot(0)] > before[&Slot(1)]);
    for _ in 0..5_000 {
        world.come();
        world.step(None);
        world.disperse();
    }
    assert_eq!(world.yielded, before);
}

#[test]
fn nobody_yields_while_queues_are_short_or_equal() {
    let mut world = World::new(&[1, 1, 1]);
    for _ in 0..12 {
        world.come();
    }
    world.steps(100_000, None);
    assert_eq!(world.orders, 0);
    world.crowd();
    world.steps(100_000, None);
    assert_eq!(world.orders, 0, "all have as many");
    assert!(world.spread() <= 1);
}

#[test]
fn a_longer_queue_is_the_share_of_who_weighs_more() {
    let mut world = World::new(&[3, 1]);
    world.crowd();
    assert_eq!(world.queues[&Slot(0)], 96);
    world.tell(Event::Waiting);
    world.steps(5_000, Some(Slot(0)));
    let before = world.orders;
    assert!(before <= 1, "{before}");
}

#[test]
fn a_crowd_is_looked_at_half_as_often() {
    let mut world = World::new(&[1, 1]);
    world.crowd();
    world.steps(1_000_000, None);
    assert!((90..=110).contains(&world.looks), "{}", world.looks);
}
