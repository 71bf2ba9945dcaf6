//! Medians, with the range they come from.

use serde::Serialize;
use std::fmt;

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
