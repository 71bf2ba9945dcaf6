//! What the supervisor may do with generations, judged from what it was told and asked before.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::spec::ReloadPolicy;
use herder_core::supervisor::{FailureKind, Notice};
use herder_core::{Generation, Slot, Tick, WorkerId};

use super::violation::{Verdict, ensure};

/// The observer of generations.
pub(super) struct Deploys {
    policy: ReloadPolicy,
    serving: Generation,
    trial: Option<Trial>,
    waiting: Option<Generation>,
    discarded: BTreeSet<Generation>,
    /// The first one of which a worker was heard to be ready.
    told: Option<Generation>,
    latched: bool,
    /// The slots that are done, and whether these are all.
    done: BTreeSet<Slot>,
    all_done: bool,
    reloaded: u64,
    rolled_back: u64,
}

/// The one change that goes on.
struct Trial {
    to: Generation,
    /// The slots that have had a worker of it ready.
    ready: BTreeSet<Slot>,
    /// When every slot had.
    complete_at: Option<Tick>,
}

impl Deploys {
    pub(super) fn new(policy: &ReloadPolicy) -> Deploys {
        Deploys {
            policy: policy.clone(),
            serving: Generation::FIRST,
            trial: None,
            waiting: None,
            discarded: BTreeSet::new(),
            told: None,
            latched: false,
            done: BTreeSet::new(),
            all_done: false,
            reloaded: 0,
            rolled_back: 0,
        }
    }

    pub(super) fn reloaded(&self) -> u64 {
        self.reloaded
    }

    pub(super) fn rolled_back(&self) -> u64 {
        self.rolled_back
    }

    pub(super) fn policy(&self) -> &ReloadPolicy {
        &self.policy
    }

    pub(super) fn serving(&self) -> Generation {
        self.serving
    }

    /// The generation on trial.
    pub(super) fn to(&self) -> Option<Generation> {
        self.trial.as_ref().map(|trial| trial.to)
    }

    pub(super) fn is_present(&self, generation: Generation) -> bool {
        generation == self.serving || self.to() == Some(generation)
    }

    /// Whether a worker of it may be taken for ready without a word.
    pub(super) fn may_be_guessed(&self, generation: Generation) -> bool {
        self.told.is_none_or(|told| generation <= told)
    }

    pub(super) fn heard_ready(&mut self, generation: Generation) {
        self.told.get_or_insert(generation);
    }

    /// The operator wishes for it.
    pub(super) fn wished(&mut self, generation: Generation) {
        self.waiting = Some(generation);
    }

    /// The app stops: nothing is begun any more.
    pub(super) fn stopped(&mut self) {
        self.waiting = None;
    }

    /// The wish for it may have come when the app was ending already.
    pub(super) fn may_be_too_late(&mut self, generation: Generation) {
        self.waiting.take_if(|waiting| *waiting == generation);
    }

    pub(super) fn born(&self, worker: WorkerId, generation: Generation) -> Verdict {
        ensure(
            self.is_present(generation) && !self.discarded.contains(&generation),
            "8: what is started is in service or on trial",
            || format!("{worker} of {generation}"),
        )
    }

