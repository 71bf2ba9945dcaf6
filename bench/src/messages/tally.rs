//! What came of the messages.

use std::collections::BTreeMap;
use std::time::Duration;

/// The account of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How long each answered message took.
    latencies: Vec<Duration>,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, usize>,
    /// From the begin of the load to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// How many messages were answered.
    pub fn answers(&self) -> usize {
        self.latencies.len()
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        let count = u32::try_from(self.answers()).unwrap_or(u32::MAX);
        if self.elapsed.is_zero() {
            0.0
        } else {
            f64::from(count) / self.elapsed.as_secs_f64()
        }
    }

    /// The latencies that `shares` (per mille) of the answers do not exceed; zero without any answer.
    pub fn latencies<const N: usize>(&self, shares: [usize; N]) -> [Duration; N] {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        shares.map(|share| {
            let rank = (sorted.len() * share).div_ceil(1000);
            sorted
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        })
    }

    pub(super) fn answered(&mut self, latency: Duration) {
        self.latencies.push(latency);
    }

    pub(super) fn fail(&mut self, kind: &str, count: usize) {
        if count > 0 {
            *self.failures.entry(kind.to_owned()).or_default() += count;
        }
    }

    pub(super) fn merge(&mut self, other: Tally) {
        self.latencies.extend(other.latencies);
        for (kind, count) in other.failures {
            self.fail(&kind, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_added_up() {
        let mut all = Tally::default();
        for client in 0..2 {
            let mut one = Tally::default();
            for number in 1..=50 {
                one.answered(Duration::from_millis(client * 50 + number));
            }
            one.fail("lost", 2);
            one.fail("doubled", 0);
            all.merge(one);
        }
        all.elapsed = Duration::from_secs(2);
        assert_eq!((all.answers(), all.failures["lost"]), (100, 4));
        assert!(!all.failures.contains_key("doubled"));
        let [p50, p99] = all.latencies([500, 990]);
        assert_eq!((p50.as_millis(), p99.as_millis()), (50, 99));
        assert!((all.rate() - 50.0).abs() < 1e-9);
    }
}
