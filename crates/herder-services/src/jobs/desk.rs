//! [`Jobs`]: the scheduler with its clocks, its store and its processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_core::schedule::{
    Action, ClaimAnswer, Definition, Entry, Event, JobName, RunId, Scheduler, ServerId, ServerKind,
    Target, Verdict, Wall,
};
use tokio::sync::Notify;

use super::definition::{JobDefinition, JobError, JobState, Start};
use super::keeping::Keeping;
use super::roster::{Order, Roster, Server};
use super::timing::Timing;
use crate::clock::Clock;

/// So many lines of history are kept.
const HISTORY: usize = 1000;

/// Where the life of the process begins in the number of a run.
const LIFE: u32 = 32;

/// The store is told again after this that a tick is done, when it did not answer.
#[cfg(feature = "redis")]
const AGAIN: Duration = Duration::from_secs(1);

/// The jobs of a herd.
pub struct Jobs {
    pub(super) clock: Clock,
    inside: Mutex<Inside>,
    changed: Notify,
    pub(super) keeping: Keeping,
    /// Whoever writes a job down: what was said later must not be overwritten.
    pub(super) pen: tokio::sync::Mutex<()>,
    /// Differs from herd to herd.
    pub(super) seed: u64,
    /// The life of the process: in the first, jobs that want it run at once.
    epoch: u64,
    #[cfg(feature = "redis")]
    claims: Option<crate::redis::Claims>,
}

pub(super) struct Inside {
    pub(super) scheduler: Scheduler<Timing>,
    pub(super) definitions: BTreeMap<JobName, JobDefinition>,
    /// Jobs of an earlier life that nobody has defined in this one.
    pub(super) restored: BTreeSet<JobName>,
    /// What this herd began with, in an earlier life.
    pub(super) founded: BTreeMap<String, JobDefinition>,
    roster: Roster,
    history: VecDeque<Entry>,
    /// Jobs whose last tick is being written down.
    remembered: BTreeMap<JobName, Remembered>,
}

/// What waits until a tick is written down.
#[derive(Default)]
struct Remembered {
    writes: usize,
    runs: Vec<(RunId, ServerId, Order)>,
}

impl Inside {
    /// A write has ended: if it was the last, the runs that waited begin, if they are still wanted.
    fn release_runs(&mut self, name: &JobName) {
        let Some(remembered) = self.remembered.get_mut(name) else {
            return;
        };
        remembered.writes -= 1;
        if remembered.writes > 0 {
            return;
        }
        let runs = self.remembered.remove(name).unwrap_or_default().runs;
        for (run, server, order) in runs {
            if self.scheduler.is_running(run) {
                self.roster.send(server, order);
            }
        }
    }
}

impl Jobs {
    /// Without jobs. To be [driven](Jobs::drive).
    #[must_use]
    pub fn new(clock: Clock, seed: u64, epoch: u64, keeping: Keeping) -> Jobs {
        Jobs {
            clock,
            inside: Mutex::new(Inside {
                scheduler: Scheduler::new(seed),
                definitions: BTreeMap::new(),
                restored: BTreeSet::new(),
                founded: BTreeMap::new(),
                roster: Roster::default(),
                history: VecDeque::new(),
                remembered: BTreeMap::new(),
            }),
            changed: Notify::new(),
            keeping,
            pen: tokio::sync::Mutex::default(),
            seed,
            epoch,
            #[cfg(feature = "redis")]
            claims: None,
        }
    }

