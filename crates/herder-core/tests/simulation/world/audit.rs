//! What the supervisor may ask for, judged from what it was told and asked before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use herder_core::spec::{AppSpec, BootFailure, Policies, Readiness};
use herder_core::supervisor::{Action, Event, Outcome, Supervisor};
use herder_core::{Exit, Generation, Incarnation, Slot, Tick, WorkerId};

use super::completions::Completions;
use super::deploys::Deploys;
use super::restarts::{Blame, Place, Restarts};
use super::seen::{Mark, Respite, Seen};
use super::violation::{Verdict, Violation, ensure};

/// How many workers a slot may have: one, and one replacement at a time.
const PER_SLOT: usize = 2;

/// The observer of the supervisor.
pub(crate) struct Audit {
    pub(super) spec: AppSpec,
    pub(super) size: u16,
    pub(super) run: Run,
    /// Asked for, and the end not told.
    pub(super) live: BTreeMap<WorkerId, Seen>,
    pub(super) last_born: Incarnation,
    pub(super) quarantined: BTreeSet<Slot>,
    pub(super) restarts: Restarts,
    pub(super) deploys: Deploys,
    pub(super) completions: Completions,
    pub(super) was_ever_ready: bool,
    /// How many were exhausted while they served.
    pub(super) exhausted_in_all: u64,
    /// Who had its last job, until the supervisor has answered.
    pub(super) exhausted: Option<WorkerId>,
    /// How long the master has stood still in all, and how often.
    pub(super) stood: Duration,
    standstills: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Run {
    Idle,
    Running,
    Stopping,
    StoppingNow,
    Finished,
}

impl Audit {
    pub(super) fn new(spec: &AppSpec) -> Audit {
        Audit {
            spec: spec.clone(),
            size: spec.workers.count(),
            run: Run::Idle,
            live: BTreeMap::new(),
            last_born: Incarnation(0),
            quarantined: BTreeSet::new(),
            restarts: Restarts::new(&spec.restart),
            deploys: Deploys::new(&spec.reload),
            completions: Completions::default(),
            was_ever_ready: false,
            exhausted_in_all: 0,
            exhausted: None,
            stood: Duration::ZERO,
            standstills: 0,
        }
    }

    pub(super) fn spawned(&self) -> u64 {
        self.last_born.0
    }

    pub(super) fn exhausted_in_all(&self) -> u64 {
        self.exhausted_in_all
    }

    pub(super) fn stood_still(&self) -> u64 {
        self.standstills
    }

    pub(super) fn deploys(&self) -> &Deploys {
        &self.deploys
    }

    pub(super) fn size(&self) -> u16 {
        self.size
    }

    pub(super) fn is_finished(&self) -> bool {
        self.run == Run::Finished
    }

    pub(super) fn is_running(&self) -> bool {
        self.run == Run::Running
    }

    pub(super) fn completions(&self) -> &Completions {
        &self.completions
    }

    pub(super) fn is_quarantined(&self, slot: Slot) -> bool {
        self.quarantined.contains(&slot)
    }

    /// Whether the worker was asked to serve and not to leave.
    pub(super) fn is_admitted(&self, worker: WorkerId) -> bool {
        self.live.get(&worker).is_some_and(|seen| seen.serves())
    }

