use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Tick;
use crate::spec::RestartPolicy;

/// What is remembered of a slot's restarts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    /// How many workers in a row died before they were stable.
    pub(super) failures: u32,
    /// How often the slot came into quarantine.
    pub(super) quarantines: u32,
    pub(super) trust: Trust,
    /// When it was restarted, oldest first; never more than the policy could count.
    restarts: VecDeque<Tick>,
}

/// How much patience a slot gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Trust {
    #[default]
    Normal,
    /// Just out of quarantine: one start that fails sends it back.
    Probation,
}

impl History {
    /// Notes a restart. Without a limit nothing is kept.
    pub(super) fn record(&mut self, policy: &RestartPolicy, now: Tick) {
        let Some(limit) = policy.max_restarts else {
            return;
        };
        self.restarts.push_back(now);
        while self.restarts.len() > usize::try_from(limit.get()).unwrap_or(usize::MAX) {
            self.restarts.pop_front();
        }
        self.forget_old(policy, now);
    }

    /// Whether one more restart at `at` would be too many.
    pub(super) fn is_exhausted(&self, policy: &RestartPolicy, at: Tick) -> bool {
        policy
            .max_restarts
            .is_some_and(|limit| self.count(policy, at) >= limit.get())
    }

    /// How many restarts the window that ends at `at` holds, both ends included.
    pub(super) fn count(&self, policy: &RestartPolicy, at: Tick) -> u32 {
        let recent = self
            .restarts
            .iter()
            .filter(|t| at.since(**t) <= policy.window)
            .count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    fn forget_old(&mut self, policy: &RestartPolicy, now: Tick) {
        while self
            .restarts
            .front()
            .is_some_and(|t| now.since(*t) > policy.window)
        {
            self.restarts.pop_front();
        }
    }
}

/// The delay after the `failures`-th failure in a row, before jitter.
pub(super) fn back_off(policy: &RestartPolicy, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    policy
        .first_delay
        .saturating_mul(1 << doublings)
        .min(policy.max_delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn r03_the_delay_doubles_up_to_its_limit() {
        let policy = RestartPolicy::default();
        let millis = |n| back_off(&policy, n).as_millis();
        assert_eq!(
            [1, 2, 3, 9, 10].map(millis),
            [100, 200, 400, 25_600, 30_000]
        );
        assert_eq!(millis(u32::MAX), 30_000);
    }

    #[test]
    fn r04_the_window_includes_both_its_ends() {
        let policy = RestartPolicy::default();
        let mut history = History::default();
        for second in 0..5 {
            history.record(&policy, at(second));
        }
        assert!(history.is_exhausted(&policy, at(4)));
        assert!(
            history.is_exhausted(&policy, at(60)),
            "the first one is 60 s old and counts"
        );
        assert!(
            !history.is_exhausted(&policy, at(61)),
            "the first one is 61 s old"
        );
    }

    #[test]
    fn r04_without_a_limit_nothing_is_kept() {
        let policy = RestartPolicy {
            max_restarts: None,
            ..RestartPolicy::default()
        };
        let mut history = History::default();
        for _ in 0..1_000 {
            history.record(&policy, at(0));
        }
        assert_eq!(history, History::default());
        assert!(!history.is_exhausted(&policy, at(0)));
    }
}
