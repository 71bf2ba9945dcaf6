use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use herder_core::spec::{AppSpec, BootFailure, PickerKind, Readiness, Recall, WorkerCount};

use super::rng::Rng;

/// The most slots of a simulated app.
pub(crate) const MAX_SLOTS: u64 = 8;

/// How bad the world is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Budget {
    /// Faults are exceptions: most workers are healthy most of the time.
    Bounded,
    /// Anything may fail any number of times.
    Unbounded,
}

/// How long a life may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lives {
    /// No worker has a last job.
    Endless,
    /// Workers are given the last jobs of their lives.
    Exhaustible,
}

/// Whether there are new generations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Releases {
    Many,
    Never,
}

/// What may happen because of new generations, and because masters die, each per thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// A new generation, per step.
    pub(crate) reload: u64,
    /// It has a vice.
    pub(crate) bad: u64,
    /// A process that was asked for is not started.
    pub(crate) unborn: u64,
    /// Somebody was told to leave by a master that did not live to note so, per step.
    pub(crate) untold: u64,
}

impl Release {
    pub(crate) const NONE: Release = Release {
        reload: 0,
        bad: 0,
        unborn: 0,
        untold: 0,
    };
}

/// How connections are dealt out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dealing {
    /// In turn or to the least loaded; channels are read from outside.
    Plain,
    /// By any policy; channels are read from outside.
    AnyPolicy,
    /// By any policy, to workers that take or reject.
    Verdict,
}

/// How workers decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taste {
    /// How many connections one holds open at most.
    pub(crate) limit: usize,
    /// How often one rejects for no reason, per thousand connections.
    pub(crate) whim: u64,
    /// How many workers reject everything, per thousand.
    pub(crate) stubborn: u64,
    /// How many places clients come from; 0 = nobody knows.
    pub(crate) origins: u64,
}

/// What may go wrong, each per thousand opportunities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) spawn_fails: u64,
    pub(crate) crash_on_boot: u64,
    pub(crate) never_ready: u64,
    pub(crate) crash: u64,
    pub(crate) freeze: u64,
    pub(crate) deaf: u64,
    pub(crate) mute: u64,
    pub(crate) retire: u64,
    pub(crate) misbehave: u64,
    pub(crate) refuse: u64,
    pub(crate) late: u64,
    pub(crate) leap: u64,
}

impl Faults {
    pub(crate) const NONE: Faults = Faults {
        spawn_fails: 0,
        crash_on_boot: 0,
        never_ready: 0,
        crash: 0,
        freeze: 0,
        deaf: 0,
        mute: 0,
        retire: 0,
        misbehave: 0,
        refuse: 0,
        late: 0,
        leap: 0,
    };

    fn draw(rng: &mut Rng, budget: Budget) -> Faults {
        let scale = match budget {
            Budget::Bounded => 1,
            Budget::Unbounded => 8,
        };
        // Each run leaves some faults out: a world where everything fails never gets far.
        let mut draw = |most: u64| {
            if rng.chance(600) {
                rng.below(most * scale + 1)
            } else {
                0
            }
        };
        Faults {
            spawn_fails: draw(60),
            crash_on_boot: draw(100),
            never_ready: draw(40),
            crash: draw(8),
            freeze: draw(10),
            deaf: draw(100),
            mute: draw(40),
            retire: draw(12),
            misbehave: draw(3),
            refuse: draw(30),
            late: draw(100),
            leap: draw(20),
        }
    }
}

