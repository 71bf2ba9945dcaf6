//! When to try the next connection.

use std::time::Duration;

/// Delays between connections: at once after a connection that served for a while, else doubling
/// from `first` to `last`.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    last: Duration,
    /// The delay of the next failure, before its jitter.
    next: Duration,
}

impl Backoff {
    /// A connection that lived this long says that the library works: the doubling starts again.
    /// Shorter lives are the library dying at its first calls, over and over.
    const SERVED: Duration = Duration::from_secs(1);

    pub(super) fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            next: Duration::ZERO,
        }
    }

    /// The delay before the next try; `random` spreads it over the upper half of the step, so
    /// that the workers of a herd do not come back in one instant.
    pub(super) fn delay(&mut self, random: u64) -> Duration {
        let step = self.next;
        self.next = (step * 2).clamp(self.first, self.last);
        let half = step / 2;
        let span = u64::try_from(half.as_micros())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        half + Duration::from_micros(random % span)
    }

    /// A connection was there for `lived` and is gone.
    pub(super) fn ended(&mut self, lived: Duration) {
        if lived >= Self::SERVED {
            self.next = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn steps(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count)
            .map(|_| backoff.delay(u64::MAX - 1).as_micros())
            .collect()
    }

    #[test]
    fn the_first_try_is_at_once_then_delays_double_to_the_last() {
        let mut backoff = Backoff::new(5 * MS, 500 * MS);
        let seen = steps(&mut backoff, 12);
        assert_eq!(seen[0], 0);
        for (at, micros) in seen.iter().enumerate().skip(1) {
            let step = (5_000 << (at - 1)).min(500_000);
            assert!(
                (step / 2..=step).contains(micros),
                "delay {at} is {micros} µs"
            );
        }
    }

    #[test]
    fn a_connection_that_served_starts_the_doubling_again_and_a_short_one_does_not() {
        let mut backoff = Backoff::new(5 * MS, 500 * MS);
        steps(&mut backoff, 8);
        backoff.ended(999 * MS);
        assert!(backoff.delay(0) >= 200 * MS);
        backoff.ended(Duration::from_secs(1));
        assert_eq!(backoff.delay(7), Duration::ZERO);
    }

    #[test]
    fn jitter_spreads_over_the_upper_half() {
        let delay_with = |random| {
            let mut backoff = Backoff::new(100 * MS, 100 * MS);
            backoff.delay(0);
            backoff.delay(random)
        };
        assert_eq!(delay_with(0), 50 * MS);
        assert_eq!(delay_with(50_000), 100 * MS);
        assert_eq!(delay_with(25_000), 75 * MS);
    }
}
