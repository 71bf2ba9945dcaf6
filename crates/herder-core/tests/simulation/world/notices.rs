//! What the supervisor announces, and whether it may; and what generations do to workers.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::spec::BootFailure;
use herder_core::supervisor::{DrainReason, Notice, RecycleReason};
use herder_core::{Generation, Slot, Tick, WorkerId};

use super::audit::Audit;
use super::seen::{Mark, Seen};
use super::violation::{Verdict, ensure};

impl Audit {
    pub(super) fn announced(&mut self, notice: &Notice, now: Tick) -> Verdict {
        match *notice {
            Notice::BootTimedOut { worker } => self.mark(worker, Mark::BootTimedOut),
            Notice::GenerationsCut { generation, .. } => self.cut(generation),
            Notice::GraceExpired { worker } => return self.grace_expired(worker, now),
            Notice::Misbehaved { worker } => self.mark(worker, Mark::Misbehaved),
            Notice::Quarantined { slot, retry_in, .. } => {
                self.quarantined.insert(slot);
                let at = (slot, self.deploys.serving());
                self.restarts.quarantined(at, now.after(retry_in));
            }
            Notice::Ready { worker, .. } => self.became_ready(worker, now),
            Notice::Recycling { worker, reason } => return self.recycling(worker, reason),
            Notice::Released { slot } => {
                let at = (slot, self.deploys.serving());
                self.restarts.expect_planned(at);
            }
            Notice::ReloadBegan { .. } => self.recall_replacements(),
            Notice::Done {
                slot,
                exit,
                completion,
            } => return self.note_done(slot, exit, completion),
            Notice::Retired { worker } => {
                self.mark(worker, Mark::Retired);
                self.mark(worker, Mark::Superseded);
                if let Some(seen) = self.live.get(&worker) {
                    let at = (worker.slot, seen.generation);
                    self.restarts.retired(at, *seen, now);
                }
            }
            Notice::RolledBack { generation, to, .. } => self.rolled_back(generation, to),
            Notice::Stopping { worker, reason } => return self.stopping(worker, reason),
            Notice::Exited { .. }
            | Notice::Failed { .. }
            | Notice::Latched { .. }
            | Notice::ReloadWaits { .. }
            | Notice::Reloaded { .. }
            | Notice::ReplacementWaits { .. }
            | Notice::RestartDelayed { .. }
            | Notice::Restored { .. }
            | Notice::Scaled { .. }
            | Notice::SpawnFailed { .. }
            | Notice::Started { .. }
            | Notice::Suspected { .. }
            | Notice::Unlatched => {}
        }
        Ok(())
    }

    /// Whoever leaves has its grace, and the time does not count in which nobody was in charge.
    fn grace_expired(&mut self, worker: WorkerId, now: Tick) -> Verdict {
        let stood = self.stood;
        let seen = *self.seen(worker, "a grace is for the living")?;
        if let Some((since, respite)) = seen.end_began.zip(seen.notice) {
            let had = now.since(since).saturating_sub(stood - respite.stood);
            ensure(
                had >= respite.grace,
                "14: a standstill is not part of the grace",
                || format!("{worker} had {had:?} of {:?}", respite.grace),
            )?;
        }
        self.mark(worker, Mark::GraceExpired);
        Ok(())
    }

    /// Somebody else serves in its place, or there are enough without it.
    pub(super) fn rested(&mut self, worker: WorkerId) -> Verdict {
        let seen = *self.seen(worker, "a rest is for the living")?;
        let old = seen.serves() && seen.generation == self.deploys.serving();
        ensure(
            old && self.deploys.to().is_some(),
            "8: only the old rest",
            || format!("{worker}: {seen:?}"),
        )?;
        self.mark(worker, Mark::Resting);
        let serving = || self.live.iter().filter(|(_, seen)| seen.serves());
        let succeeded = serving().any(|(id, _)| id.slot == worker.slot)
            || self.completions.is_done(worker.slot);
        let left = serving().count();
        let spare = usize::from(self.deploys.policy().max_unavailable);
        ensure(
            succeeded || left + spare >= usize::from(self.size),
            "8: no more are missing than may be",
            || format!("{worker}: {left} of {} are left", self.size),
        )
    }