    /// With a store that several machines share, for jobs of the cluster.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn with_claims(mut self, claims: crate::redis::Claims) -> Jobs {
        self.claims = Some(claims);
        self
    }

    /// Has jobs run at their times; never ends.
    pub async fn drive(self: &Arc<Self>) {
        loop {
            self.step(Event::Timer);
            let wait = self.lock().scheduler.poll_timeout(self.clock.now());
            let changed = self.changed.notified();
            match wait {
                None => changed.await,
                Some(wait) => {
                    // A timer may be early by its grain.
                    let wait = wait + Duration::from_millis(1);
                    let _either = tokio::time::timeout(wait, changed).await;
                }
            }
        }
    }

    /// Makes a job, or changes it. Its runs go on, and no tick is repeated.
    ///
    /// # Errors
    /// When it cannot be; then nothing has changed. When it cannot be kept, it has.
    pub async fn define(
        self: &Arc<Self>,
        name: &str,
        definition: JobDefinition,
    ) -> Result<(), JobError> {
        let name = JobName::new(name)?;
        let plan = definition.plan()?;
        self.check_store(definition.target)?;
        let defined = Definition {
            plan,
            calendar: definition.timing.clone(),
            last: None,
        };
        let starts_at_once = self.epoch <= 1 && definition.start == Start::Immediate;
        {
            let mut inside = self.lock();
            let before = inside.definitions.insert(name.clone(), definition);
            let is_new = inside.restored.remove(&name) || before.is_none();
            let (job, definition) = (name.clone(), defined);
            self.handle(
                &mut inside,
                Event::Define {
                    name: job,
                    definition,
                },
            );
            if is_new && starts_at_once {
                self.handle(&mut inside, Event::RunNow { name: name.clone() });
            }
        }
        self.changed.notify_one();
        self.keep(&name).await
    }

    /// Removes a job.
    ///
    /// # Errors
    /// When there is none, or this cannot be kept.
    pub async fn remove(self: &Arc<Self>, name: &str) -> Result<(), JobError> {
        let name = self.known(name)?;
        {
            let mut inside = self.lock();
            inside.definitions.remove(&name);
            self.handle(&mut inside, Event::Remove { name: name.clone() });
        }
        self.changed.notify_one();
        self.keep(&name).await
    }

    /// Has a job not be due until it is resumed.
    ///
    /// # Errors
    /// When there is none, or this cannot be kept.
    pub async fn pause(self: &Arc<Self>, name: &str) -> Result<(), JobError> {
        let name = self.known(name)?;
        self.tell(Event::Pause { name: name.clone() });
        self.keep(&name).await
    }

    /// Has a job be due again.
    ///
    /// # Errors
    /// When there is none, or this cannot be kept.
    pub async fn resume(self: &Arc<Self>, name: &str) -> Result<(), JobError> {
        let name = self.known(name)?;
        self.tell(Event::Resume { name: name.clone() });
        self.keep(&name).await
    }

    /// Runs a job now.
    ///
    /// # Errors
    /// When there is none.
    pub fn run_now(self: &Arc<Self>, name: &str) -> Result<(), JobError> {
        let name = self.known(name)?;
        self.tell(Event::RunNow { name });
        Ok(())
    }

    /// All jobs by their names.
    #[must_use]
    pub fn list(&self) -> Vec<JobState> {
        let inside = self.lock();
        let state = |view: herder_core::schedule::JobView<'_, Timing>| {
            Some(JobState {
                name: view.name.clone(),
                definition: inside.definitions.get(view.name)?.clone(),
                next: view.next,
                last: view.last,
                paused: view.paused,
                running: view.running,
            })
        };
        inside.scheduler.jobs().filter_map(state).collect()
    }

    /// What happened, latest first; of one job, or of all.
    #[must_use]
    pub fn history(&self, name: Option<&str>, limit: usize) -> Vec<Entry> {
        let inside = self.lock();
        let wanted = |entry: &&Entry| name.is_none_or(|name| entry.name.as_str() == name);
        let entries = inside.history.iter().rev().filter(wanted);
        entries.take(limit).cloned().collect()
    }

    /// Offers to run these jobs from now on.
    ///
    /// # Errors
    /// When a name is none.
    pub fn serve(self: &Arc<Self>, kind: ServerKind, jobs: &[String]) -> Result<Server, JobError> {
        let names: Result<Vec<_>, _> = jobs.iter().map(JobName::new).collect();
        let names = names?;
        let (id, orders) = self.lock().roster.join();
        let server = Server {
            jobs: Arc::clone(self),
            id,
            orders,
        };
        self.tell(Event::ServerUp {
            server: id,
            kind,
            jobs: names,
        });
        Ok(server)
    }

    /// A server says how a run ended. One that is over already stays as it is, and so does what
    /// another life of the process had run.
    pub fn done(self: &Arc<Self>, run: RunId, verdict: Verdict) {
        let first = self.numbered(RunId(0));
        if run.0 >> LIFE == first.0 >> LIFE {
            let run = RunId(run.0 ^ first.0);
            self.tell(Event::Finished { run, verdict });
        }
    }

    /// A run's number, as servers know it: what is said late of a run must not be taken for one of
    /// another life.
    fn numbered(&self, run: RunId) -> RunId {
        // Numbers stay below 2⁵³, which is what JavaScript can count.
        RunId((self.epoch << LIFE) | run.0)
    }

    pub(super) fn down(self: &Arc<Self>, id: ServerId) {
        self.lock().roster.leave(id);
        self.tell(Event::ServerDown { server: id });
    }

    /// Tells the scheduler, and has whoever drives look when it is due next.
    fn tell(self: &Arc<Self>, event: Event<Timing>) {
        self.step(event);
        self.changed.notify_one();
    }

    /// Tells the scheduler, and does what it asks for.
    fn step(self: &Arc<Self>, event: Event<Timing>) {
        self.handle(&mut self.lock(), event);
    }

    fn handle(self: &Arc<Self>, inside: &mut Inside, event: Event<Timing>) {
        inside.scheduler.handle(event, self.clock.now());
        while let Some(action) = inside.scheduler.poll_action() {
            self.act(inside, action);
        }
    }

    fn act(self: &Arc<Self>, inside: &mut Inside, action: Action) {
        match action {
            Action::Cancel { run, server } => {
                let run = self.numbered(run);
                inside.roster.send(server, Order::Cancel { run });
            }
            Action::Claim {
                run,
                name,
                tick,
                instead,
            } => self.claim((run, name), tick, instead),
            Action::Record(entry) => {
                if inside.history.len() == HISTORY {
                    inside.history.pop_front();
                }
                inside.history.push_back(entry);
            }
            Action::Release { name, tick, token } => self.release(name, tick, token),
            Action::Remember { name, .. } => self.remember(inside, name),
            Action::Renew {
                run,
                name,
                tick,
                token,
            } => self.renew((run, name), tick, token),
            Action::Settle { name, tick, token } => self.settle(name, tick, token),
            Action::Start {
                run,
                name,
                tick,
                server,
                attempt,
                token,
            } => {
                let definition = inside.definitions.get(&name);
                let timeout_ms = definition.map_or(0, |definition| definition.timeout_ms);
                let order = Order::Run {
                    run: self.numbered(run),
                    name: name.clone(),
                    tick,
                    attempt,
                    token,
                    timeout_ms,
                };
                match inside.remembered.get_mut(&name) {
                    Some(remembered) => remembered.runs.push((run, server, order)),
                    None => inside.roster.send(server, order),
                }
            }
        }
    }

    /// Writes down up to where ticks were dealt with. Runs begin only then: a process that died in
    /// between would run its last tick twice.
    fn remember(self: &Arc<Self>, inside: &mut Inside, name: JobName) {
        if let Keeping::Memory = self.keeping {
            return;
        }
        inside.remembered.entry(name.clone()).or_default().writes += 1;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            // What cannot be kept runs nevertheless: a full disk is no reason to do nothing.
            let _unkept = this.write_down(&name).await;
            this.lock().release_runs(&name);
        });
    }

    fn known(&self, name: &str) -> Result<JobName, JobError> {
        let job = JobName::new(name)?;
        if self.lock().scheduler.has(&job) {
            Ok(job)
        } else {
            Err(JobError::Unknown(name.to_owned()))
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "redis")]
impl Jobs {
    fn check_store(&self, target: Target) -> Result<(), JobError> {
        if target == Target::Cluster && self.claims.is_none() {
            return Err(JobError::NoStore);
        }
        Ok(())
    }

