//! When a slot may be started again, computed a second time and simply: the n-th failure in a row
//! delays the next start by `first_delay` · 2ⁿ⁻¹, at most `max_delay`, less 10 % of jitter; and no
//! `window` holds more than `max_restarts` restarts.
//!
//! Where the rules leave room (recycling, quarantine) this is the more lenient of the two.

use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::spec::{DelayGrowth, RestartPolicy};
use herder_core::{Generation, Slot, Tick};

use super::seen::Seen;
use super::violation::{Verdict, ensure};

/// A slot, and the generation of its worker.
pub(super) type Place = (Slot, Generation);

pub(crate) struct Restarts {
    policy: RestartPolicy,
    /// A generation is not blamed for what another did.
    slots: BTreeMap<Place, Record>,
}

#[derive(Debug)]
struct Record {
    streak: u32,
    /// The streak before the last failure.
    earlier_streak: u32,
    not_before: Tick,
    restarts: Vec<Tick>,
    next: Next,
}

/// Whose failure an end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Blame {
    /// It was told to leave, or its slot is not wanted.
    Nobody,
    Worker,
}

/// What the next start of a slot is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// The first one, one after a quarantine, after a change of size, or after an exhausted worker.
    Planned,
    /// The replacement of a worker that serves on, until one is ready.
    Recycling,
    Restart,
}

impl Restarts {
    pub(super) fn new(policy: &RestartPolicy) -> Restarts {
        Restarts {
            policy: policy.clone(),
            slots: BTreeMap::new(),
        }
    }

    pub(super) fn respec(&mut self, policy: &RestartPolicy) {
        self.policy = policy.clone();
    }

    pub(super) fn reset(&mut self) {
        for record in self.slots.values_mut() {
            *record = Record {
                next: record.next,
                ..Record::new()
            };
        }
    }

    pub(super) fn expect_planned(&mut self, at: Place) {
        self.record(at).next = Next::Planned;
    }

    /// What this generation did here is forgotten.
    pub(super) fn forget(&mut self, at: Place) {
        self.slots.remove(&at);
    }

    pub(super) fn recycling(&mut self, at: Place) {
        self.record(at).next = Next::Recycling;
    }

    /// Its worker did what it was there for: what follows is no restart, unless it fails.
    pub(super) fn exhausted(&mut self, at: Place) {
        let record = self.record(at);
        record.streak = 0;
        if record.next != Next::Recycling {
            record.next = Next::Planned;
        }
    }

    pub(super) fn quarantined(&mut self, at: Place, until: Tick) {
        let record = self.record(at);
        record.streak = record.streak.min(record.earlier_streak);
        record.not_before = until;
    }

    pub(super) fn ready(&mut self, at: Place) {
        let record = self.record(at);
        if record.next == Next::Recycling {
            record.next = Next::Restart;
        }
    }

    pub(super) fn retired(&mut self, at: Place, seen: Seen, now: Tick) {
        let stable = self.policy.stable;
        if seen
            .ready_at
            .is_some_and(|ready| now.since(ready) >= stable)
        {
            self.record(at).streak = 0;
        }
    }

    /// A worker came to its end.
    pub(super) fn ended(&mut self, at: Place, seen: Seen, blame: Blame, now: Tick) {
        let policy = self.policy.clone();
        let record = self.record(at);
        let end = seen.end_began.unwrap_or(now);
        if seen
            .ready_at
            .is_some_and(|ready| end.since(ready) >= policy.stable)
        {
            record.streak = 0;
            return;
        }
        if blame == Blame::Nobody || record.next == Next::Recycling {
            return;
        }
        record.earlier_streak = record.streak;
        record.streak += 1;
        record.not_before = now.after(shortest_delay(&policy, record.streak));
    }

    pub(super) fn spawned(&mut self, at: Place, now: Tick) -> Verdict {
        let policy = self.policy.clone();
        let record = self.slots.entry(at).or_insert_with(Record::new);
        if record.next == Next::Recycling {
            return Ok(());
        }
        let planned = std::mem::replace(&mut record.next, Next::Restart) == Next::Planned;
        if planned {
            record.not_before = Tick::ZERO;
            return Ok(());
        }
        ensure(
            now >= record.not_before,
            "7: a restart waits for its back-off",
            || format!("{at:?} at {now:?}: {record:?}"),
        )?;
        record.restarts.push(now);
        record.restarts.retain(|t| now.since(*t) <= policy.window);
        let most = policy
            .max_restarts
            .map_or(u64::MAX, |most| u64::from(most.get()));
        ensure(
            record.restarts.len() as u64 <= most,
            "7: a slot is not restarted too often",
            || format!("{at:?} at {now:?}: {record:?}"),
        )
    }

    fn record(&mut self, at: Place) -> &mut Record {
        self.slots.entry(at).or_insert_with(Record::new)
    }
}

impl Record {
    fn new() -> Record {
        Record {
            streak: 0,
            earlier_streak: 0,
            not_before: Tick::ZERO,
            restarts: Vec::new(),
            next: Next::Planned,
        }
    }
}

fn shortest_delay(policy: &RestartPolicy, streak: u32) -> Duration {
    if policy.growth == DelayGrowth::Fixed {
        return policy.first_delay;
    }
    let mut delay = policy.first_delay;
    for _ in 1..streak {
        delay = (delay * 2).min(policy.max_delay);
    }
    delay.min(policy.max_delay).mul_f64(0.899)
}
