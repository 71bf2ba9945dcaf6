//! A scheduler under test, with two clocks that are moved by hand.

use std::time::Duration;

use herder_core::Tick;
use herder_core::schedule::{
    Action, Calendar, Definition, Entry, Event, JobName, JobPlan, Misfire, Now, Outcome, Overlap,
    RunId, Scheduler, ServerId, ServerKind, Target, Verdict, Wall,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const NIGHTLY: &str = "nightly";

/// Due at every multiple of so many milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Every(pub(crate) i64);

impl Calendar for Every {
    fn next_after(&self, after: Wall) -> Option<Wall> {
        let step = after.as_millis().div_euclid(self.0) + 1;
        step.checked_mul(self.0).map(Wall::from_millis)
    }
}

/// The scheduler, and what it asked for.
pub(crate) struct Desk {
    pub(crate) scheduler: Scheduler<Every>,
    pub(crate) now: Now,
}

pub(crate) fn name(name: &str) -> JobName {
    JobName::new(name).expect("a name")
}

pub(crate) fn wall(seconds: i64) -> Wall {
    Wall::from_millis(seconds * 1000)
}

/// For one worker, with time-outs of ten seconds and no second attempt.
pub(crate) fn plan() -> JobPlan {
    JobPlan {
        target: Target::Worker,
        overlap: Overlap::Skip,
        misfire: Misfire::Skip,
        timeout: 10 * SECOND,
        retries: 0,
        jitter: Duration::ZERO,
    }
}

impl Desk {
    /// At 1000 s of the wall clock, and 50 s of the other.
    pub(crate) fn new() -> Desk {
        Desk {
            scheduler: Scheduler::new(7),
            now: Now {
                wall: wall(1000),
                tick: Tick::from_micros(50_000_000),
            },
        }
    }

    /// With the job `nightly`, due every ten seconds.
    pub(crate) fn with(plan: JobPlan) -> Desk {
        let mut desk = Desk::new();
        assert_eq!(desk.define(plan, None), []);
        desk
    }

    pub(crate) fn define(&mut self, plan: JobPlan, last: Option<Wall>) -> Vec<Action> {
        let definition = Definition {
            plan,
            calendar: Every(10_000),
            last,
        };
        let name = name(NIGHTLY);
        self.tell(Event::Define { name, definition })
    }

    pub(crate) fn tell(&mut self, event: Event<Every>) -> Vec<Action> {
        self.scheduler.handle(event, self.now);
        std::iter::from_fn(|| self.scheduler.poll_action()).collect()
    }

    /// Both clocks go on by this.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now.wall = self.now.wall.after(time);
        self.now.tick = self.now.tick.after(time);
        self.tell(Event::Timer)
    }

    pub(crate) fn worker(&mut self, id: u64) -> Vec<Action> {
        self.server(id, ServerKind::Worker)
    }

    pub(crate) fn server(&mut self, id: u64, kind: ServerKind) -> Vec<Action> {
        let (server, jobs) = (ServerId(id), vec![name(NIGHTLY)]);
        self.tell(Event::ServerUp { server, kind, jobs })
    }

    pub(crate) fn finish(&mut self, run: RunId) -> Vec<Action> {
        let verdict = Verdict::Succeeded;
        self.tell(Event::Finished { run, verdict })
    }

    pub(crate) fn fail(&mut self, run: RunId) -> Vec<Action> {
        let verdict = Verdict::Failed("no".to_owned());
        self.tell(Event::Finished { run, verdict })
    }
}

/// The runs that are to be started, with their servers and ticks.
pub(crate) fn starts(actions: &[Action]) -> Vec<(RunId, u64, Wall)> {
    let start = |action: &Action| {
        if let Action::Start {
            run, server, tick, ..
        } = action
        {
            Some((*run, server.0, *tick))
        } else {
            None
        }
    };
    actions.iter().filter_map(start).collect()
}

/// The only run that is to be started.
pub(crate) fn start(actions: &[Action]) -> RunId {
    match starts(actions)[..] {
        [(run, _, _)] => run,
        _ => panic!("not one start: {actions:?}"),
    }
}

pub(crate) fn entries(actions: &[Action]) -> Vec<Entry> {
    let entry = |action: &Action| {
        if let Action::Record(entry) = action {
            Some(entry.clone())
        } else {
            None
        }
    };
    actions.iter().filter_map(entry).collect()
}

pub(crate) fn outcomes(actions: &[Action]) -> Vec<Outcome> {
    entries(actions)
        .into_iter()
        .map(|entry| entry.outcome)
        .collect()
}