    fn claim(self: &Arc<Self>, (run, name): (RunId, JobName), tick: Wall, instead: Option<u64>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let answer = match &this.claims {
                Some(claims) => claims.claim(&name, tick, instead).await,
                None => ClaimAnswer::Unavailable,
            };
            this.tell(Event::Claimed { run, answer });
        });
    }

    fn renew(self: &Arc<Self>, (run, name): (RunId, JobName), tick: Wall, token: u64) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let answer = match &this.claims {
                Some(claims) => claims.renew(&name, tick, token).await,
                None => ClaimAnswer::Unavailable,
            };
            this.tell(Event::Renewed { run, answer });
        });
    }

    /// Tells the store until it answers, or until the claim has ended anyway.
    fn settle(&self, name: JobName, tick: Wall, token: u64) {
        let Some(claims) = self.claims.clone() else {
            return;
        };
        tokio::spawn(async move {
            for _ in 0..60 {
                if claims.settle(&name, tick, token).await.is_ok() {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    fn release(&self, name: JobName, tick: Wall, token: u64) {
        if let Some(claims) = self.claims.clone() {
            // If the store does not answer, the claim ends by itself.
            tokio::spawn(async move { drop(claims.release(&name, tick, token).await) });
        }
    }
}

#[cfg(not(feature = "redis"))]
#[expect(clippy::unused_self, reason = "with redis there is something to do")]
impl Jobs {
    fn check_store(&self, target: Target) -> Result<(), JobError> {
        match target {
            Target::Cluster => Err(JobError::NoStore),
            Target::All | Target::Library | Target::Worker => Ok(()),
        }
    }

    fn claim(self: &Arc<Self>, (run, _name): (RunId, JobName), _tick: Wall, _: Option<u64>) {
        let answer = ClaimAnswer::Unavailable;
        let this = Arc::clone(self);
        tokio::spawn(async move { this.tell(Event::Claimed { run, answer }) });
    }

    fn renew(self: &Arc<Self>, (_run, _name): (RunId, JobName), _tick: Wall, _token: u64) {}

    fn settle(&self, _name: JobName, _tick: Wall, _token: u64) {}

    fn release(&self, _name: JobName, _tick: Wall, _token: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Local;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_run_begins_when_its_tick_is_written_down() {
        let space = Local::in_memory(1 << 20, Clock::new(), Box::new(|_| {}));
        let keeping = Keeping::Namespace(Arc::new(space));
        let jobs = Arc::new(Jobs::new(Clock::new(), 7, 1, keeping));
        let timing = "every 100ms".parse().expect("a timing");
        let defined = jobs.define("tick", JobDefinition::new(timing)).await;
        defined.expect("it can be");
        let offered = ["tick".to_owned()];
        let mut server = jobs.serve(ServerKind::Worker, &offered).expect("a name");
        let driven = Arc::clone(&jobs);
        let driver = tokio::spawn(async move { driven.drive().await });

        let pen = jobs.pen.lock().await;
        let started = || jobs.lock().scheduler.jobs().any(|job| job.running > 0);
        while !started() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(server.try_next().is_none(), "it is not written down yet");
        drop(pen);
        let order = tokio::time::timeout(PATIENCE, server.next()).await;
        assert!(matches!(order, Ok(Order::Run { .. })), "{order:?}");
        driver.abort();
    }
}
