//! What happened to a worker, and what should follow from it.

use std::time::Duration;

use herder_core::Tick;
use herder_core::proxy::{EjectionSpec, ErrorRatio};

/// All that happened since it was admitted, or withdrawn: nothing is counted while it goes on.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// When it became one like any other: at the beginning, or when it was let in again.
    since: Tick,
    /// How its requests ended since then: whether they failed.
    ends: Vec<(Tick, bool)>,
    /// When it was left out, and when it was let in again.
    spells: Vec<(Tick, Tick)>,
    pub(super) ejected_until: Option<Tick>,
}

impl History {
    pub(super) fn new(now: Tick) -> History {
        History {
            since: now,
            ends: Vec::new(),
            spells: Vec::new(),
            ejected_until: None,
        }
    }

    pub(super) fn note(&mut self, has_failed: bool, now: Tick) {
        if self.ejected_until.is_none() {
            self.ends.push((now, has_failed));
        }
    }

    /// Whether its last request should have it left out.
    pub(super) fn is_hopeless(&self, spec: &EjectionSpec) -> bool {
        let has_just_failed = self.ends.last().is_some_and(|end| end.1);
        has_just_failed
            && self.ejected_until.is_none()
            && (self.fails_in_a_row(spec) || spec.ratio.is_some_and(|it| self.fails_often(it)))
    }

    fn fails_in_a_row(&self, spec: &EjectionSpec) -> bool {
        let Some(most) = spec.consecutive else {
            return false;
        };
        let row = self.ends.iter().rev().take_while(|end| end.1).count();
        let has_never_served = row == self.ends.len();
        let is_on_trial = !self.spells.is_empty() && has_never_served;
        is_on_trial || row >= most.get() as usize
    }

    /// Counts from the beginning, interval by interval.
    fn fails_often(&self, ratio: ErrorRatio) -> bool {
        let (mut start, mut ended, mut failed) = (self.since, 0_u64, 0_u64);
        for (at, has_failed) in &self.ends {
            if at.since(start) >= ratio.interval {
                (start, ended, failed) = (*at, 0, 0);
            }
            ended += 1;
            failed += u64::from(*has_failed);
        }
        ended >= u64::from(ratio.at_least.get()) && failed * 100 >= ended * u64::from(ratio.percent)
    }

    /// Until when it should be left out, if that begins now.
    pub(super) fn sentence(&self, spec: &EjectionSpec, now: Tick) -> Tick {
        let mut times = 0_u128;
        let mut free_since: Option<Tick> = None;
        for (from, to) in &self.spells {
            times = forgive(times, free_since, *from, spec.base) + 1;
            free_since = Some(*to);
        }
        times = forgive(times, free_since, now, spec.base) + 1;
        let times = u32::try_from(times).expect("few");
        now.after((spec.base * times).min(spec.longest))
    }

    pub(super) fn eject(&mut self, until: Tick) {
        self.ejected_until = Some(until);
    }

    pub(super) fn restore(&mut self, ejected_at: Tick, now: Tick) {
        self.ejected_until = None;
        self.spells.push((ejected_at, now));
        self.since = now;
        self.ends.clear();
    }
}

fn forgive(times: u128, free_since: Option<Tick>, now: Tick, base: Duration) -> u128 {
    let free = free_since.map_or(Duration::ZERO, |since| now.since(since));
    times.saturating_sub(free.as_micros() / base.as_micros())
}
