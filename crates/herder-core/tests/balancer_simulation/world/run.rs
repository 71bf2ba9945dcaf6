use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::proxy::retry::{Budget, Method, RetrySpec};
use herder_core::proxy::{Balancer, BalancerSpec, EjectionSpec, ErrorRatio, Key, ServerErrors};
use herder_core::spec::PickerKind;
use herder_core::{Slot, Tick};

use super::history::History;
use super::rng::Rng;
use super::violation::Verdict;
use crate::frame::{Failure, contain, tally};

/// How many steps of chaos one seed gets.
const STEPS_PER_SEED: u64 = 800;

/// Everything there is.
pub(crate) struct World {
    pub(super) rng: Rng,
    pub(super) spec: BalancerSpec,
    pub(super) retry: RetrySpec,
    pub(super) budget: Budget,
    pub(super) now: Tick,
    pub(super) balancer: Balancer,
    /// Those that the balancer knows.
    pub(super) workers: BTreeMap<u64, Worker>,
    /// Those that were withdrawn and are not known.
    pub(super) stray: BTreeSet<u64>,
    /// Those that take part again, of which the balancer has not said so yet.
    pub(super) returning: BTreeSet<u64>,
    /// Those that are under way.
    pub(super) requests: BTreeMap<u64, Request>,
    /// Where each client was sent last, and among whom.
    pub(super) homes: BTreeMap<IpAddr, (BTreeSet<Slot>, Slot)>,
    /// Who had how many turns since anything changed.
    pub(super) turns: BTreeMap<u64, u64>,
    /// The heaviest that workers become.
    pub(super) heaviest: u64,
    pub(super) slots: u64,
    pub(super) newest: u64,
    pub(super) newest_request: u64,
    pub(super) begun: u64,
    pub(super) repeated_seen: u64,
    pub(super) tally: Tally,
}

/// A worker, as it is.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) slot: Slot,
    pub(super) weight: u8,
    pub(super) since: Tick,
    pub(super) is_spared: bool,
    pub(super) is_admitted: bool,
    pub(super) owes_drained: bool,
    /// How many requests of a thousand fail.
    pub(super) sickness: u64,
    pub(super) ejected_at: Tick,
    pub(super) history: History,
}

/// A request, as it is.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) key: Key,
    pub(super) method: Method,
    /// Where it was tried; it is at the last one.
    pub(super) tried: Vec<u64>,
    /// How many workers have acted on it.
    pub(super) acted: u32,
    /// Somebody has begun to answer.
    pub(super) is_answered: bool,
}

tally! {
    picked,
    nobody,
    drained,
    ejected,
    restored,
    reprieved,
    helped,
    spared,
    stuck,
    died,
    repeated,
    given_up,
}

/// Runs one seed: chaos, then calm in which everybody takes part again, turns are exact, and all who
/// were withdrawn drain.
pub(crate) fn run(seed: u64) -> Result<Tally, Box<Failure>> {
    contain(seed, |step| {
        let mut world = World::new(seed);
        world.live_through(step).map(|()| Tally {
            seeds: 1,
            steps: *step,
            ..world.tally
        })
    })
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let policies = [
            PickerKind::RoundRobin,
            PickerKind::LeastConnections,
            PickerKind::TwoChoices,
            PickerKind::IpHash,
        ];
        let is_slow = rng.chance(500);
        let spec = BalancerSpec {
            policy: rng.pick(&policies).expect("there are some"),
            slow_start: Duration::from_secs(if is_slow { rng.between(1, 60) } else { 0 }),
            ejection: rng.chance(950).then(|| ejection(&mut rng)),
        };
        let retry = RetrySpec {
            attempts: NonZeroU32::new(small(&mut rng, 1, 5)).expect("1 to 4"),
            budget: u8::try_from(rng.below(50)).expect("small"),
        };
        World {
            budget: Budget::new(&retry),
            retry,
            now: Tick::from_micros(rng.below(1_000_000)),
            balancer: Balancer::new(&spec, rng.next()),
            spec,
            workers: BTreeMap::new(),
            stray: BTreeSet::new(),
            returning: BTreeSet::new(),
            requests: BTreeMap::new(),
            homes: BTreeMap::new(),
            turns: BTreeMap::new(),
            heaviest: if rng.chance(500) { 1 } else { 6 },
            slots: rng.between(1, 6),
            newest: 0,
            newest_request: 0,
            begun: 0,
            repeated_seen: 0,
            tally: Tally::default(),
            rng,
        }
    }

    fn live_through(&mut self, step: &mut u64) -> Verdict {
        for slot in 0..self.slots {
            self.admit_new(slot)?;
        }
        for _ in 0..STEPS_PER_SEED {
            *step += 1;
            self.step()?;
            self.audit()?;
        }
        self.calm_down()
    }
}

fn ejection(rng: &mut Rng) -> EjectionSpec {
    let consecutive = rng.chance(900).then(|| small(rng, 1, 6));
    let ratio = rng.chance(500).then(|| ErrorRatio {
        percent: u8::try_from(rng.between(10, 100)).expect("small"),
        at_least: NonZeroU32::new(small(rng, 1, 20)).expect("1 to 19"),
        interval: Duration::from_millis(rng.between(100, 60_000)),
    });
    let base = Duration::from_millis(rng.between(100, 20_000));
    EjectionSpec {
        consecutive: consecutive.and_then(NonZeroU32::new),
        ratio,
        server_errors: if rng.chance(500) {
            ServerErrors::Counted
        } else {
            ServerErrors::Ignored
        },
        base,
        longest: base * small(rng, 1, 5),
        at_most_percent: u8::try_from(rng.between(1, 101)).expect("small"),
    }
}

fn small(rng: &mut Rng, start: u64, end: u64) -> u32 {
    u32::try_from(rng.between(start, end)).expect("small")
}