    pub(super) fn became_ready(&mut self, worker: WorkerId, generation: Generation) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.to == generation) {
            trial.ready.insert(worker.slot);
        }
    }

    /// A worker of this generation was the last of its slot.
    pub(super) fn slot_is_done(&mut self, worker: WorkerId, generation: Generation) {
        self.became_ready(worker, generation);
    }

    /// What is done now, and whether nobody is left who could fail.
    pub(super) fn note_done(&mut self, done: BTreeSet<Slot>, size: u16) {
        self.all_done = (0..size).all(|slot| done.contains(&Slot(slot)));
        self.done = done;
    }

    /// A generation is forgotten, and these live.
    pub(super) fn discarded(
        &mut self,
        generation: Generation,
        mut living: impl Iterator<Item = Generation>,
    ) -> Verdict {
        let needed = self.is_present(generation)
            || self.waiting == Some(generation)
            || living.any(|it| it == generation);
        ensure(!needed, "8: only what nobody needs is discarded", || {
            generation.to_string()
        })?;
        let once = self.discarded.insert(generation);
        ensure(once, "8: a generation is discarded once", || {
            generation.to_string()
        })
    }

    pub(super) fn announced(&mut self, notice: &Notice, now: Tick) -> Verdict {
        match *notice {
            Notice::ReloadBegan { from, to } => {
                let right =
                    self.trial.is_none() && from == self.serving && self.waiting.take() == Some(to);
                self.trial = Some(Trial {
                    to,
                    ready: BTreeSet::new(),
                    complete_at: None,
                });
                ensure(right, "9: one operation at a time, the latest wish", || {
                    format!("{from} to {to}")
                })
            }
            Notice::Reloaded {
                generation, from, ..
            } => self.succeeded(generation, from, now),
            Notice::RolledBack {
                generation,
                to,
                failure,
            } => {
                let on_trial = self.trial.take().map(|trial| trial.to);
                self.rolled_back += 1;
                let blamed = failure.worker.is_some() || failure.kind == FailureKind::Stopped;
                ensure(
                    on_trial == Some(generation) && to == self.serving && blamed,
                    "9: one verdict each",
                    || format!("{generation} to {to}: {failure:?}"),
                )
            }
            Notice::Latched { .. } => {
                self.latched = true;
                Ok(())
            }
            Notice::Unlatched => {
                self.latched = false;
                Ok(())
            }
            Notice::BootTimedOut { .. }
            | Notice::Done { .. }
            | Notice::Failed { .. }
            | Notice::Exited { .. }
            | Notice::GenerationsCut { .. }
            | Notice::GraceExpired { .. }
            | Notice::Misbehaved { .. }
            | Notice::Quarantined { .. }
            | Notice::Ready { .. }
            | Notice::Recycling { .. }
            | Notice::Released { .. }
            | Notice::ReloadWaits { .. }
            | Notice::ReplacementWaits { .. }
            | Notice::RestartDelayed { .. }
            | Notice::Restored { .. }
            | Notice::Retired { .. }
            | Notice::Scaled { .. }
            | Notice::SpawnFailed { .. }
            | Notice::Started { .. }
            | Notice::Stopping { .. }
            | Notice::Suspected { .. } => Ok(()),
        }
    }

    pub(super) fn may_recycle(&self) -> Verdict {
        ensure(
            self.trial.is_none() && !self.latched,
            "8: recycling rests during a reload, and after a rollback",
            || format!("on trial: {:?}", self.to()),
        )
    }

    /// After everything that was asked for. `served`: whose workers are admitted, by slot.
    pub(super) fn settled(
        &mut self,
        mut wanted: impl Iterator<Item = Slot>,
        served: &BTreeMap<Slot, BTreeSet<Generation>>,
        now: Tick,
    ) {
        let Some(trial) = &mut self.trial else {
            return;
        };
        let all = wanted.all(|slot| {
            let here = served.get(&slot);
            let serves = here.is_some_and(|here| here.contains(&trial.to));
            trial.ready.contains(&slot) && (serves || self.done.contains(&slot))
        });
        if all {
            trial.complete_at.get_or_insert(now);
        }
    }

    fn succeeded(&mut self, generation: Generation, from: Generation, now: Tick) -> Verdict {
        let trial = self.trial.take();
        let right = trial.as_ref().is_some_and(|trial| trial.to == generation);
        ensure(right && from == self.serving, "9: one verdict each", || {
            generation.to_string()
        })?;
        let soak = self.policy.soak;
        let complete_at = trial.and_then(|trial| trial.complete_at);
        let soaked =
            self.all_done || soak.is_zero() || complete_at.is_some_and(|at| at.after(soak) <= now);
        ensure(soaked, "8: a generation is soaked", || {
            format!("{generation} at {now:?}, complete at {complete_at:?}")
        })?;
        self.serving = generation;
        self.reloaded += 1;
        Ok(())
    }
}
