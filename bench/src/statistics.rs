//! Medians, with the range they come from, and histograms.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The middle of some values and their extremes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Median {
    /// The middle value (of an even number, the mean of the two in the middle).
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Median {
    /// Of `values`; all zero when there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Median {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return Median::default();
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Median {
            median,
            min: *min,
            max: *max,
        }
    }

    /// Of the ratios `a ÷ b`, pair by pair; pairs without a divisor do not count.
    pub fn of_ratios(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> Median {
        let pairs = a.into_iter().zip(b).filter(|(_, divisor)| *divisor > 0.0);
        Median::of(pairs.map(|(value, divisor)| value / divisor))
    }
}

impl fmt::Display for Median {
    /// `median (min..max)` with as many decimals as the precision says, two unless said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(
            f,
            "{:.digits$} ({:.digits$}..{:.digits$})",
            self.median, self.min, self.max
        )
    }
}

/// How many of a bucket's powers of two are told apart: a bound is at most this part above what was counted.
const FINENESS: u32 = 4;

/// Counts of latencies, in buckets whose width grows with the latency: at most 1/16 of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Histogram {
    /// By the upper bound of the bucket, in microseconds.
    counts: BTreeMap<u64, u64>,
}

impl Histogram {
    /// Of these latencies.
    pub fn of(latencies: impl IntoIterator<Item = Duration>) -> Histogram {
        let mut histogram = Histogram::default();
        for latency in latencies {
            *histogram.counts.entry(bound(latency)).or_default() += 1;
        }
        histogram
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Histogram) {
        for (bound, count) in &other.counts {
            *self.counts.entry(*bound).or_default() += count;
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// What `per_mille` of those counted do not exceed, in microseconds, to the bucket; zero of nothing.
    pub fn percentile(&self, per_mille: u64) -> u64 {
        let rank = (self.count() * per_mille).div_ceil(1000);
        let mut counted = 0;
        for (bound, count) in &self.counts {
            counted += count;
            if counted >= rank {
                return *bound;
            }
        }
        0
    }
}

/// The upper bound of the bucket of a latency, in microseconds.
fn bound(latency: Duration) -> u64 {
    let micros = u64::try_from(latency.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
    let digits = u64::BITS - micros.leading_zeros();
    let shift = digits.saturating_sub(FINENESS + 1);
    // The last of the numbers that begin with the same digits.
    micros | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(
            Median::of([3.0, 1.0, 2.0]),
            Median {
                median: 2.0,
                min: 1.0,
                max: 3.0
            }
        );
        assert_eq!(
            Median::of([4.0, 1.0, 2.0, 3.0]),
            Median {
                median: 2.5,
                min: 1.0,
                max: 4.0
            }
        );
        assert_eq!(Median::of([]), Median::default());
    }

    #[test]
    fn a_histogram_is_right_to_a_sixteenth() {
        for micros in [1_u64, 15, 16, 31, 32, 33, 100, 1000, 12_345, 9_999_999] {
            let upper = bound(Duration::from_micros(micros));
            assert!(
                upper >= micros && upper - micros <= micros / 16,
                "{micros}: {upper}"
            );
        }
        assert_eq!(bound(Duration::from_nanos(1001)), 2);
        assert_eq!(bound(Duration::ZERO), 0);
    }

    #[test]
    fn histograms_are_added_and_have_percentiles() {
        let mut all = Histogram::of((1..=500).map(Duration::from_millis));
        all.add(&Histogram::of((501..=1000).map(Duration::from_millis)));
        assert_eq!(all.count(), 1000);
        for (per_mille, exact) in [(500, 500_000), (990, 990_000), (1000, 1_000_000)] {
            let found = all.percentile(per_mille);
            assert!(
                found >= exact && found - exact <= exact / 16,
                "{per_mille}: {found}"
            );
        }
        assert_eq!(Histogram::default().percentile(990), 0);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let ratios = Median::of_ratios([2.0, 9.0, 5.0], [1.0, 3.0, 0.0]);
        assert_eq!(
            ratios,
            Median {
                median: 2.5,
                min: 2.0,
                max: 3.0
            }
        );
        assert_eq!(format!("{ratios:.1}"), "2.5 (2.0..3.0)");
    }
}
