use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use herder_core::jobs::JobDispatcher;
use herder_core::{ClientId, Incarnation, Tick};

use super::audit::{Client, Stop};
use super::ledger::Ledger;
use super::plan::{Faults, Plan};
use super::process::Process;
use super::rng::Rng;
use super::seat::Seat;
use super::violation::{Verdict, Violation};

/// How many steps of chaos one seed gets, at most.
const STEPS_PER_SEED: u64 = 3_000;

/// Everything there is.
pub(crate) struct World {
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) faults: Faults,
    pub(super) now: Tick,
    pub(super) dispatcher: JobDispatcher,
    /// Nothing is left to be polled.
    pub(super) at_rest: bool,
    /// What is polled may have been decided before the last news.
    pub(super) interrupted: bool,
    pub(super) ledger: Ledger,
    /// What the dispatcher knows of workers.
    pub(super) seats: BTreeMap<Incarnation, Seat>,
    /// Withdrawals of workers that are not known (any more), which must be answered.
    pub(super) stray: BTreeMap<Incarnation, u32>,
    pub(super) clients: BTreeMap<ClientId, Client>,
    pub(super) stop: Stop,
    /// At some moment since the last rest, jobs were given up because nobody was left.
    pub(super) had_no_hope: bool,
    /// Processes whose death was not told.
    pub(super) processes: BTreeMap<Incarnation, Process>,
    /// The newest worker and client.
    pub(super) newest_worker: u64,
    pub(super) newest_client: u64,
    pub(super) tally: Tally,
}

/// What a run went through, to show that it was worth something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) arrived: u64,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) unserved: u64,
    pub(crate) poisoned: u64,
    pub(crate) refused: u64,
    pub(crate) robbed: u64,
    pub(crate) exhausted: u64,
    pub(crate) withdrawn: u64,
    pub(crate) paused: u64,
    pub(crate) stopped: u64,
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

/// Runs one seed: chaos, then calm in which every job must come to its end, then a stop. A panic of
/// the dispatcher is a violation like any other.
pub(crate) fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    let mut step = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        world.live_through(&mut step).map(|()| Tally {
            seeds: 1,
            steps: step,
            arrived: world.ledger.arrived(),
            ..world.tally
        })
    }));
    let violation = match outcome {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(violation)) => violation,
        Err(panic) => Violation {
            rule: "the dispatcher does not panic",
            detail: panic_text(&*panic),
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
        let plan = Plan::draw(&mut rng);
        World {
            now: Tick::from_micros(rng.below(1_000_000_000)),
            dispatcher: JobDispatcher::new(plan.spec.clone()),
            at_rest: true,
            interrupted: false,
            ledger: Ledger::default(),
            seats: BTreeMap::new(),
            stray: BTreeMap::new(),
            clients: BTreeMap::new(),
            stop: Stop::Unasked,
            had_no_hope: false,
            processes: BTreeMap::new(),
            newest_worker: 0,
            newest_client: 0,
            tally: Tally::default(),
            faults: plan.faults,
            plan,
            rng,
        }
    }

    fn live_through(&mut self, step: &mut u64) -> Verdict {
        let steps = self.rng.between(STEPS_PER_SEED / 10, STEPS_PER_SEED);
        while *step < steps {
            *step += 1;
            self.step()?;
        }
        self.calm_down()?;
        self.come_to_an_end()
    }
}

impl Tally {
    /// Whether something never happened.
    pub(crate) fn is_tame(&self) -> bool {
        let happened = [
            self.finished,
            self.failed,
            self.lost,
            self.unserved,
            self.poisoned,
            self.refused,
            self.robbed,
            self.exhausted,
            self.withdrawn,
            self.paused,
            self.stopped,
        ];
        happened.contains(&0)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.arrived += other.arrived;
        self.started += other.started;
        self.finished += other.finished;
        self.failed += other.failed;
        self.lost += other.lost;
        self.unserved += other.unserved;
        self.poisoned += other.poisoned;
        self.refused += other.refused;
        self.robbed += other.robbed;
        self.exhausted += other.exhausted;
        self.withdrawn += other.withdrawn;
        self.paused += other.paused;
        self.stopped += other.stopped;
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text")
        .to_owned()
}
