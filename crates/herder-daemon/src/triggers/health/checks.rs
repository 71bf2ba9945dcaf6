//! Whether an app is healthy, and what is done when it is not. Pure: the time is an argument, in
//! milliseconds.

use std::collections::VecDeque;

use herder_api::app::{App, Health};

/// Workers are not replaced more often than this, whatever the app says.
const LEAST_GAP: u64 = 30_000;

/// By how much that grows at most when replacing does not help.
const MOST: u64 = 16;

/// How long a worker may take to become ready, where the app does not say.
const BOOT: u64 = 60_000;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::triggers) enum Act {
    /// Ask the app; the answer is wanted by [`Checks::answered`].
    Probe,
    /// End the worker of a slot as hung.
    Fail {
        /// Which.
        slot: u16,
        /// For the log.
        reason: String,
    },
    /// It is unhealthy, and what follows.
    Unhealthy(String),
    /// It passes again.
    Healthy(String),
}

/// A slot, and the worker that serves in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::triggers) struct Serving {
    pub(in crate::triggers) slot: u16,
    /// Its life.
    pub(in crate::triggers) id: Option<u64>,
}

/// How an app stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::triggers) struct Herd<'a> {
    pub(in crate::triggers) slots: &'a [Serving],
    /// Whether a reload or the like goes on.
    pub(in crate::triggers) busy: bool,
    /// Whether somebody may be replaced now.
    pub(in crate::triggers) turn: Turn,
}

/// Whose turn it is to be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::triggers) enum Turn {
    Ours,
    /// One that is checked by itself is being replaced: the others wait for that.
    Anothers,
}

/// Who is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whom {
    /// The app, by whichever of its workers answers.
    App,
    /// The worker of this slot.
    Slot(u16),
}

/// The checks of one app, or of one of its slots, from when it came online.
#[derive(Debug)]
pub(in crate::triggers) struct Checks {
    whom: Whom,
    interval: u64,
    failures: u32,
    start_period: u64,
    boot: u64,
    /// From when on failures count at the latest.
    counts_from: u64,
    /// Whether it passed since its workers were started.
    proven: bool,
    /// Failures in a row, and why the last one.
    row: u32,
    why: String,
    healthy: Option<bool>,
    /// When the next check is; whether one is under way.
    next: u64,
    asks: bool,
    /// Whether the one that is under way was begun before what serves now.
    is_outdated: bool,
    cure: Option<Cure>,
    /// Whether something else went on with the herd when somebody looked last.
    busy: bool,
    /// Whose turn it was then.
    turn: Turn,
    /// When the next cure may begin, and how long after it the one after that.
    cure_from: u64,
    gap: u64,
    cures: u32,
}

/// Its workers are replaced, slot by slot.
#[derive(Debug)]
struct Cure {
    /// Those that were there.
    left: VecDeque<(u16, u64)>,
    /// The slot whose next worker is waited for, the worker before, and until when.
    awaited: Option<(u16, u64, u64)>,
}

fn millis(time: herder_api::units::Period) -> u64 {
    u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX)
}

impl Checks {
    /// The app came online just now.
    pub(in crate::triggers) fn new(health: &Health, app: &App, now: u64) -> Checks {
        Checks::of(Whom::App, health, app, now)
    }

    /// As [`Checks::new`].
    pub(super) fn of(whom: Whom, health: &Health, app: &App, now: u64) -> Checks {
        let start_period = millis(health.start_period);
        Checks {
            whom,
            interval: millis(health.interval).max(1),
            failures: health.failures.max(1),
            start_period,
            boot: app.boot_timeout.map_or(BOOT, millis),
            counts_from: now.saturating_add(start_period),
            proven: false,
            row: 0,
            why: String::new(),
            healthy: None,
            next: now,
            asks: false,
            is_outdated: false,
            cure: None,
            busy: false,
            turn: Turn::Ours,
            cure_from: 0,
            gap: start_period.max(LEAST_GAP),
            cures: 0,
        }
    }

    /// Whether it is; None = not known yet.
    pub(in crate::triggers) fn healthy(&self) -> Option<bool> {
        self.healthy
    }

