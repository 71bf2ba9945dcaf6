use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// What keeps workers from doing everything at the same time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Jitter {
    random: Random,
}

impl Jitter {
    pub(super) fn new(seed: u64) -> Jitter {
        Jitter {
            random: Random::new(seed),
        }
    }

    /// `delay` ± 10 %.
    pub(super) fn spread(&mut self, delay: Duration) -> Duration {
        let per_mille = 900 + self.random.below(201);
        let micros = scale(micros(delay), per_mille);
        Duration::from_micros(micros)
    }

    /// `limit` less 0 to 10 %; a limit of at least 1 stays at least 1.
    pub(super) fn shorten(&mut self, limit: u64) -> u64 {
        limit - scale(limit, self.random.below(101))
    }

    /// `limit` less 0 to 10 %.
    pub(super) fn shorten_time(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(self.shorten(micros(limit)))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// `value` · `per_mille` / 1000, rounded down; saturates.
fn scale(value: u64, per_mille: u64) -> u64 {
    let exact = u128::from(value) * u128::from(per_mille) / 1000;
    u64::try_from(exact).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r03_a_delay_is_spread_by_a_tenth_and_reaches_both_ends() {
        let mut jitter = Jitter::new(1);
        let delays: Vec<u128> = (0..5_000)
            .map(|_| jitter.spread(Duration::from_secs(1)).as_millis())
            .collect();
        assert_eq!(delays.iter().min(), Some(&900));
        assert_eq!(delays.iter().max(), Some(&1_100));
    }

    #[test]
    fn a_limit_is_shortened_by_at_most_a_tenth_and_never_to_nothing() {
        let mut jitter = Jitter::new(2);
        for limit in [1, 2, 9, 10, 1_000, u64::MAX] {
            for _ in 0..1_000 {
                let shorter = jitter.shorten(limit);
                assert!(shorter >= 1 && shorter <= limit && shorter >= limit / 10 * 9);
            }
        }
    }

    #[test]
    fn the_longest_time_does_not_overflow() {
        let mut jitter = Jitter::new(3);
        assert!(jitter.spread(Duration::MAX) > Duration::from_secs(1));
        assert!(jitter.shorten_time(Duration::MAX) > Duration::from_secs(1));
    }
}
