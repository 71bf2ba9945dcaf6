//! All measurements, interleaved.

use crate::measure::{Pressure, Sample, measure};
use crate::statistics::Median;
use crate::variant::Variant;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The samples of all variants under one pressure, in the order of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Contest {
    /// How hard the clients pressed.
    pub pressure: Pressure,
    /// Round by round, so that equal places are what was measured side by side.
    pub samples: BTreeMap<Variant, Vec<Sample>>,
}

impl Contest {
    /// Measures each of `variants` once a round, each round beginning with another one, `time` each time.
    pub fn hold(
        variants: &[Variant],
        pressure: Pressure,
        rounds: usize,
        time: Duration,
    ) -> Contest {
        let variants: Vec<Variant> = variants
            .iter()
            .copied()
            .filter(|variant| pressure.suits(*variant))
            .collect();
        let mut samples: BTreeMap<Variant, Vec<Sample>> = BTreeMap::new();
        for round in 0..rounds {
            for place in 0..variants.len() {
                let variant = variants[(place + round) % variants.len()];
                samples
                    .entry(variant)
                    .or_default()
                    .push(measure(variant, pressure, time));
            }
        }
        Contest { pressure, samples }
    }

    /// The variants that were measured, in the order of the table.
    pub fn variants(&self) -> impl Iterator<Item = Variant> {
        Variant::ALL
            .into_iter()
            .filter(|variant| self.has(*variant))
    }

    /// Whether it was measured.
    pub fn has(&self, variant: Variant) -> bool {
        self.samples.contains_key(&variant)
    }

    /// The median of one figure of one variant.
    pub fn median(&self, variant: Variant, figure: fn(&Sample) -> f64) -> Median {
        Median::of(self.figures(variant, figure))
    }

    /// The median of the ratios, round by round, of one figure of `variant` to that of `base`.
    pub fn ratio(&self, variant: Variant, base: Variant, figure: fn(&Sample) -> f64) -> Median {
        Median::of_ratios(self.figures(variant, figure), self.figures(base, figure))
    }

    /// How many requests of a variant failed in all rounds, by kind.
    pub fn failures(&self, variant: Variant) -> BTreeMap<String, usize> {
        let mut sum = BTreeMap::new();
        for sample in self.samples.get(&variant).into_iter().flatten() {
            for (kind, count) in &sample.failures {
                *sum.entry(kind.clone()).or_default() += count;
            }
        }
        sum
    }

    /// Whether every request of every variant had its whole answer.
    pub fn is_clean(&self) -> bool {
        self.variants()
            .all(|variant| self.failures(variant).is_empty())
    }

    fn figures(&self, variant: Variant, figure: fn(&Sample) -> f64) -> Vec<f64> {
        self.samples
            .get(&variant)
            .into_iter()
            .flatten()
            .map(figure)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_pair_the_samples_of_a_round() {
        let sample = |master| Sample {
            master,
            ..Sample::default()
        };
        let failed = Sample {
            failures: BTreeMap::from([("reset".to_owned(), 2)]),
            ..sample(3.0)
        };
        let contest = Contest {
            pressure: Pressure::Light,
            samples: BTreeMap::from([
                (Variant::BareShared, vec![sample(1.0), sample(2.0)]),
                (Variant::BarePass, vec![sample(3.0), failed]),
            ]),
        };
        let ratio = contest.ratio(Variant::BarePass, Variant::BareShared, |sample| {
            sample.master
        });
        assert_eq!(
            ratio,
            Median {
                median: 2.25,
                min: 1.5,
                max: 3.0
            }
        );
        assert_eq!(
            contest.failures(Variant::BarePass),
            BTreeMap::from([("reset".to_owned(), 2)])
        );
        assert!(!contest.is_clean());
    }
}