    /// After everything that was asked for.
    pub(super) fn settled_generations(&mut self, now: Tick) -> Verdict {
        let mut served: BTreeMap<Slot, BTreeSet<Generation>> = BTreeMap::new();
        let mut draining = BTreeSet::new();
        for (id, seen) in &self.live {
            if seen.serves() {
                served.entry(id.slot).or_default().insert(seen.generation);
            }
            let on_its_own = !seen.has(Mark::Killed) && !seen.has(Mark::Aborted);
            if seen.is_leaving() && on_its_own && !self.deploys.is_present(seen.generation) {
                draining.insert(seen.generation);
            }
            let rests = seen.has(Mark::Resting) && !seen.is_leaving();
            ensure(
                !rests || self.deploys.to().is_some(),
                "8: after a reload or a rollback nobody stands by",
                || format!("{id}: {seen:?}"),
            )?;
        }
        let most = usize::from(self.spec.reload.max_generations.get());
        ensure(draining.len() <= most, "8: few generations drain", || {
            format!("{draining:?}")
        })?;
        self.deploys
            .note_done(self.completions.done_slots(), self.size);
        let wanted = (0..self.size).map(Slot);
        self.deploys.settled(wanted, &served, now);
        Ok(())
    }

    /// It says so; whether anybody cares is another matter.
    pub(super) fn heard_ready(&mut self, worker: WorkerId) {
        self.mark(worker, Mark::ReadyTold);
        if let Some(seen) = self.live.get(&worker)
            && !seen.is_leaving()
            && !seen.has(Mark::Recalled)
        {
            self.deploys.heard_ready(seen.generation);
        }
    }

    /// It never came to be. (Of one that has served this cannot be true, and it is not believed.)
    pub(super) fn unborn(&mut self, worker: WorkerId) {
        let at = self.place(worker);
        let served = |seen: &Seen| seen.has(Mark::Admitted);
        if let Some(at) = at.filter(|_| !self.live.get(&worker).is_some_and(served)) {
            self.live.remove(&worker);
            self.restarts.expect_planned(at);
        }
    }

    pub(super) fn discarded(&mut self, generation: Generation) -> Verdict {
        // An app whose first start failed may have given up, which is told only at its end.
        let may_give_up = self.spec.life.boot_failure == BootFailure::Exit;
        if may_give_up && !self.was_ever_ready || self.completions.is_app_done() {
            self.deploys.may_be_too_late(generation);
        }
        let living = self.live.values().map(|seen| seen.generation);
        self.deploys.discarded(generation, living)
    }

    fn recycling(&mut self, worker: WorkerId, reason: RecycleReason) -> Verdict {
        let Some(at) = self.place(worker) else {
            return Ok(());
        };
        if reason == RecycleReason::Jobs {
            self.restarts.exhausted(at);
            return Ok(());
        }
        self.restarts.recycling(at);
        self.deploys.may_recycle()
    }

    fn stopping(&mut self, worker: WorkerId, reason: DrainReason) -> Verdict {
        let on_trial = self.deploys.to().is_some();
        let seen = self.seen(worker, "who leaves lives")?;
        let serves = seen.serves();
        seen.set(Mark::Superseded);
        ensure(
            reason != DrainReason::Replaced || !serves || !on_trial,
            "8: nobody who serves leaves for what is on trial",
            || worker.to_string(),
        )
    }

    fn became_ready(&mut self, worker: WorkerId, now: Tick) {
        self.was_ever_ready = true;
        let Some(at) = self.place(worker) else {
            return;
        };
        self.restarts.ready(at);
        self.deploys.became_ready(worker, at.1);
        for (id, seen) in &mut self.live {
            if *id == worker {
                seen.ready_at = Some(now);
            } else if id.slot == worker.slot {
                seen.set(Mark::Superseded);
            }
        }
    }

    fn cut(&mut self, generation: Generation) {
        for seen in self.live.values_mut() {
            if seen.generation == generation {
                seen.set(Mark::Cut);
            }
        }
    }

    /// Who is not ready in a slot in which another serves was to replace it.
    fn recall_replacements(&mut self) {
        let serving: BTreeSet<Slot> = self
            .live
            .iter()
            .filter(|(_, seen)| seen.serves())
            .map(|(id, _)| id.slot)
            .collect();
        for (id, seen) in &mut self.live {
            if seen.ready_at.is_none() && serving.contains(&id.slot) {
                seen.set(Mark::Recalled);
            }
        }
    }

    /// What is left of the old generation is what it was, and what was lost is made good.
    fn rolled_back(&mut self, generation: Generation, to: Generation) {
        self.completions.rolled_back();
        for seen in self.live.values_mut() {
            if seen.generation == generation {
                seen.set(Mark::Recalled);
                seen.set(Mark::Superseded);
            } else if seen.generation == to && !seen.is_leaving() {
                seen.clear(Mark::Superseded);
            }
        }
        for slot in (0..self.size).map(Slot) {
            self.restarts.expect_planned((slot, to));
        }
    }
}
