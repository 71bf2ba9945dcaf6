//! What the supervisor may ask for, judged from what it was told and asked before.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::spec::{AppSpec, BootFailure, Readiness};
use herder_core::supervisor::{Action, Event, Notice, Outcome, RecycleReason, Supervisor};
use herder_core::{Incarnation, Slot, Tick, WorkerId};

use super::restarts::{Blame, Restarts};
use super::violation::{Verdict, Violation, ensure};

/// How many workers an app may have above its size: one replacement at a time.
const SURGE: usize = 1;

/// The observer of the supervisor.
pub(crate) struct Audit {
    spec: AppSpec,
    size: u16,
    run: Run,
    /// Asked for, and the end not told.
    live: BTreeMap<WorkerId, Seen>,
    last_born: Incarnation,
    quarantined: BTreeSet<Slot>,
    restarts: Restarts,
    was_ever_ready: bool,
    /// How many were exhausted while they served.
    exhausted_in_all: u64,
    /// Who had its last job, until the supervisor has answered.
    exhausted: Option<WorkerId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Run {
    Idle,
    Running,
    Stopping,
    StoppingNow,
    Finished,
}

/// What happened to a live incarnation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    marks: u16,
    /// Since when the supervisor knows that the process exists.
    exists_since: Option<Tick>,
    pub(super) ready_at: Option<Tick>,
    /// When it was first told to leave, aborted or killed.
    pub(super) end_began: Option<Tick>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    Aborted,
    Admitted,
    BootTimedOut,
    DrainAsked,
    GraceExpired,
    Killed,
    Misbehaved,
    ReadyTold,
    /// It leaves as planned, or another has its slot: its end is nobody's failure.
    Superseded,
    WithdrawAsked,
    WithdrawnTold,
}

impl Seen {
    pub(super) fn has(self, mark: Mark) -> bool {
        self.marks & (1 << mark as u16) != 0
    }

    fn set(&mut self, mark: Mark) {
        self.marks |= 1 << mark as u16;
    }

