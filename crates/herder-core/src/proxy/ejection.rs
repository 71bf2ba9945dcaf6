//! Passive health: what a worker's requests say about it.

use std::time::Duration;

use super::message::{Failure, Outcome};
use super::spec::{EjectionSpec, ErrorRatio, ServerErrors};
use crate::Tick;

/// What is known of a worker's health.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Health {
    ejected_until: Option<Tick>,
    /// Failures in a row.
    failures: u32,
    /// Since when requests are counted, how many came to an end, and how many of them failed.
    counted_since: Tick,
    ended: u32,
    failed: u32,
    /// How often it was left out, as far as that is not forgotten.
    times: u32,
    restored_at: Tick,
}

impl Health {
    pub(super) fn new(now: Tick) -> Health {
        Health {
            ejected_until: None,
            failures: 0,
            counted_since: now,
            ended: 0,
            failed: 0,
            times: 0,
            restored_at: now,
        }
    }

    pub(super) fn ejected_until(&self) -> Option<Tick> {
        self.ejected_until
    }

    /// Takes an outcome in; whether the worker deserves to be left out.
    pub(super) fn note(&mut self, outcome: Outcome, spec: &EjectionSpec, now: Tick) -> bool {
        let has_failed = match outcome {
            Outcome::Inconclusive => return false,
            Outcome::Served => false,
            Outcome::Failed(Failure::ServerError) => spec.server_errors == ServerErrors::Counted,
            Outcome::Failed(Failure::Broken | Failure::Refused | Failure::TimedOut) => true,
        };
        if self.ejected_until.is_some() {
            // These began before it was left out.
            return false;
        }
        self.count(has_failed, spec.ratio, now);
        if !has_failed {
            self.failures = 0;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let in_a_row = spec
            .consecutive
            .is_some_and(|most| self.failures >= most.get());
        in_a_row || spec.ratio.is_some_and(|ratio| self.exceeds(ratio))
    }

    /// Leaves it out; until when.
    pub(super) fn eject(&mut self, spec: &EjectionSpec, now: Tick) -> Tick {
        let good = now.since(self.restored_at).as_micros() / spec.base.as_micros().max(1);
        let forgotten = u32::try_from(good).unwrap_or(u32::MAX);
        self.times = self.times.saturating_sub(forgotten).saturating_add(1);
        let until = now.after(span(spec, self.times));
        self.ejected_until = Some(until);
        until
    }

    /// Lets it take part again: the next failure is enough to leave it out once more, the next
    /// success makes it one like any other.
    pub(super) fn restore(&mut self, spec: &EjectionSpec, now: Tick) {
        self.ejected_until = None;
        self.restored_at = now;
        self.failures = spec.consecutive.map_or(0, |most| most.get() - 1);
        self.count_anew(now);
    }

    fn count(&mut self, has_failed: bool, ratio: Option<ErrorRatio>, now: Tick) {
        if ratio.is_some_and(|ratio| now.since(self.counted_since) >= ratio.interval) {
            self.count_anew(now);
        }
        self.ended = self.ended.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(has_failed));
    }

    fn count_anew(&mut self, now: Tick) {
        self.counted_since = now;
        self.ended = 0;
        self.failed = 0;
    }

    fn exceeds(&self, ratio: ErrorRatio) -> bool {
        let failed = u64::from(self.failed) * 100;
        self.ended >= ratio.at_least.get()
            && failed >= u64::from(self.ended) * u64::from(ratio.percent)
    }
}

fn span(spec: &EjectionSpec, times: u32) -> Duration {
    spec.base.saturating_mul(times).min(spec.longest)
}
