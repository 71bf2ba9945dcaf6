//! Which worker may be the last of its slot, judged from how it ended, a second time and simply.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::spec::{RestartPolicy, RestartWhen};
use herder_core::supervisor::Completion;
use herder_core::{Exit, Generation, Slot, WorkerId};

use super::audit::Audit;
use super::restarts::Place;
use super::seen::{Mark, Seen};
use super::violation::{Verdict, ensure};

/// The observer of slots that are done.
#[derive(Default)]
pub(super) struct Completions {
    /// Those in which nobody follows.
    done: BTreeMap<Slot, Completion>,
    /// Those that were, before a new generation began anew.
    before: BTreeMap<Slot, Completion>,
    restoring: bool,
    /// Where the last worker of this generation has ended: another one would be one too many.
    last: BTreeSet<Place>,
    /// Who has just ended, and how; `None` when it could not be started.
    ended: Option<(WorkerId, Seen, Option<Exit>)>,
    /// Every slot was done, so many with a failure.
    app: Option<u16>,
    in_all: u64,
    broken_in_all: u64,
    /// Who was found broken, until the supervisor has answered.
    broken: Option<WorkerId>,
}

/// What the policy says of an end.
fn judge(policy: &RestartPolicy, seen: Seen, exit: Option<Exit>) -> Option<Completion> {
    let by_itself = !seen.is_leaving() && !seen.has(Mark::Recalled);
    let will = by_itself || policy.when == RestartWhen::Never && seen.has(Mark::Retired);
    let code = exit.and_then(|exit| exit.code()).filter(|_| will);
    match code {
        Some(code) if policy.final_codes.contains(&code) => Some(Completion::AsMeant),
        Some(code) if policy.fatal_codes.contains(&code) => Some(Completion::Failed),
        Some(0) if policy.when != RestartWhen::Always => Some(Completion::AsMeant),
        _ if policy.when == RestartWhen::Never => Some(Completion::Failed),
        _ => None,
    }
}

impl Completions {
    pub(super) fn is_done(&self, slot: Slot) -> bool {
        self.done.contains_key(&slot)
    }

    pub(super) fn done_slots(&self) -> BTreeSet<Slot> {
        self.done.keys().copied().collect()
    }

    pub(super) fn in_all(&self) -> u64 {
        self.in_all
    }

    pub(super) fn broken_in_all(&self) -> u64 {
        self.broken_in_all
    }

    /// The app has nothing left to do, which is told only at its end.
    pub(super) fn is_app_done(&self) -> bool {
        self.app.is_some()
    }

    pub(super) fn is_outcome(&self, failed: u16) -> bool {
        self.app == Some(failed)
    }

    /// This slot begins anew.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.done.remove(&slot);
        self.before.remove(&slot);
        self.last.retain(|(at, _)| *at != slot);
    }

    /// What this generation was is restored, as far as it can be.
    pub(super) fn rolled_back(&mut self) {
        self.last.clear();
        self.restoring = true;
    }

    pub(super) fn found_broken(&mut self, worker: WorkerId, seen: Option<&Seen>) {
        let lives = |seen: &&Seen| !seen.is_leaving() && !seen.has(Mark::Recalled);
        self.broken = seen.filter(lives).map(|_| worker);
    }
}

impl Audit {
    /// Somebody is gone; returns whether the policy wants nobody to follow.
    pub(super) fn note_end(&mut self, worker: WorkerId, seen: Seen, exit: Option<Exit>) -> bool {
        // A replacement that was begun takes the slot over, whatever becomes of it.
        let shares = |(id, seen): (&WorkerId, &Seen)| {
            id.slot == worker.slot && (seen.stays() || id.incarnation > worker.incarnation)
        };
        let alone = !self.live.iter().any(shares);
        let wanted = self.is_running() && worker.slot.0 < self.size && seen.stays();
        let superseded = seen.has(Mark::Superseded);
        let verdict = judge(&self.spec.restart, seen, exit);
        if alone && wanted && !superseded && verdict.is_some() {
            let place = (worker.slot, seen.generation);
            self.completions.last.insert(place);
        }
        self.completions.ended = Some((worker, seen, exit));
        verdict.is_some()
    }

    pub(super) fn note_done(
        &mut self,
        slot: Slot,
        exit: Option<Exit>,
        completion: Completion,
    ) -> Verdict {
        let ended = self.completions.ended.filter(|(id, ..)| id.slot == slot);
        let right = ended.is_some_and(|(_, seen, how)| {
            how == exit && judge(&self.spec.restart, seen, how) == Some(completion)
        });
        let restored =
            self.completions.restoring && self.completions.before.get(&slot) == Some(&completion);
        ensure(
            right || restored,
            "14: a slot is done when the policy says so",
            || format!("{slot}, {exit:?}, {completion:?}: {ended:?}"),
        )?;
        if let Some((worker, seen, _)) = ended {
            self.deploys.slot_is_done(worker, seen.generation);
        }
        self.completions.in_all += 1;
        self.completions.done.insert(slot, completion);
        Ok(())
    }

    /// Nobody follows the last of a generation.
    pub(super) fn note_birth(&mut self, worker: WorkerId, generation: Generation) -> Verdict {
        let place = (worker.slot, generation);
        if let Some(completion) = self.completions.done.remove(&worker.slot) {
            self.completions.before.insert(worker.slot, completion);
        }
        let last = self.completions.last.contains(&place);
        ensure(!last, "14: nobody follows in a slot that is done", || {
            format!("{worker} of {generation}")
        })
    }

    /// After everything that the supervisor asked for.
    pub(super) fn settled_completions(&mut self) -> Verdict {
        self.completions.ended = None;
        self.completions.restoring = false;
        if self.deploys.to().is_none() {
            self.completions.before.clear();
        }
        if let Some(worker) = self.completions.broken.take() {
            self.completions.broken_in_all += 1;
            let left = self.live.get(&worker).is_none_or(|seen| seen.is_leaving());
            ensure(left, "15: who was found broken is ended", || {
                worker.to_string()
            })?;
        }
        self.look_whether_all_are_done();
        Ok(())
    }

    /// When every slot is done the app ends, and nothing brings it back.
    pub(super) fn look_whether_all_are_done(&mut self) {
        let done = &self.completions.done;
        let all = (0..self.size).all(|slot| done.contains_key(&Slot(slot)));
        let settled = self.is_running() && self.deploys.to().is_none();
        if all && settled && self.completions.app.is_none() {
            let wanted = done.range(..Slot(self.size));
            let failed = wanted.filter(|(_, it)| **it == Completion::Failed).count();
            self.completions.app = u16::try_from(failed).ok();
        }
    }
}
