use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use herder_core::rotation::{Balance, Relief, Rotation, RotationSpec, SocketId, Steering};
use herder_core::{Tick, WorkerId};

use super::kernel::Kernel;
use super::rng::Rng;
use super::violation::{Verdict, Violation};

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
    pub(super) tally: Tally,
}

/// A worker, and what the rotation was told and has said of it.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(super) relief: Relief,
    /// How many it accepts in a step.
    pub(super) speed: u32,
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

/// What a run went through, to show that it was worth something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) arrived: u64,
    pub(crate) moved: u64,
    pub(crate) excluded: u64,
    pub(crate) readmitted: u64,
    pub(crate) rescued: u64,
    pub(crate) hung: u64,
    pub(crate) withdrawn: u64,
    pub(crate) died: u64,
    pub(crate) retired: u64,
    pub(crate) flushed: u64,
    pub(crate) inherited: u64,
    pub(crate) endured: u64,
}

/// A seed that found a broken invariant.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n    seed {} breaks it at step {}; replay with HERDER_SIM_SEED={}",
            self.violation, self.seed, self.step, self.seed
        )
    }
}

/// The seeds that follow from a base seed.
pub(crate) fn seeds(base: u64) -> impl Iterator<Item = u64> {
    let mut rng = Rng::new(base);
    std::iter::once(base).chain(std::iter::from_fn(move || Some(rng.next())))
}

/// Runs one seed: chaos, then calm in which everybody gets back its turns and everybody who waits is
/// accepted. A panic of the rotation is a violation like any other.
pub(crate) fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    let mut step = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        world.live_through(&mut step).map(|()| Tally {
            seeds: 1,
            steps: step,
            arrived: world.kernel.arrived,
            moved: world.kernel.moved,
            ..world.tally
        })
    }));
    let violation = match outcome {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(violation)) => violation,
        Err(panic) => Violation {
            rule: "the rotation does not panic",
            detail: panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default(),
        },
    };
    Err(Box::new(Failure {
        seed,
        step,
        violation,
    }))
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

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.arrived += other.arrived;
        self.moved += other.moved;
        self.excluded += other.excluded;
        self.readmitted += other.readmitted;
        self.rescued += other.rescued;
        self.hung += other.hung;
        self.withdrawn += other.withdrawn;
        self.died += other.died;
        self.retired += other.retired;
        self.flushed += other.flushed;
        self.inherited += other.inherited;
        self.endured += other.endured;
    }
}

impl Tally {
    /// Whether something that should happen never did.
    pub(crate) fn is_tame(&self) -> bool {
        [
            self.arrived,
            self.moved,
            self.excluded,
            self.readmitted,
            self.rescued,
            self.hung,
            self.withdrawn,
            self.died,
            self.retired,
            self.flushed,
            self.inherited,
            self.endured,
        ]
        .contains(&0)
    }
}
