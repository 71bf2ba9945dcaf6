use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::jobs::{JobPicker, JobSpec, Retry};

use super::rng::Rng;

/// The most workers that are alive and shall stay.
pub(crate) const MAX_WORKERS: usize = 6;

/// The most clients at a time.
pub(crate) const MAX_CLIENTS: usize = 8;

/// What may go wrong, each per thousand opportunities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// A worker dies.
    pub(crate) crash: u64,
    /// A worker stops doing anything for a while.
    pub(crate) freeze: u64,
    /// A handler fails.
    pub(crate) fail: u64,
    /// A link refuses although there is room.
    pub(crate) refuse: u64,
    /// A worker is held, or admitted again.
    pub(crate) hold: u64,
    /// A worker is withdrawn though nothing is wrong with it.
    pub(crate) recycle: u64,
    /// A client leaves.
    pub(crate) leave: u64,
    /// News comes while the dispatcher still has something to ask.
    pub(crate) late: u64,
    /// Time leaps.
    pub(crate) leap: u64,
    /// News about the dead and the unknown.
    pub(crate) stale: u64,
    /// The herd stops.
    pub(crate) stop: u64,
}

impl Faults {
    pub(crate) const NONE: Faults = Faults {
        crash: 0,
        freeze: 0,
        fail: 0,
        refuse: 0,
        hold: 0,
        recycle: 0,
        leave: 0,
        late: 0,
        leap: 0,
        stale: 0,
        stop: 0,
    };

    fn draw(rng: &mut Rng) -> Faults {
        // Each run leaves some faults out: a world where everything fails never gets far.
        let mut draw = |most: u64| {
            if rng.chance(600) {
                rng.below(most + 1)
            } else {
                0
            }
        };
        Faults {
            crash: draw(30),
            freeze: draw(60),
            fail: draw(100),
            refuse: draw(200),
            hold: draw(40),
            recycle: draw(20),
            leave: draw(60),
            late: draw(150),
            leap: draw(20),
            stale: draw(20),
            stop: draw(2),
        }
    }
}

/// How jobs are dispatched, and the faults of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) spec: JobSpec,
    pub(crate) faults: Faults,
    /// How many packets a link holds.
    pub(crate) link: usize,
    /// How often clients send, per thousand steps.
    pub(crate) demand: u64,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng) -> Plan {
        Plan {
            spec: draw_spec(rng),
            faults: Faults::draw(rng),
            link: 1 + rng.index(10),
            demand: rng.between(100, 500),
        }
    }
}

fn draw_spec(rng: &mut Rng) -> JobSpec {
    let millis = |rng: &mut Rng, most| Duration::from_millis(rng.between(1, most));
    let mut up_to = |most: u64| {
        let number = u32::try_from(rng.between(1, most + 1)).expect("it is small");
        NonZeroU32::new(number).expect("it is at least 1")
    };
    let (client_window, worker_window) = (up_to(8), up_to(8));
    let (worker_jobs, pending, poison_deaths) = (up_to(20), up_to(30), up_to(3));
    let max_jobs = up_to(6);
    let pickers = [JobPicker::RoundRobin, JobPicker::FewestJobs];
    JobSpec {
        picker: pickers[rng.index(2)],
        max_jobs: rng.chance(500).then_some(max_jobs),
        retry: [Retry::Never, Retry::Idempotent][rng.index(2)],
        client_window,
        worker_window,
        worker_jobs,
        pending,
        starting_wait: millis(rng, 500),
        steal_after: millis(rng, 100),
        pending_timeout: millis(rng, 10_000),
        poison_deaths,
    }
}
