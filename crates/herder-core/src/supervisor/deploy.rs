//! Which generation is in service, which one follows, and when one is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Action, Cause, DrainReason, Notice};
use super::phase::{Phase, Standing, earliest};
use super::reload::Swap;
use super::state::{Run, Supervisor};
use crate::{Generation, Slot, Tick, WorkerId};

/// How far the change from one generation to another has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Rollout {
    /// After a rollback, the old generation is made whole again.
    Returning,
    /// Slot by slot, new workers are started.
    Rolling,
    /// Every slot has had its new worker ready, and the old ones stand by.
    Soaking,
    /// Nothing changes.
    Steady,
}

/// What is known of generations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Deploy {
    /// In service; while a reload goes on, the one that it replaces.
    pub(super) serving: Generation,
    /// The one operation that goes on.
    pub(super) operation: Option<Operation>,
    /// What is reloaded next. The latest wish wins.
    pub(super) waiting: Option<Generation>,
    /// Planned replacements rest until then.
    pub(super) latched_until: Option<Tick>,
    /// The first one of which a worker said that it was ready: no later one is taken at a guess.
    pub(super) told: Option<Generation>,
    /// The newest that was named: an older one is never named again.
    newest: Generation,
    /// Which ones the shell can start.
    kept: BTreeSet<Generation>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Operation {
    Reload(Reload),
    /// After a rollback: the old generation is made whole again.
    Return {
        /// What is not whole then will be so without this.
        until: Tick,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Reload {
    pub(super) to: Generation,
    pub(super) began: Tick,
    pub(super) stage: Stage,
    /// The slots that were reached.
    pub(super) swaps: BTreeMap<Slot, Swap>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Not every slot has had its new worker ready.
    Rolling,
    /// Every slot had: the old ones stand by.
    Soaking { until: Tick, took: Duration },
    /// That time is over: as soon as every slot is in service, the old ones leave.
    Soaked { took: Duration },
}

impl Deploy {
    pub(super) fn new() -> Deploy {
        Deploy {
            serving: Generation::FIRST,
            operation: None,
            waiting: None,
            latched_until: None,
            told: None,
            newest: Generation::FIRST,
            kept: BTreeSet::from([Generation::FIRST]),
        }
    }

    pub(super) fn reload(&self) -> Option<&Reload> {
        match &self.operation {
            Some(Operation::Reload(reload)) => Some(reload),
            Some(Operation::Return { .. }) | None => None,
        }
    }

    pub(super) fn reload_mut(&mut self) -> Option<&mut Reload> {
        match &mut self.operation {
            Some(Operation::Reload(reload)) => Some(reload),
            Some(Operation::Return { .. }) | None => None,
        }
    }

    pub(super) fn is_kept(&self, generation: Generation) -> bool {
        self.kept.contains(&generation)
    }

    /// When it wants to go on.
    pub(super) fn deadline(&self) -> Option<Tick> {
        let own = match self.operation {
            Some(Operation::Return { until }) => Some(until),
            Some(Operation::Reload(Reload {
                stage: Stage::Soaking { until, .. },
                ..
            })) => Some(until),
            Some(Operation::Reload(_)) | None => None,
        };
        earliest(own, self.latched_until)
    }

    /// A master that stood still saw nothing of the soak: what was left of it is left, and not less than
    /// until `floor`. Nor could it make the old generation whole.
    pub(super) fn stood_still(&mut self, lasted: Duration, floor: Tick) {
        match &mut self.operation {
            Some(Operation::Reload(reload)) => {
                if let Stage::Soaking { until, .. } = &mut reload.stage {
                    *until = until.after(lasted).max(floor);
                }
            }
            Some(Operation::Return { until }) => *until = until.after(lasted),
            None => {}
        }
    }
}

impl Supervisor {
    /// The generation in service. While a reload goes on, this is the one that is being replaced.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.deploy.serving
    }

    /// How far the change from one generation to another has come.
    #[must_use]
    pub fn rollout(&self) -> Rollout {
        match &self.deploy.operation {
            None => Rollout::Steady,
            Some(Operation::Return { .. }) => Rollout::Returning,
            Some(Operation::Reload(reload)) => match reload.stage {
                Stage::Rolling => Rollout::Rolling,
                Stage::Soaking { .. } | Stage::Soaked { .. } => Rollout::Soaking,
            },
        }
    }

    /// Whether a reload or a rollback goes on: until its soak is over, or the old generation is whole
    /// again.
    #[must_use]
    pub fn is_reloading(&self) -> bool {
        self.deploy.operation.is_some()
    }

    /// Whether a generation is to be reloaded that could not begin.
    pub(super) fn is_reload_waiting(&self) -> bool {
        self.deploy.waiting.is_some()
    }

    /// Until when planned replacements rest, if they do.
    #[must_use]
    pub fn latched_until(&self) -> Option<Tick> {
        self.deploy.latched_until
    }

    /// This generation shall be in service.
    pub(super) fn reload(&mut self, generation: Generation, now: Tick) {
        if generation <= self.deploy.newest {
            return self.count_stale();
        }
        self.deploy.newest = generation;
        self.deploy.kept.insert(generation);
        match self.run {
            Run::Running => {
                self.deploy.waiting = Some(generation);
                if self.is_reloading() {
                    self.tell(Notice::ReloadWaits { generation });
                }
            }
            // Nobody lives: it is what will be started.
            Run::Idle => {
                let from = self.deploy.serving;
                self.tell(Notice::ReloadBegan {
                    from,
                    to: generation,
                });
                self.enter_service(generation, Duration::ZERO);
            }
            Run::Finished | Run::Leaving { .. } => {}
        }
        self.advance_deploy(now);
    }

    /// Goes on with what goes on, and begins what waits.
    pub(super) fn advance_deploy(&mut self, now: Tick) {
        loop {
            match self.deploy.operation {
                Some(Operation::Reload(_)) => {
                    self.swap_more(now);
                    if self.conclude_reload(now) {
                        continue;
                    }
                }
                Some(Operation::Return { .. }) if self.is_whole() => {
                    self.deploy.operation = None;
                    continue;
                }
                Some(Operation::Return { .. }) => {}
                None if self.run == Run::Running => {
                    if let Some(generation) = self.deploy.waiting.take() {
                        self.begin_reload(generation, now);
                        continue;
                    }
                }
                None => {}
            }
            return;
        }
    }

    /// Lets the deadlines of generations act that have passed.
    pub(super) fn deploy_expired(&mut self, now: Tick) {
        match &mut self.deploy.operation {
            Some(Operation::Return { until }) if *until <= now => self.deploy.operation = None,
            Some(Operation::Reload(reload)) => {
                if let Stage::Soaking { until, took } = reload.stage
                    && until <= now
                {
                    reload.stage = Stage::Soaked { took };
                }
            }
            Some(Operation::Return { .. }) | None => {}
        }
        if self.deploy.latched_until.is_some_and(|at| at <= now) {
            self.unlatch();
        }
    }

    /// From now on this is what the app is.
    pub(super) fn enter_service(&mut self, generation: Generation, took: Duration) {
        let from = std::mem::replace(&mut self.deploy.serving, generation);
        self.tell(Notice::Reloaded {
            generation,
            from,
            took,
        });
        self.unlatch();
    }

    fn unlatch(&mut self) {
        if self.deploy.latched_until.take().is_some() {
            self.tell(Notice::Unlatched);
        }
    }

    /// Nobody is wanted any more, of no generation.
    pub(super) fn abandon_deploy(&mut self) {
        self.deploy.waiting = None;
        self.deploy.latched_until = None;
        if let Some(Operation::Reload(reload)) = self.deploy.operation.take() {
            self.tell_stopped(reload.to);
        }
    }

    /// Kills what is left of the oldest generations when too many of them drain.
    pub(super) fn cut_generations(&mut self, now: Tick) {
        let most = usize::from(self.spec.reload.max_generations.get());
        loop {
            let mut draining: BTreeMap<Generation, Vec<(WorkerId, DrainReason)>> = BTreeMap::new();
            for (worker, generation, reason) in self.leaving_by_generation() {
                draining
                    .entry(generation)
                    .or_default()
                    .push((worker, reason));
            }
            if draining.len() <= most {
                return;
            }
            let Some((generation, workers)) = draining.pop_first() else {
                return;
            };
            self.tell(Notice::GenerationsCut {
                generation,
                workers: u16::try_from(workers.len()).unwrap_or(u16::MAX),
            });
            for (worker, reason) in workers {
                self.kill(worker, Cause::Planned(reason), Standing::Unready, now);
            }
        }
    }

    /// Lets the shell forget the generations that nobody needs.
    pub(super) fn discard_generations(&mut self) {
        let kept: Vec<Generation> = self.deploy.kept.iter().copied().collect();
        for generation in kept {
            if !self.is_needed(generation) {
                self.deploy.kept.remove(&generation);
                self.act(Action::Discard { generation });
            }
        }
    }

    fn is_needed(&self, generation: Generation) -> bool {
        let deploy = &self.deploy;
        generation == deploy.serving
            || deploy.waiting == Some(generation)
            || deploy
                .reload()
                .is_some_and(|reload| reload.to == generation)
            || self.lives().any(|(_, life)| life.generation == generation)
    }

    /// Who leaves, of the generations that are neither in service nor to be.
    fn leaving_by_generation(
        &self,
    ) -> impl Iterator<Item = (WorkerId, Generation, DrainReason)> + '_ {
        let present = [
            Some(self.deploy.serving),
            self.deploy.reload().map(|reload| reload.to),
        ];
        self.lives()
            .filter(move |(_, life)| !present.contains(&Some(life.generation)))
            .filter_map(|(worker, life)| match life.phase {
                Phase::Draining { reason, .. }
                | Phase::Recalled { reason, .. }
                | Phase::Withdrawing { reason, .. } => Some((worker, life.generation, reason)),
                Phase::Aborting { .. }
                | Phase::Killing { .. }
                | Phase::Ready { .. }
                | Phase::Spawning { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Suspect { .. } => None,
            })
    }
}
