//! Apps whose workers may be done, workers that are found broken from outside, and other policies
//! while the app runs.

use std::time::Duration;

use herder_core::spec::{DelayGrowth, RecyclePolicy, RestartWhen};
use herder_core::supervisor::Event;
use herder_core::{Exit, WorkerId};

use super::mail::{News, Source};
use super::plan::Plan;
use super::rng::Rng;
use super::run::World;
use super::violation::Verdict;

/// Whether a worker can be the last of its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ends {
    /// Whoever ends is followed.
    Never,
    Various,
}

/// What may happen because of them, each per thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// A worker that ends by itself has a status of its own.
    code: u64,
    /// A worker is found broken, per step.
    broken: u64,
    /// There are other policies, per step.
    respec: u64,
}

impl Ending {
    pub(crate) const NONE: Ending = Ending {
        code: 0,
        broken: 0,
        respec: 0,
    };
}

const WHEN: [RestartWhen; 3] = [
    RestartWhen::Always,
    RestartWhen::Never,
    RestartWhen::OnFailure,
];

/// 3 is final in these apps; the last two are fatal in all.
const CODES: [i32; 5] = [0, 1, 3, 78, 125];

impl Plan {
    /// Changes what is particular to ends, with dice of its own.
    pub(crate) fn end(&mut self, ends: Ends, rng: &mut Rng) -> Ending {
        if ends == Ends::Never {
            return Ending::NONE;
        }
        self.vary(rng);
        Ending {
            code: rng.below(600),
            broken: rng.below(10),
            respec: rng.below(10),
        }
    }

    /// Other policies, as far as nothing that goes on is measured by them.
    fn vary(&mut self, rng: &mut Rng) {
        let millis = |rng: &mut Rng, most| Duration::from_millis(rng.between(1, most));
        let restart = &mut self.spec.restart;
        restart.when = rng.pick(&WHEN).expect("there are some");
        restart.final_codes = rng.chance(500).then_some(3).into_iter().collect();
        restart.growth = match rng.chance(300) {
            true => DelayGrowth::Fixed,
            false => DelayGrowth::Doubling,
        };
        restart.first_delay = millis(rng, 1_000);
        restart.max_delay = restart.first_delay + millis(rng, 30_000);
        let life = &mut self.spec.life;
        life.grace = millis(rng, 30_000);
        life.boot_timeout = millis(rng, 60_000) + Duration::from_secs(2);
        life.hang = rng
            .chance(700)
            .then(|| Duration::from_secs(1) + millis(rng, 10_000));
        life.hang_kill = millis(rng, 10_000);
        life.abort_grace = millis(rng, 2_000);
        self.spec.recycle = RecyclePolicy {
            max_requests: None,
            max_lifetime: rng
                .chance(200)
                .then(|| millis(rng, 60_000) + Duration::from_secs(1)),
            max_memory: None,
        };
    }
}

impl World {
    /// A health check fails, or the operator has other wishes.
    pub(super) fn ends(&mut self) -> Verdict {
        if self.ender.chance(self.ending.broken) {
            self.somebody_is_broken();
        }
        if !self.ender.chance(self.ending.respec) {
            return Ok(());
        }
        self.plan.vary(&mut self.ender);
        let policies = self.plan.spec.policies();
        self.tell_supervisor(Event::Respec(Box::new(policies)))
    }

    /// The status of a process that ends by its own will.
    pub(super) fn own_exit(&mut self, id: WorkerId, exit: Exit) -> Exit {
        let was_told = self.processes.get(&id).is_none_or(|it| it.drain_asked);
        if was_told || !self.ender.chance(self.ending.code) {
            return exit;
        }
        Exit::Code(self.ender.pick(&CODES).expect("there are some"))
    }

    fn somebody_is_broken(&mut self) {
        let ids: Vec<WorkerId> = self.processes.keys().copied().collect();
        let Some(worker) = self.ender.pick(&ids) else {
            return;
        };
        let at = self
            .now
            .after(Duration::from_micros(self.ender.below(50_000)));
        let reason = "it does not answer".to_owned();
        let news = News::Supervisor(Event::Fail { worker, reason });
        self.mail.post(Source::Dispatch, at, news);
    }
}