    /// Before the supervisor is told.
    #[expect(
        clippy::too_many_lines,
        reason = "a table: what follows from each event"
    )]
    pub(super) fn told(&mut self, event: &Event, now: Tick) {
        match *event {
            Event::Exited { worker, exit } => self.ended(worker, Some(exit), now),
            Event::SpawnFailed { worker, .. } => self.ended(worker, None, now),
            Event::Fail { worker, .. } => {
                // Whoever is recalled leaves without a word, and once it exists.
                let ends = !self.is_running() || self.completions.is_app_done();
                let seen = self.live.get(&worker).filter(|_| !ends);
                let seen = seen.filter(|seen| seen.exists_since.is_some());
                self.completions.found_broken(worker, seen);
                self.mark(worker, Mark::Broken);
            }
            Event::Respec(ref policies) => {
                self.spec.adopt(Policies::clone(policies));
                self.restarts.respec(&policies.restart);
            }
            Event::Beat { worker } => {
                self.exists(worker, now);
                if let Some(seen) = self.live.get_mut(&worker) {
                    seen.begun_at.get_or_insert(now);
                }
            }
            Event::BootExtended { worker, .. }
            | Event::Memory { worker, .. }
            | Event::Misbehaved { worker }
            | Event::Retire { worker }
            | Event::Served { worker, .. }
            | Event::Spawned { worker } => self.exists(worker, now),
            Event::Ready { worker } => {
                self.exists(worker, now);
                self.heard_ready(worker);
            }
            Event::Exhausted { worker } => {
                self.exhausted = Some(worker).filter(|worker| self.is_admitted(*worker));
            }
            Event::Withdrawn { worker } => self.mark(worker, Mark::WithdrawnTold),
            Event::Draining { worker } => {
                self.exists(worker, now);
                // What follows it is planned.
                if let Some(at) = self.place(worker) {
                    self.restarts.exhausted(at);
                }
            }
            Event::Reload { generation } if self.run <= Run::Running => {
                self.deploys.wished(generation);
            }
            Event::Reload { .. } => {}
            Event::Unborn { worker } => self.unborn(worker),
            Event::Reset => self.restarts.reset(),
            Event::Scale(count) => self.scaled(count.count()),
            Event::Start if self.run == Run::Idle => self.run = Run::Running,
            Event::Start | Event::Timer => {}
            Event::StoodStill { lasted } => {
                self.stood += lasted;
                self.standstills += 1;
            }
            Event::Stop => {
                self.run = self.run.max(Run::Stopping);
                self.deploys.stopped();
            }
            Event::StopNow => {
                self.run = self.run.max(Run::StoppingNow);
                self.deploys.stopped();
            }
        }
    }

    /// What the supervisor asks for.
    pub(super) fn asked(&mut self, action: &Action, now: Tick) -> Verdict {
        let over = self.run == Run::Finished && !matches!(action, Action::Announce(_));
        ensure(!over, "9: nothing after the finish", || {
            format!("{action:?}")
        })?;
        match *action {
            Action::Abort { worker } => self.begin_end(
                worker,
                Mark::Aborted,
                now,
                "5: an abort goes only to the living",
            ),
            Action::Admit { worker } => self.admitted(worker, now),
            Action::Announce(ref notice) => {
                self.deploys
                    .note_done(self.completions.done_slots(), self.size);
                self.deploys.announced(notice, now)?;
                self.announced(notice, now)
            }
            Action::Discard { generation } => self.discarded(generation),
            Action::Drain { worker, .. } => self.drained(worker, now),
            Action::Finish(outcome) => self.finished(outcome),
            Action::Hold { worker } => self.seen(worker, "a hold is for the living").map(|_| ()),
            Action::Kill { worker } => self.killed(worker, now),
            Action::Rest { worker } => self.rested(worker),
            Action::Spawn { worker, generation } => self.born(worker, generation, now),
            Action::Withdraw { worker } => {
                let rule = "a withdrawal is for the living";
                let again = self.seen(worker, rule)?.has(Mark::WithdrawAsked);
                ensure(!again, "a worker is withdrawn once", || worker.to_string())?;
                self.begin_end(worker, Mark::WithdrawAsked, now, rule)
            }
        }
    }

    /// After everything the supervisor asked for.
    pub(super) fn settled(&mut self, now: Tick) -> Verdict {
        if let Some(worker) = self.exhausted.take() {
            self.exhausted_in_all += 1;
            let leaves = self.live.get(&worker).is_some_and(|seen| seen.is_leaving());
            ensure(leaves, "13: the exhausted leave", || worker.to_string())?;
            let rests = self.is_quarantined(worker.slot);
            ensure(!rests, "13: an exhausted worker is no failure", || {
                worker.to_string()
            })?;
        }
        self.settled_completions()?;
        if self.run != Run::Running {
            return Ok(());
        }
        self.settled_generations(now)?;
        let staying = |slot: Option<Slot>| {
            let wanted = |id: &WorkerId| id.slot.0 < self.size && slot.is_none_or(|s| s == id.slot);
            self.live
                .iter()
                .filter(|(id, seen)| wanted(id) && seen.stays())
                .count()
        };
        let all = staying(None);
        let surge = usize::from(self.spec.reload.surge.get());
        ensure(
            all <= usize::from(self.size) + surge,
            "1: no more workers than wanted",
            || format!("{all} for {} slots", self.size),
        )?;
        for slot in (0..self.size).map(Slot) {
            let here = staying(Some(slot));
            ensure(here <= PER_SLOT, "1: one worker a slot", || {
                format!("{here} in slot {slot}")
            })?;
        }
        Ok(())
    }

    /// After each step.
    pub(super) fn check(&self, supervisor: &Supervisor) -> Verdict {
        let timeout = supervisor.poll_timeout();
        let unsettled = |seen: &&Seen| seen.ready_at.is_none() || seen.is_leaving();
        let waiting = self.live.values().find(unsettled);
        ensure(
            waiting.is_none() || timeout.is_some(),
            "6: who starts or leaves has a deadline",
            || format!("{waiting:?}"),
        )?;
        ensure(
            !self.is_finished() || timeout.is_none(),
            "10: nothing is due after the finish",
            || format!("{timeout:?}"),
        )
    }

    fn ended(&mut self, worker: WorkerId, exit: Option<Exit>, now: Tick) {
        let Some(seen) = self.live.remove(&worker) else {
            return;
        };
        let is_last = self.note_end(worker, seen, exit);
        let wanted = self.is_running() && worker.slot.0 < self.size;
        let blame = match wanted && !is_last && !seen.has(Mark::Superseded) {
            true => Blame::Worker,
            false => Blame::Nobody,
        };
        let at = (worker.slot, seen.generation);
        self.restarts.ended(at, seen, blame, now);
    }

    fn exists(&mut self, worker: WorkerId, now: Tick) {
        if let Some(seen) = self.live.get_mut(&worker)
            && seen.exists_since.is_none()
        {
            seen.exists_since = Some(now);
            if self.deploys.may_be_guessed(seen.generation) {
                seen.set(Mark::MayBeGuessed);
            }
        }
    }

    fn scaled(&mut self, size: u16) {
        if self.run > Run::Running {
            return;
        }
        for slot in (size.min(self.size)..size.max(self.size)).map(Slot) {
            self.quarantined.remove(&slot);
            self.completions.forget(slot);
            self.restarts.expect_planned((slot, self.deploys.serving()));
            if let Some(to) = self.deploys.to() {
                self.restarts.forget((slot, to));
            }
            for (_, seen) in self.live.iter_mut().filter(|(id, _)| id.slot == slot) {
                seen.set(Mark::Superseded);
                // It may be wanted again.
                seen.clear(Mark::Recalled);
                if size < self.size && seen.ready_at.is_none() {
                    seen.set(Mark::Recalled);
                }
            }
        }
        self.size = size;
    }

    fn born(&mut self, worker: WorkerId, generation: Generation, now: Tick) -> Verdict {
        self.deploys.born(worker, generation)?;
        self.note_birth(worker, generation)?;
        let fits = self.run == Run::Running && worker.slot.0 < self.size;
        ensure(fits, "a spawn is for a slot that is wanted", || {
            worker.to_string()
        })?;
        ensure(
            worker.incarnation > self.last_born,
            "incarnations are never reused",
            || worker.to_string(),
        )?;
        let starting = |(id, seen): (&WorkerId, &Seen)| {
            id.slot == worker.slot && seen.ready_at.is_none() && !seen.is_leaving()
        };
        let overlap = self.live.iter().any(starting);
        ensure(!overlap, "7: two spawns of a slot never overlap", || {
            worker.to_string()
        })?;
        self.last_born = worker.incarnation;
        // Another generation has its slot, or will have.
        for (id, seen) in &mut self.live {
            if id.slot == worker.slot && seen.generation != generation {
                seen.set(Mark::Superseded);
            }
        }
        self.live.insert(worker, Seen::new(generation));
        self.quarantined.remove(&worker.slot);
        self.restarts.spawned((worker.slot, generation), now)
    }

    fn admitted(&mut self, worker: WorkerId, now: Tick) -> Verdict {
        let seen = *self.seen(worker, "3: an admission is for the living")?;
        let (guess, since) = match self.spec.life.readiness {
            Readiness::Message => (None, None),
            Readiness::MessageOrAlive(alive) => (Some(alive), seen.exists_since),
            Readiness::MessageOrBegun(after) => (Some(after), seen.begun_at),
        };
        let lived = guess
            .zip(since)
            .is_some_and(|(alive, t)| t.after(alive) <= now);
        ensure(
            seen.has(Mark::ReadyTold) || lived && seen.has(Mark::MayBeGuessed),
            "3: only the ready are admitted",
            || format!("{worker}: {seen:?}"),
        )?;
        ensure(
            !seen.is_leaving(),
            "3: nobody who leaves is admitted",
            || worker.to_string(),
        )?;
        let seen = self.seen(worker, "3: an admission is for the living")?;
        seen.set(Mark::Admitted);
        seen.clear(Mark::Resting);
        Ok(())
    }

    fn drained(&mut self, worker: WorkerId, now: Tick) -> Verdict {
        let rule = "5: a drain goes only to the living";
        let seen = *self.seen(worker, rule)?;
        ensure(
            !seen.has(Mark::DrainAsked),
            "a worker is drained once",
            || worker.to_string(),
        )?;
        let withdrawn = seen.has(Mark::WithdrawAsked) && seen.has(Mark::WithdrawnTold);
        ensure(
            withdrawn || !seen.has(Mark::Admitted),
            "the withdrawal precedes the drain",
            || format!("{worker}: {seen:?}"),
        )?;
        self.begin_end(worker, Mark::DrainAsked, now, rule)
    }

    /// A kill needs a licence: the end of the ladder, or a reason to skip it.
    fn killed(&mut self, worker: WorkerId, now: Tick) -> Verdict {
        let rule = "5: a kill goes only to the living";
        let seen = *self.seen(worker, rule)?;
        let broken = seen.has(Mark::Aborted)
            || seen.has(Mark::BootTimedOut)
            || seen.has(Mark::Broken)
            || seen.has(Mark::Misbehaved)
            || seen.has(Mark::Killed)
            || seen.has(Mark::Cut)
            || self.run >= Run::StoppingNow;
        let expired = seen.has(Mark::GraceExpired)
            && (seen.has(Mark::DrainAsked) || !seen.has(Mark::WithdrawnTold));
        ensure(broken || expired, "the drain precedes the kill", || {
            format!("{worker}: {seen:?}")
        })?;
        self.begin_end(worker, Mark::Killed, now, rule)
    }

    fn finished(&mut self, outcome: Outcome) -> Verdict {
        ensure(
            self.live.is_empty(),
            "the finish comes after the last death",
            || format!("{:?}", self.live),
        )?;
        self.look_whether_all_are_done();
        let asked = match outcome {
            Outcome::BootFailed => {
                !self.was_ever_ready && self.spec.life.boot_failure == BootFailure::Exit
            }
            Outcome::Completed { failed } => self.completions.is_outcome(failed),
            Outcome::Stopped => self.run >= Run::Stopping,
        };
        ensure(asked, "9: the finish has its reason", || {
            format!("{outcome:?}, {:?}", self.run)
        })?;
        self.run = Run::Finished;
        Ok(())
    }

    pub(super) fn place(&self, worker: WorkerId) -> Option<Place> {
        let seen = self.live.get(&worker)?;
        Some((worker.slot, seen.generation))
    }

    fn begin_end(
        &mut self,
        worker: WorkerId,
        mark: Mark,
        now: Tick,
        rule: &'static str,
    ) -> Verdict {
        let respite = Respite {
            grace: self.spec.life.grace,
            stood: self.stood,
        };
        let seen = self.seen(worker, rule)?;
        if seen.end_began.is_none() {
            seen.end_began = Some(now);
            // Who comes to exist at this moment may have been recalled before: then its time has begun before.
            let was_there = seen.exists_since.is_some_and(|since| since < now);
            seen.notice = was_there.then_some(respite);
        }
        seen.set(mark);
        Ok(())
    }

    pub(super) fn mark(&mut self, worker: WorkerId, mark: Mark) {
        if let Some(seen) = self.live.get_mut(&worker) {
            seen.set(mark);
        }
    }

    pub(super) fn seen(
        &mut self,
        worker: WorkerId,
        rule: &'static str,
    ) -> Result<&mut Seen, Violation> {
        let detail = || format!("{worker} is dead or was never born");
        self.live.get_mut(&worker).ok_or_else(|| Violation {
            rule,
            detail: detail(),
        })
    }
}
