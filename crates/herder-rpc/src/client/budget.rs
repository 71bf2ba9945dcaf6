//! How many calls may be repeated, so that retries never double a library's load.

use std::time::{Duration, Instant};

/// A tenth of the calls may be repeated; on top of it one a second, so that a caller with few
/// calls has its retry too.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// In tenths of a retry.
    tenths: u32,
    refilled: Instant,
}

impl RetryBudget {
    /// What can be saved up by calls, in tenths: 100 retries.
    const CEILING: u32 = 1_000;
    /// What time alone refills to, in tenths: 10 retries.
    const RESERVE: u32 = 100;
    const A_RETRY: u32 = 10;
    const REFILL_EVERY: Duration = Duration::from_secs(1);

    pub(super) fn new(now: Instant) -> Self {
        Self {
            tenths: Self::RESERVE,
            refilled: now,
        }
    }

    /// A call was made: a tenth of a retry is earned.
    pub(super) fn earn(&mut self) {
        self.tenths = (self.tenths + 1).min(Self::CEILING);
    }

    /// Whether one more retry is within the budget; it is spent when it is.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        self.refill(now);
        let enough = self.tenths >= Self::A_RETRY;
        if enough {
            self.tenths -= Self::A_RETRY;
        }
        enough
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs();
        if seconds == 0 {
            return;
        }
        self.refilled += Self::REFILL_EVERY * u32::try_from(seconds).unwrap_or(u32::MAX);
        if self.tenths < Self::RESERVE {
            let earned = u32::try_from(seconds)
                .unwrap_or(u32::MAX)
                .saturating_mul(Self::A_RETRY);
            self.tenths = self.tenths.saturating_add(earned).min(Self::RESERVE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &mut RetryBudget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.spend(now)).count()
    }

    #[test]
    fn a_tenth_of_the_calls_may_be_repeated() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        assert_eq!(spent(&mut budget, now), 10);
        (0..500).for_each(|_| budget.earn());
        assert_eq!(spent(&mut budget, now), 50);
    }

    #[test]
    fn what_is_saved_up_has_a_ceiling() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!(spent(&mut budget, now), 100);
    }

    #[test]
    fn time_refills_one_a_second_up_to_the_reserve() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        assert_eq!(spent(&mut budget, now), 10);
        assert_eq!(spent(&mut budget, now + Duration::from_millis(2_900)), 2);
        assert_eq!(spent(&mut budget, now + Duration::from_millis(3_000)), 1);
        assert_eq!(spent(&mut budget, now + Duration::from_secs(3_600)), 10);
        assert_eq!(
            spent(&mut budget, now),
            0,
            "a clock that steps back refills nothing"
        );
    }
}