    fn is_leaving(self) -> bool {
        self.end_began.is_some()
    }
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
            was_ever_ready: false,
            exhausted_in_all: 0,
            exhausted: None,
        }
    }

    pub(super) fn spawned(&self) -> u64 {
        self.last_born.0
    }

    pub(super) fn exhausted_in_all(&self) -> u64 {
        self.exhausted_in_all
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

    pub(super) fn is_quarantined(&self, slot: Slot) -> bool {
        self.quarantined.contains(&slot)
    }

    /// Whether the worker was asked to serve and not to leave.
    pub(super) fn is_admitted(&self, worker: WorkerId) -> bool {
        self.live
            .get(&worker)
            .is_some_and(|seen| seen.has(Mark::Admitted) && !seen.is_leaving())
    }

    /// Before the supervisor is told.
    pub(super) fn told(&mut self, event: &Event, now: Tick) {
        match *event {
            Event::Exited { worker, .. } | Event::SpawnFailed { worker, .. } => {
                self.ended(worker, now);
            }
            Event::Beat { worker }
            | Event::BootExtended { worker, .. }
            | Event::Memory { worker, .. }
            | Event::Misbehaved { worker }
            | Event::Retire { worker }
            | Event::Served { worker, .. }
            | Event::Spawned { worker } => self.exists(worker, now),
            Event::Ready { worker } => {
                self.exists(worker, now);
                self.mark(worker, Mark::ReadyTold);
            }
            Event::Exhausted { worker } => {
                self.exhausted = Some(worker).filter(|worker| self.is_admitted(*worker));
            }
            Event::Withdrawn { worker } => self.mark(worker, Mark::WithdrawnTold),
            Event::Reset => self.restarts.reset(),
            Event::Scale(count) => self.scaled(count.count()),
            Event::Start if self.run == Run::Idle => self.run = Run::Running,
            Event::Start | Event::Timer => {}
            Event::Stop => self.run = self.run.max(Run::Stopping),
            Event::StopNow => self.run = self.run.max(Run::StoppingNow),
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
                self.announced(notice, now);
                Ok(())
            }
            Action::Drain { worker, .. } => self.drained(worker, now),
            Action::Finish(outcome) => self.finished(outcome),
            Action::Hold { worker } => self.seen(worker, "a hold is for the living").map(|_| ()),
            Action::Kill { worker } => self.killed(worker, now),
            Action::Spawn { worker } => self.born(worker, now),
            Action::Withdraw { worker } => {
                let rule = "a withdrawal is for the living";
                let again = self.seen(worker, rule)?.has(Mark::WithdrawAsked);
                ensure(!again, "a worker is withdrawn once", || worker.to_string())?;
                self.begin_end(worker, Mark::WithdrawAsked, now, rule)
            }
        }
    }

    /// After everything the supervisor asked for.
    pub(super) fn settled(&mut self) -> Verdict {
        if let Some(worker) = self.exhausted.take() {
            self.exhausted_in_all += 1;
            let leaves = self.live.get(&worker).is_some_and(|seen| seen.is_leaving());
            ensure(leaves, "13: the exhausted leave", || worker.to_string())?;
            let rests = self.is_quarantined(worker.slot);
            ensure(!rests, "13: an exhausted worker is no failure", || {
                worker.to_string()
            })?;
        }
        if self.run != Run::Running {
            return Ok(());
        }
        let staying = |slot: Option<Slot>| {
            let wanted = |id: &WorkerId| id.slot.0 < self.size && slot.is_none_or(|s| s == id.slot);
            self.live
                .iter()
                .filter(|(id, seen)| wanted(id) && !seen.is_leaving())
                .count()
        };
        let all = staying(None);
        ensure(
            all <= usize::from(self.size) + SURGE,
            "1: no more workers than wanted",
            || format!("{all} for {} slots", self.size),
        )?;
        for slot in (0..self.size).map(Slot) {
            let here = staying(Some(slot));
            ensure(here <= 1 + SURGE, "1: one worker a slot", || {
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

    fn ended(&mut self, worker: WorkerId, now: Tick) {
        let Some(seen) = self.live.remove(&worker) else {
            return;
        };
        let wanted = self.is_running() && worker.slot.0 < self.size;
        let blame = match wanted && !seen.has(Mark::Superseded) {
            true => Blame::Worker,
            false => Blame::Nobody,
        };
        self.restarts.ended(worker.slot, seen, blame, now);
    }

    fn exists(&mut self, worker: WorkerId, now: Tick) {
        if let Some(seen) = self.live.get_mut(&worker) {
            seen.exists_since.get_or_insert(now);
        }
    }

    fn scaled(&mut self, size: u16) {
        if self.run > Run::Running {
            return;
        }
        for slot in (size.min(self.size)..size.max(self.size)).map(Slot) {
            self.quarantined.remove(&slot);
            self.restarts.expect_planned(slot);
            for (_, seen) in self.live.iter_mut().filter(|(id, _)| id.slot == slot) {
                seen.set(Mark::Superseded);
            }
        }
        self.size = size;
    }

    fn born(&mut self, worker: WorkerId, now: Tick) -> Verdict {
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
        self.live.insert(worker, Seen::default());
        self.quarantined.remove(&worker.slot);
        self.restarts.spawned(worker.slot, now)
    }

    fn admitted(&mut self, worker: WorkerId, now: Tick) -> Verdict {
        let guess = match self.spec.life.readiness {
            Readiness::Message => None,
            Readiness::MessageOrAlive(alive) => Some(alive),
        };
        let seen = *self.seen(worker, "3: an admission is for the living")?;
        let lived = guess
            .zip(seen.exists_since)
            .is_some_and(|(alive, t)| t.after(alive) <= now);
        ensure(
            seen.has(Mark::ReadyTold) || lived,
            "3: only the ready are admitted",
            || format!("{worker}: {seen:?}"),
        )?;
        ensure(
            !seen.is_leaving(),
            "3: nobody who leaves is admitted",
            || worker.to_string(),
        )?;
        self.mark(worker, Mark::Admitted);
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
            || seen.has(Mark::Misbehaved)
            || seen.has(Mark::Killed)
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
        let asked = match outcome {
            Outcome::BootFailed => {
                !self.was_ever_ready && self.spec.life.boot_failure == BootFailure::Exit
            }
            Outcome::Stopped => self.run >= Run::Stopping,
        };
        ensure(asked, "9: the finish has its reason", || {
            format!("{outcome:?}, {:?}", self.run)
        })?;
        self.run = Run::Finished;
        Ok(())
    }

    fn announced(&mut self, notice: &Notice, now: Tick) {
        match *notice {
            Notice::BootTimedOut { worker } => self.mark(worker, Mark::BootTimedOut),
            Notice::GraceExpired { worker } => self.mark(worker, Mark::GraceExpired),
            Notice::Misbehaved { worker } => self.mark(worker, Mark::Misbehaved),
            Notice::Quarantined { slot, retry_in, .. } => {
                self.quarantined.insert(slot);
                self.restarts.quarantined(slot, now.after(retry_in));
            }
            Notice::Ready { worker, .. } => {
                self.was_ever_ready = true;
                self.restarts.ready(worker.slot);
                for (id, seen) in &mut self.live {
                    if *id == worker {
                        seen.ready_at = Some(now);
                    } else if id.slot == worker.slot {
                        seen.set(Mark::Superseded);
                    }
                }
            }
            Notice::Recycling { worker, reason } => match reason {
                RecycleReason::Jobs => self.restarts.exhausted(worker.slot),
                RecycleReason::Lifetime | RecycleReason::Memory | RecycleReason::Requests => {
                    self.restarts.recycling(worker.slot);
                }
            },
            Notice::Released { slot } => self.restarts.expect_planned(slot),
            Notice::Retired { worker } => {
                self.mark(worker, Mark::Superseded);
                if let Some(seen) = self.live.get(&worker) {
                    self.restarts.retired(worker.slot, *seen, now);
                }
            }
            Notice::Stopping { worker, .. } => self.mark(worker, Mark::Superseded),
            Notice::Exited { .. }
            | Notice::ReplacementWaits { .. }
            | Notice::RestartDelayed { .. }
            | Notice::Restored { .. }
            | Notice::Scaled { .. }
            | Notice::SpawnFailed { .. }
            | Notice::Started { .. }
            | Notice::Suspected { .. } => {}
        }
    }

    fn begin_end(
        &mut self,
        worker: WorkerId,
        mark: Mark,
        now: Tick,
        rule: &'static str,
    ) -> Verdict {
        let seen = self.seen(worker, rule)?;
        seen.end_began.get_or_insert(now);
        seen.set(mark);
        Ok(())
    }

    fn mark(&mut self, worker: WorkerId, mark: Mark) {
        if let Some(seen) = self.live.get_mut(&worker) {
            seen.set(mark);
        }
    }

    fn seen(&mut self, worker: WorkerId, rule: &'static str) -> Result<&mut Seen, Violation> {
        let detail = || format!("{worker} is dead or was never born");
        self.live.get_mut(&worker).ok_or_else(|| Violation {
            rule,
            detail: detail(),
        })
    }
}
