//! Anything at any time: the invariants hold, the same seed decides the same, and a stop ends.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use herder_core::spec::{AppSpec, BootFailure, Readiness};
use herder_core::supervisor::{Action, Event, Supervisor};
use herder_core::{Exit, Generation, Tick, WorkerId};

use crate::harness::{count, id, spec};

const SEEDS: u64 = 600;
const STEPS: u32 = 600;

#[test]
fn any_news_in_any_order_is_survived_and_every_stop_ends() {
    for seed in 0..SEEDS {
        let (actions, finished) = run(seed);
        assert!(finished, "seed {seed}: the stop did not end");
        let (again, _) = run(seed);
        assert_eq!(actions, again, "seed {seed}: not the same twice");
    }
}

/// Random events, then a stop in a world that obeys. Returns all actions and whether it ended.
fn run(seed: u64) -> (Vec<Action>, bool) {
    let mut dice = Dice(seed);
    let mut core = Supervisor::new(random_spec(&mut dice), seed);
    let mut now = Tick::from_micros(1);
    let mut newest = Generation::FIRST;
    let mut actions = Vec::new();
    let mut step = |core: &mut Supervisor, event, now| {
        core.handle(event, now);
        actions.extend(std::iter::from_fn(|| core.poll_action()));
    };
    step(&mut core, Event::Start, now);
    for _ in 0..STEPS {
        now = dice.later(now, core.poll_timeout());
        let event = random_event(&mut dice, &core, &mut newest);
        step(&mut core, event, now);
        if dice.one_in(20) {
            let bytes = postcard::to_allocvec(&core).expect("it can be written");
            core = postcard::from_bytes(&bytes).expect("it can be read");
        }
    }
    step(&mut core, Event::Stop, now);
    for _ in 0..10_000 {
        let Some(at) = core.poll_timeout() else { break };
        now = at.max(now);
        step(&mut core, Event::Timer, now);
        // Whoever was killed dies.
        for (worker, phase) in core.workers().collect::<Vec<_>>() {
            if matches!(phase, herder_core::supervisor::Phase::Killing { .. }) {
                step(
                    &mut core,
                    Event::Exited {
                        worker,
                        exit: Exit::Signal(9),
                    },
                    now,
                );
            }
        }
    }
    (actions, core.is_finished())
}

fn random_spec(dice: &mut Dice) -> AppSpec {
    let mut spec = spec(1 + dice.below(4));
    spec.restart.max_restarts = NonZeroU32::new(u32::try_from(dice.below(4)).expect("small"));
    spec.life.max_draining = NonZeroU16::new(1 + u16::from(dice.one_in(2))).expect("not zero");
    spec.life.boot_failure = BootFailure::KeepTrying;
    if dice.one_in(2) {
        spec.life.readiness = Readiness::MessageOrAlive(Duration::from_secs(1));
    }
    if dice.one_in(4) {
        spec.life.hang = None;
    }
    spec.reload.surge = NonZeroU16::new(1 + u16::from(dice.one_in(2))).expect("not zero");
    spec.reload.max_unavailable = u16::from(dice.one_in(2));
    spec.reload.soak = Duration::from_secs(dice.next() % 3);
    spec.reload.latch = Duration::from_secs(dice.next() % 20);
    spec.reload.max_generations = NonZeroU16::new(1 + u16::from(dice.one_in(2))).expect("not zero");
    if dice.one_in(2) {
        spec.recycle.max_requests = NonZeroU64::new(50);
        spec.recycle.max_lifetime = Some(Duration::from_secs(100));
    }
    spec
}

fn random_event(dice: &mut Dice, core: &Supervisor, newest: &mut Generation) -> Event {
    let worker = random_worker(dice, core);
    match dice.below(67) {
        0..=4 => Event::Beat { worker },
        5..=6 => Event::BootExtended {
            worker,
            by: Duration::from_secs(5),
        },
        7..=12 => Event::Exited {
            worker,
            exit: Exit::Code(if dice.one_in(20) { 78 } else { 0 }),
        },
        13..=14 => Event::Memory { worker, bytes: 1 },
        15 => Event::Misbehaved { worker },
        16..=24 => Event::Ready { worker },
        25 => Event::Reset,
        26..=29 => Event::Retire { worker },
        30..=31 => Event::Scale(count(1 + dice.below(5))),
        32..=35 => Event::Served { worker, total: 100 },
        36..=38 => Event::SpawnFailed { worker, errno: 11 },
        39..=44 => Event::Spawned { worker },
        45..=47 => Event::Withdrawn { worker },
        48 => Event::Start,
        49..=52 => Event::Exhausted { worker },
        60..=62 => {
            newest.0 += 1;
            Event::Reload {
                generation: *newest,
            }
        }
        53..=54 => Event::Fail {
            worker,
            reason: String::new(),
        },
        55 => Event::Respec(Box::new(random_spec(dice).policies())),
        63 => Event::Draining { worker },
        64 => Event::Unborn { worker },
        65 => Event::StoodStill {
            lasted: Duration::from_secs(dice.next() % 100),
        },
        _ => Event::Timer,
    }
}

/// Mostly one that lives, at times one that does not.
fn random_worker(dice: &mut Dice, core: &Supervisor) -> WorkerId {
    let alive: Vec<_> = core.workers().map(|(worker, _)| worker).collect();
    if alive.is_empty() || dice.one_in(20) {
        return id(u16::from(dice.one_in(2)), 1 + dice.next() % 40);
    }
    alive[dice.below(alive.len())]
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // Knuth's MMIX constants; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).expect("31 bits") % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    /// At once, a little later, at the deadline, or after a leap.
    fn later(&mut self, now: Tick, deadline: Option<Tick>) -> Tick {
        match self.below(20) {
            0..=9 => now,
            10..=14 => now.after(Duration::from_millis(self.next() % 500)),
            15..=18 => deadline.map_or(now, |at| at.max(now)),
            _ => now.after(Duration::from_secs(self.next() % 100)),
        }
    }
}
