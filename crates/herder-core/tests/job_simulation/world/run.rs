use std::collections::BTreeMap;

use herder_core::jobs::JobDispatcher;
use herder_core::{ClientId, Incarnation, Tick};

use super::audit::{Client, Stop};
use super::ledger::Ledger;
use super::plan::{Faults, Plan};
use super::process::Process;
use super::rng::Rng;
use super::seat::Seat;
use super::violation::Verdict;
use crate::frame::{Failure, contain, tally};

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

tally! {
    arrived,
    started,
    finished,
    failed,
    lost,
    unserved,
    poisoned,
    refused,
    robbed,
    exhausted,
    withdrawn,
    paused,
    stopped,
}

/// Runs one seed: chaos, then calm in which every job must come to its end, then a stop. A panic of
/// the dispatcher is a violation like any other.
pub(crate) fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    contain(seed, |step| {
        let mut world = World::new(seed);
        world.live_through(step).map(|()| Tally {
            seeds: 1,
            steps: *step,
            arrived: world.ledger.arrived(),
            ..world.tally
        })
    })
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