/// The app and the faults of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) spec: AppSpec,
    pub(crate) faults: Faults,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, budget: Budget) -> Plan {
        Plan {
            spec: draw_spec(rng),
            faults: Faults::draw(rng, budget),
        }
    }

    /// Changes what is particular to new generations, with dice of its own.
    pub(crate) fn release(&mut self, releases: Releases, rng: &mut Rng) -> Release {
        if releases == Releases::Never {
            return Release::NONE;
        }
        let reload = &mut self.spec.reload;
        reload.surge = NonZeroU16::new(1 + draw_small(rng, 3)).expect("it is above 0");
        reload.max_unavailable = draw_small(rng, 3);
        reload.soak = Duration::from_millis(rng.below(15_000));
        reload.latch = Duration::from_millis(rng.below(60_000));
        reload.max_generations = NonZeroU16::new(1 + draw_small(rng, 3)).expect("it is above 0");
        Release {
            reload: rng.between(1, 20),
            bad: rng.below(700),
            unborn: rng.below(60),
            untold: rng.below(6),
        }
    }

    /// Changes what is particular to a way of dealing, with dice of its own.
    pub(crate) fn deal(&mut self, dealing: Dealing, rng: &mut Rng) -> Taste {
        let dispatch = &mut self.spec.dispatch;
        if dealing != Dealing::Plain {
            dispatch.picker = rng.pick(&PICKERS).expect("there are some");
            dispatch.sticky_wait = Duration::from_millis(rng.below(500));
        }
        if dealing == Dealing::Verdict {
            dispatch.recall = Recall::Verdict;
            dispatch.stall_after = Duration::from_millis(rng.between(1, 3_000));
            dispatch.cautious_window =
                NonZeroU32::new(u32::from(1 + draw_small(rng, 8))).expect("above 0");
        }
        let mut sometimes = |most: u64| {
            if rng.chance(400) { rng.below(most) } else { 0 }
        };
        let (whim, stubborn) = (sometimes(300), sometimes(1_001));
        Taste {
            whim,
            stubborn,
            limit: match rng.chance(500) {
                true => 1 + rng.index(6),
                false => usize::MAX,
            },
            origins: match dealing {
                Dealing::Plain => 0,
                Dealing::AnyPolicy | Dealing::Verdict => rng.between(1, 12),
            },
        }
    }
}

impl Taste {
    /// Everybody takes everything.
    pub(crate) fn mend(&mut self) {
        self.limit = usize::MAX;
        self.whim = 0;
        self.stubborn = 0;
    }
}

const PICKERS: [PickerKind; 4] = [
    PickerKind::RoundRobin,
    PickerKind::LeastConnections,
    PickerKind::TwoChoices,
    PickerKind::IpHash,
];

fn draw_spec(rng: &mut Rng) -> AppSpec {
    let name = "sim".parse().expect("it is a name");
    let mut spec = AppSpec::new(name, draw_count(rng));
    let millis = |rng: &mut Rng, most| Duration::from_millis(rng.between(1, most));

    spec.restart.stable = millis(rng, 20_000);
    spec.restart.first_delay = millis(rng, 1_000);
    spec.restart.max_delay = spec.restart.first_delay + millis(rng, 30_000);
    spec.restart.max_restarts = NonZeroU32::new(u32::from(draw_small(rng, 8)));
    spec.restart.window = millis(rng, 120_000);
    spec.restart.retry = millis(rng, 120_000);

    if rng.chance(300) {
        spec.recycle.max_requests = NonZeroU64::new(rng.between(1, 200));
    }
    if rng.chance(200) {
        spec.recycle.max_lifetime = Some(millis(rng, 60_000) + Duration::from_secs(1));
    }
    if rng.chance(200) {
        spec.recycle.max_memory = NonZeroU64::new(1 << 20);
    }

    if rng.chance(200) {
        let after = millis(rng, 2_000);
        spec.life.readiness = if after.as_millis().is_multiple_of(2) {
            Readiness::MessageOrAlive(after)
        } else {
            Readiness::MessageOrBegun(after)
        };
    }
    spec.life.boot_timeout = millis(rng, 60_000) + Duration::from_secs(2);
    spec.life.grace = millis(rng, 30_000);
    spec.life.hang = rng
        .chance(700)
        .then(|| Duration::from_secs(1) + millis(rng, 10_000));
    spec.life.hang_kill = millis(rng, 10_000);
    spec.life.abort_grace = millis(rng, 2_000);
    spec.life.max_draining = NonZeroU16::new(1 + draw_small(rng, 8)).expect("it is above 0");
    if rng.chance(500) {
        spec.life.boot_failure = BootFailure::KeepTrying;
    }

    spec.dispatch.window = NonZeroU32::new(u32::from(1 + draw_small(rng, 8))).expect("above 0");
    spec.dispatch.poison_deaths =
        NonZeroU32::new(u32::from(1 + draw_small(rng, 4))).expect("above 0");
    if rng.chance(300) {
        spec.dispatch.picker = PickerKind::LeastConnections;
    }
    spec
}

pub(crate) fn draw_count(rng: &mut Rng) -> WorkerCount {
    WorkerCount::new(1 + rng.index(usize::try_from(MAX_SLOTS).expect("it is small")))
        .expect("it is between 1 and 8")
}

fn draw_small(rng: &mut Rng, end: u64) -> u16 {
    u16::try_from(rng.below(end)).expect("it is small")
}
