use std::collections::{BTreeMap, VecDeque};

use herder_core::dispatch::Dispatcher;
use herder_core::supervisor::Supervisor;
use herder_core::{Generation, Tick, WorkerId};

use super::audit::Audit;
use super::dispatch_thread::Channel;
use super::ends::{Ending, Ends};
use super::ledger::Ledger;
use super::mail::{Mail, Order};
use super::plan::{Budget, Dealing, Faults, Lives, Plan, Release, Releases, Taste};
use super::process::{Process, Vice};
use super::rng::Rng;
use super::violation::Verdict;
use crate::frame::{Failure, contain, tally};

/// How many steps of chaos one seed gets, at most.
const STEPS_PER_SEED: u64 = 3_000;

/// Everything there is.
pub(crate) struct World {
    pub(super) rng: Rng,
    /// Decides who is exhausted. It is apart, so that a world without exhausted workers is the same
    /// as one in which nobody knows of them.
    pub(super) jobs: Rng,
    /// How often a worker gets its last job, per thousand steps.
    pub(super) exhaustion: u64,
    /// Decides where clients come from and what workers take. It is apart for the same reason.
    pub(super) dealer: Rng,
    pub(super) taste: Taste,
    /// Decides about new generations. It is apart for the same reason.
    pub(super) deployer: Rng,
    pub(super) release: Release,
    pub(super) newest: Generation,
    pub(super) vices: BTreeMap<Generation, Vice>,
    /// Decides about ends. It is apart for the same reason.
    pub(super) ender: Rng,
    pub(super) ending: Ending,
    /// Decides when the master stands still. It is apart for the same reason.
    pub(super) halter: Rng,
    pub(super) faults: Faults,
    pub(super) plan: Plan,
    pub(super) now: Tick,
    /// When the dispatcher was last told something.
    pub(super) told_at: Tick,
    /// What it was told last when it was left with something to ask for.
    pub(super) left_at: Option<Tick>,
    pub(super) supervisor: Supervisor,
    pub(super) dispatcher: Dispatcher,
    pub(super) audit: Audit,
    pub(super) ledger: Ledger,
    pub(super) mail: Mail,
    /// From the main thread to the dispatch thread, in order.
    pub(super) orders: VecDeque<(Tick, Order)>,
    /// Processes that were started and whose death the main thread has not been told.
    pub(super) processes: BTreeMap<WorkerId, Process>,
    /// The `conns` channels that the dispatch thread holds.
    pub(super) channels: BTreeMap<WorkerId, Channel>,
}

/// What kind of world it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climate {
    pub(crate) budget: Budget,
    pub(crate) lives: Lives,
    pub(crate) dealing: Dealing,
    pub(crate) releases: Releases,
    pub(crate) ends: Ends,
}

tally! {
    spawned,
    accepted,
    received,
    taken_back,
    rejected,
    poisoned,
    timed_out,
    exhausted,
    reloaded,
    rolled_back,
    done,
    broken,
    stood_still,
}

/// Runs one seed: chaos, then calm in which everything must come right, then a stop. A panic of a
/// machine is a violation like any other.
pub(crate) fn run(seed: u64, climate: Climate) -> Result<Tally, Box<Failure>> {
    contain(seed, |step| {
        let mut world = World::new(seed, climate);
        world.live_through(step).map(|()| world.tally(*step))
    })
}

impl World {
    fn new(seed: u64, climate: Climate) -> World {
        let Climate {
            budget,
            lives,
            dealing,
            releases,
            ends,
        } = climate;
        let mut rng = Rng::new(seed);
        let mut jobs = Rng::new(!seed);
        let exhaustion = match lives {
            Lives::Endless => 0,
            Lives::Exhaustible => jobs.between(1, 50),
        };
        let mut plan = Plan::draw(&mut rng, budget);
        let mut dealer = Rng::new(seed.rotate_left(32));
        let taste = plan.deal(dealing, &mut dealer);
        let mut deployer = Rng::new(seed.rotate_left(16));
        let release = plan.release(releases, &mut deployer);
        let mut ender = Rng::new(seed.rotate_left(48));
        let ending = plan.end(ends, &mut ender);
        let halter = Rng::new(seed.rotate_left(8));
        World {
            now: Tick::from_micros(rng.below(1_000_000_000)),
            supervisor: Supervisor::new(plan.spec.clone(), rng.next()),
            dispatcher: Dispatcher::new(&plan.spec.dispatch, seed),
            audit: Audit::new(&plan.spec),
            ledger: Ledger::default(),
            mail: Mail::default(),
            orders: VecDeque::new(),
            processes: BTreeMap::new(),
            channels: BTreeMap::new(),
            faults: plan.faults,
            plan,
            rng,
            jobs,
            exhaustion,
            dealer,
            taste,
            deployer,
            release,
            newest: Generation::FIRST,
            ender,
            ending,
            halter,
            vices: BTreeMap::new(),
            told_at: Tick::ZERO,
            left_at: None,
        }
    }

    fn live_through(&mut self, step: &mut u64) -> Verdict {
        self.start()?;
        let steps = self.rng.between(STEPS_PER_SEED / 10, STEPS_PER_SEED);
        while *step < steps && !self.audit.is_finished() {
            *step += 1;
            self.step()?;
        }
        self.calm_down()?;
        self.stop()
    }

    fn tally(&self, steps: u64) -> Tally {
        Tally {
            seeds: 1,
            steps,
            spawned: self.audit.spawned(),
            accepted: self.ledger.accepted(),
            received: self.ledger.received(),
            taken_back: self.dispatcher.taken_back(),
            rejected: self.dispatcher.rejected(),
            poisoned: self.dispatcher.closed_poisoned(),
            timed_out: self.dispatcher.closed_timed_out(),
            exhausted: self.audit.exhausted_in_all(),
            reloaded: self.audit.deploys().reloaded(),
            rolled_back: self.audit.deploys().rolled_back(),
            done: self.audit.completions().in_all(),
            broken: self.audit.completions().broken_in_all(),
            stood_still: self.audit.stood_still(),
        }
    }
}
