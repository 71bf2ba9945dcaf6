//! [`Scheduler`]: its state, and the ways in and out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::message::{Action, Entry, Event, Fate, Outcome};
use super::plan::{JobName, JobPlan};
use super::run::{Run, RunId, Server, ServerId, Stage};
use super::wall::{Calendar, Now, Wall};

/// The wall clock is looked at so often at least: somebody may have set it.
const GLANCE: Duration = Duration::from_secs(60);

/// Decides when jobs run, and who runs them.
///
/// * The next tick follows from the last *nominal* one, so that nothing drifts.
/// * A tick of a [`Target::Cluster`](super::Target::Cluster) job is claimed in a store that several
///   machines share, and the run carries the claim's token. A claim whose holder does not renew it
///   ends, and the tick is claimed again: it takes effect once, if what it writes to refuses tokens
///   smaller than the greatest it has seen.
/// * A run that fails, is lost with its server or takes too long is tried again as often as the
///   plan says. What happened is recorded, whatever it was.
pub struct Scheduler<C> {
    pub(super) jobs: BTreeMap<JobName, Job<C>>,
    pub(super) servers: BTreeMap<ServerId, Server>,
    pub(super) runs: BTreeMap<RunId, Run>,
    /// What the clocks said at the last call.
    pub(super) seen: Option<Now>,
    pub(super) last_run: u64,
    pub(super) seed: u64,
    actions: VecDeque<Action>,
}

/// A job, as it is.
pub(super) struct Job<C> {
    pub(super) plan: JobPlan,
    pub(super) calendar: C,
    /// The last tick that was dealt with.
    pub(super) last: Wall,
    pub(super) pace: Pace,
    /// Ticks whose turn comes when the run before them has ended.
    pub(super) queued: VecDeque<Wall>,
}

/// Whether a job is due at its times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    Paused,
    /// With its next tick, if it has one.
    Ticking(Option<Wall>),
}

/// A job, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobView<'a, C> {
    /// Its name.
    pub name: &'a JobName,
    /// Its plan.
    pub plan: &'a JobPlan,
    /// Its calendar.
    pub calendar: &'a C,
    /// Its next tick; `None` = paused, or there is none.
    pub next: Option<Wall>,
    /// Whether it is paused.
    pub paused: bool,
    /// The last tick that was dealt with.
    pub last: Wall,
    /// How many runs are not over.
    pub running: usize,
}

impl<C: Calendar> Scheduler<C> {
    /// A scheduler without jobs. The seed is for jitter.
    #[must_use]
    pub fn new(seed: u64) -> Scheduler<C> {
        Scheduler {
            jobs: BTreeMap::new(),
            servers: BTreeMap::new(),
            runs: BTreeMap::new(),
            seen: None,
            last_run: 0,
            seed,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event<C>, now: Now) {
        match event {
            Event::Claimed { run, answer } => self.claimed(run, answer, now),
            Event::Define { name, definition } => self.define(name, definition, now),
            Event::Finished { run, verdict } => self.finished(run, verdict, now),
            Event::Pause { name } => self.pause(&name),
            Event::Remove { name } => self.remove(&name),
            Event::Renewed { run, answer } => self.renewed(run, answer, now),
            Event::Resume { name } => self.resume(&name, now),
            Event::RunNow { name } => self.run_now(&name, now),
            Event::ServerDown { server } => self.server_down(server, now),
            Event::ServerUp { server, kind, jobs } => self.server_up(server, kind, jobs, now),
            Event::Timer => {}
        }
        self.on_time(now);
    }

    /// What is asked of the shell next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How long from `now` until [`Event::Timer`] is wanted, at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> Option<Duration> {
        let ticks = self.jobs.iter().filter_map(|(name, job)| {
            let next = job.next()?;
            Some(self.begin(name, job, next).since(now.wall).min(GLANCE))
        });
        let runs = self
            .runs
            .values()
            .filter_map(|run| Some(run.due()?.since(now.tick)));
        ticks.chain(runs).min()
    }

    /// All jobs by their names.
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'_, C>> {
        self.jobs.iter().map(|(name, job)| JobView {
            name,
            plan: &job.plan,
            calendar: &job.calendar,
            next: job.next(),
            paused: job.pace == Pace::Paused,
            last: job.last,
            running: self.runs.values().filter(|run| run.occupies(name)).count(),
        })
    }

    /// Whether the run was given to a server, and is not over.
    #[must_use]
    pub fn is_running(&self, run: RunId) -> bool {
        let running = |run: &Run| matches!(run.stage, Stage::Running { .. });
        self.runs.get(&run).is_some_and(running)
    }

    /// Whether there is such a job.
    #[must_use]
    pub fn has(&self, name: &JobName) -> bool {
        self.jobs.contains_key(name)
    }

    pub(super) fn ask(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn new_run(&mut self) -> RunId {
        self.last_run += 1;
        RunId(self.last_run)
    }

    /// Records a tick at which no attempt was made.
    pub(super) fn record_omission(
        &mut self,
        name: &JobName,
        tick: Wall,
        outcome: Outcome,
        at: Wall,
    ) {
        self.ask(Action::Record(Entry {
            name: name.clone(),
            tick,
            attempt: 0,
            server: None,
            started: None,
            at,
            outcome,
            fate: Fate::Over,
        }));
    }

    /// Does what time has brought about, at every call: the shell need not be exact.
    fn on_time(&mut self, now: Now) {
        self.notice_leap(now);
        self.fire_due(now);
        let due: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| run.due().is_some_and(|at| at <= now.tick))
            .map(|(id, _)| *id)
            .collect();
        for run in due {
            self.run_due(run, now);
        }
    }
}

impl<C> Job<C> {
    pub(super) fn next(&self) -> Option<Wall> {
        match self.pace {
            Pace::Paused => None,
            Pace::Ticking(next) => next,
        }
    }
}
