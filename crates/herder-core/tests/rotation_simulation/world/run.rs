use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::rotation::{Balance, Relief, Rotation, RotationSpec, SocketId, Steering};
use herder_core::{Tick, WorkerId};

use super::kernel::{Kernel, Traffic};
use super::rng::Rng;
use super::violation::Verdict;
use crate::frame::{Failure, contain, tally};

/// How many steps of chaos one seed gets, at most.
const STEPS_PER_SEED: u64 = 600;

/// Everything there is.
pub(crate) struct World {
    pub(super) rng: Rng,
    pub(super) spec: RotationSpec,
    pub(super) now: Tick,
    pub(super) rotation: Rotation,
    pub(super) kernel: Kernel,
    /// Those whose death was not told.
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    pub(super) slots: u16,
    pub(super) newest: u64,
    pub(super) armed: bool,
    /// Rescues that were asked for, and when they will be over.
    pub(super) rescues: Vec<(WorkerId, Tick)>,
    /// Since when no new connection begins at a socket.
    pub(super) barred_at: BTreeMap<SocketId, Tick>,
    /// How many come, one after the other, before each moment.
    pub(super) brisk: u64,
    /// What had passed through the sockets at each look since the turns were written, and when.
    pub(super) looks: Vec<(Tick, BTreeMap<SocketId, Traffic>)>,
    pub(super) tally: Tally,
}

/// A worker, and what the rotation was told and has said of it.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(super) relief: Relief,
    /// How many it accepts in a step.
    pub(super) speed: u32,
    /// How many it says that it has served.
    pub(super) served: u64,
    pub(super) life: Life,
    pub(super) told: Told,
    pub(super) said: Said,
    /// When it was said to have its turns again.
    pub(super) back_at: Option<Tick>,
    pub(super) owes_withdrawn: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Booting,
    Accepting,
    Hung,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Started,
    Admitted,
    Held,
    Withdrawn,
    Retired,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Keeps,
    Behind,
    Rescued,
    Moved,
    Hung,
}

tally! {
    arrived,
    moved,
    excluded,
    readmitted,
    rescued,
    hung,
    withdrawn,
    died,
    retired,
    flushed,
    inherited,
    endured,
}

/// Runs one seed: chaos, then calm in which everybody gets back its turns and everybody who waits is
/// accepted. A panic of the rotation is a violation like any other.
pub(crate) fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    contain(seed, |step| {
        let mut world = World::new(seed);
        world.live_through(step).map(|()| Tally {
            seeds: 1,
            steps: *step,
            arrived: world.kernel.arrived,
            moved: world.kernel.moved,
            ..world.tally
        })
    })
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let balance = if rng.chance(500) {
            Balance::RoundRobin
        } else {
            Balance::LeastLoaded
        };
        let steering = if rng.chance(800) {
            Steering::Program
        } else {
            Steering::Hash
        };
        let spec = RotationSpec {
            rescue_after: Duration::from_millis(rng.between(20, 200)),
            hang: rng
                .chance(700)
                .then(|| Duration::from_millis(rng.between(100, 1000))),
            drain: Duration::from_millis(rng.between(0, 300)),
            ..RotationSpec::new(balance, steering)
        };
        World {
            spec: spec.clone(),
            now: Tick::from_micros(rng.below(1_000_000)),
            rotation: Rotation::new(&spec),
            kernel: Kernel::new(steering),
            workers: BTreeMap::new(),
            slots: u16::try_from(rng.between(1, 6)).expect("small"),
            newest: 0,
            armed: false,
            rescues: Vec::new(),
            barred_at: BTreeMap::new(),
            brisk: 0,
            looks: Vec::new(),
            tally: Tally::default(),
            rng,
        }
    }

    fn live_through(&mut self, step: &mut u64) -> Verdict {
        for slot in 0..self.slots {
            self.start(slot)?;
        }
        for _ in 0..STEPS_PER_SEED {
            *step += 1;
            self.step()?;
            self.audit()?;
        }
        self.calm()
    }
}