    /// What is to be done now.
    pub(in crate::triggers) fn poll(&mut self, herd: Herd<'_>, now: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.busy && !herd.busy && self.cure.is_none() {
            self.begin_anew(now);
        }
        (self.busy, self.turn) = (herd.busy, herd.turn);
        let may_cure = !herd.busy && herd.turn == Turn::Ours && now >= self.cure_from;
        if self.cure.is_none() && self.is_to_be_cured() && may_cure {
            self.begin_cure(herd, &mut acts, now);
        }
        if self.cure.is_some() {
            self.go_on_curing(herd, &mut acts, now);
        }
        if self.cure.is_none() && !self.asks && now >= self.next {
            self.asks = true;
            self.next = now.saturating_add(self.interval);
            acts.push(Act::Probe);
        }
        acts
    }

    /// What became of a check.
    pub(in crate::triggers) fn answered(
        &mut self,
        result: Result<(), String>,
        herd: Herd<'_>,
        now: u64,
    ) -> Vec<Act> {
        self.asks = false;
        let is_outdated = std::mem::take(&mut self.is_outdated);
        if self.cure.is_some() || is_outdated {
            // It was asked before, and says nothing of those that are there now.
            return Vec::new();
        }
        match result {
            Ok(()) => self.passed(),
            Err(why) => self.failed(why, herd, now),
        }
    }

    fn passed(&mut self) -> Vec<Act> {
        let was = self.healthy.replace(true);
        self.proven = true;
        self.row = 0;
        self.cures = 0;
        self.gap = self.start_period.max(LEAST_GAP);
        if was == Some(false) {
            return vec![Act::Healthy(match self.whom {
                Whom::App => "its health check passes again".to_owned(),
                Whom::Slot(slot) => format!("the health check of worker {slot} passes again"),
            })];
        }
        Vec::new()
    }

    fn failed(&mut self, why: String, herd: Herd<'_>, now: u64) -> Vec<Act> {
        self.why = why;
        if !self.proven && now < self.counts_from {
            return Vec::new();
        }
        self.row = self.row.saturating_add(1);
        if self.row < self.failures || self.healthy == Some(false) {
            return Vec::new();
        }
        self.healthy = Some(false);
        let left = self.cure_from.saturating_sub(now).div_ceil(1000);
        let what = match self.whom {
            Whom::App if left > 0 => {
                format!("its workers were replaced just before, and are again in {left} s")
            }
            Whom::Slot(_) if left > 0 => {
                format!("it was replaced just before, and is again in {left} s")
            }
            Whom::App | Whom::Slot(_) if herd.busy => {
                "it is just being changed, and is looked at again after that".to_owned()
            }
            Whom::App | Whom::Slot(_) => self.replaced().to_owned(),
        };
        vec![Act::Unhealthy(format!("{}: {what}", self.failure()))]
    }

    fn replaced(&self) -> &'static str {
        match self.whom {
            Whom::App => "its workers are replaced",
            Whom::Slot(_) => "it is replaced",
        }
    }

    fn failure(&self) -> String {
        let why = &self.why;
        let check = match self.whom {
            Whom::App => "its health check".to_owned(),
            Whom::Slot(slot) => format!("the health check of worker {slot}"),
        };
        match self.row {
            1 => format!("{check} failed ({why})"),
            row => format!("{check} failed {row} times in a row ({why})"),
        }
    }

    /// Whether somebody is being replaced.
    pub(super) fn is_curing(&self) -> bool {
        self.cure.is_some()
    }

    fn is_to_be_cured(&self) -> bool {
        self.healthy == Some(false) && self.row >= self.failures
    }

    fn begin_cure(&mut self, herd: Herd<'_>, acts: &mut Vec<Act>, now: u64) {
        if self.cures > 0 {
            let text = format!("{}: {} once more", self.failure(), self.replaced());
            acts.push(Act::Unhealthy(text));
        }
        self.cures = self.cures.saturating_add(1);
        self.cure_from = now.saturating_add(self.gap);
        let most = self.start_period.max(LEAST_GAP).saturating_mul(MOST);
        self.gap = self.gap.saturating_mul(2).min(most);
        let slots = herd.slots.iter();
        let left = slots.filter_map(|slot| Some((slot.slot, slot.id?)));
        self.cure = Some(Cure {
            left: left.collect(),
            awaited: None,
        });
    }

    fn go_on_curing(&mut self, herd: Herd<'_>, acts: &mut Vec<Act>, now: u64) {
        let reason = format!("unhealthy: {}", self.why);
        let Some(cure) = &mut self.cure else {
            return;
        };
        let serving = |slot: u16| {
            let slot = herd.slots.iter().find(|it| it.slot == slot);
            slot.and_then(|slot| slot.id)
        };
        if let Some((slot, before, until)) = cure.awaited {
            let is_new = serving(slot).is_some_and(|id| id != before);
            if !is_new && now < until {
                return;
            }
            cure.awaited = None;
        }
        while let Some((slot, id)) = cure.left.pop_front() {
            // Who has gone meanwhile is cured.
            if serving(slot) == Some(id) {
                cure.awaited = Some((slot, id, now.saturating_add(self.boot)));
                acts.push(Act::Fail { slot, reason });
                return;
            }
        }
        self.cure = None;
        self.begin_anew(now);
    }

    /// Others serve now, of whom nothing is known: they have their time to begin, and what was found of
    /// those before them ends none of them.
    pub(super) fn begin_anew(&mut self, now: u64) {
        self.proven = false;
        self.row = 0;
        self.counts_from = now.saturating_add(self.start_period);
        self.next = now;
        self.is_outdated = self.asks;
    }

    /// When [`Checks::poll`] is wanted next, if the herd says nothing until then.
    pub(in crate::triggers) fn timeout(&self) -> Option<u64> {
        if let Some(cure) = &self.cure {
            return cure.awaited.map(|(_, _, until)| until);
        }
        let ask = (!self.asks).then_some(self.next);
        // A herd that is busy says when it is not any more, and so does whose turn it is.
        let is_wanted = self.is_to_be_cured() && !self.busy && self.turn == Turn::Ours;
        let cure = is_wanted.then_some(self.cure_from);
        ask.into_iter().chain(cure).min()
    }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
