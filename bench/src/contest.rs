//! All measurements, interleaved.

use crate::measure::{Sample, measure, rehearse};
use crate::part::Part;
use crate::statistics::{Histogram, Median};
use crate::variant::{League, LeftOut, Variant};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Connections a second at half load, before anything is known.
const UNKNOWN_RATE: u32 = 1000;

/// Who takes part at all, and why others do not.
#[derive(Clone, Debug, Default)]
pub struct Field {
    standing: BTreeMap<Variant, Option<String>>,
}

impl Field {
    /// Starts each of `variants` once: only who serves takes part.
    pub fn of(variants: impl IntoIterator<Item = Variant>) -> Field {
        let standing = variants.into_iter();
        let standing = standing.map(|one| (one, rehearse(one).err().map(|out| out.0)));
        Field {
            standing: standing.collect(),
        }
    }

    /// Who takes part, in the order of the tables.
    pub fn taking_part(&self) -> impl Iterator<Item = Variant> {
        Variant::all().filter(|one| matches!(self.standing.get(one), Some(None)))
    }

    /// Who does not, and why.
    pub fn left_out(&self) -> impl Iterator<Item = (Variant, &str)> {
        Variant::all().filter_map(|one| Some((one, self.standing.get(&one)?.as_deref()?)))
    }
}

/// The samples of all variants of one league in one part, in the order of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Contest {
    /// What the clients did.
    pub part: Part,
    /// Who took part.
    pub league: League,
    /// How many connections a second [`Part::Half`] made, and zero elsewhere.
    pub rate: u32,
    /// Round by round, so that equal places are what was measured side by side.
    pub samples: BTreeMap<Variant, Vec<Sample>>,
    /// Who was to take part and broke, and why.
    pub left_out: BTreeMap<Variant, String>,
}

impl Contest {
    /// One without any measurement.
    pub fn new(part: Part, league: League) -> Contest {
        Contest {
            part,
            league,
            rate: 0,
            samples: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Measures each of `variants` that is of `league` once a round, each round beginning with another one, `time`
    /// each time. One that breaks is left out from then on, with all that it did.
    pub fn hold(
        variants: &[Variant],
        part: Part,
        league: League,
        rounds: usize,
        time: Duration,
    ) -> Contest {
        let mut contest = Contest::new(part, league);
        let suits = |one: &Variant| one.league() == league && part.suits(*one);
        let variants: Vec<Variant> = variants.iter().copied().filter(suits).collect();
        if part == Part::Half {
            contest.rate = half_rate(&variants, time);
        }
        for round in 0..rounds {
            for place in 0..variants.len() {
                let variant = variants[(place + round) % variants.len()];
                if !contest.left_out.contains_key(&variant) {
                    contest.add(variant, measure(variant, part, time, contest.rate));
                }
            }
        }
        contest
    }

    fn add(&mut self, variant: Variant, measured: Result<Sample, LeftOut>) {
        match measured {
            Ok(sample) => self.samples.entry(variant).or_default().push(sample),
            Err(LeftOut(reason)) => {
                self.samples.remove(&variant);
                self.left_out.insert(variant, reason);
            }
        }
    }

    /// The variants that were measured, in the order of the table.
    pub fn variants(&self) -> impl Iterator<Item = Variant> {
        Variant::all().filter(|variant| self.has(*variant))
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

    /// The latencies of all rounds.
    pub fn histogram(&self, variant: Variant) -> Histogram {
        let mut all = Histogram::default();
        for sample in self.samples.get(&variant).into_iter().flatten() {
            all.add(&sample.histogram);
        }
        all
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

    /// Whether every request of a herd had its whole answer, and every herd went through with it.
    pub fn is_ours_clean(&self) -> bool {
        let ours = |variant: &Variant| variant.is_ours();
        let mut measured = self.variants().filter(ours);
        measured.all(|variant| self.failures(variant).is_empty()) && !self.left_out.keys().any(ours)
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

/// Half of what the variant can do that the first of `variants` is measured by. It is asked before the rounds:
/// all variants of all rounds have the same to do.
fn half_rate(variants: &[Variant], time: Duration) -> u32 {
    let base = variants.first().map(|variant| variant.base());
    let measured = base.and_then(|base| measure(base, Part::Saturated, time, 0).ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative, and what is above four billion is cut off there"
    )]
    measured.map_or(UNKNOWN_RATE, |sample| (sample.rate / 2.0).max(1.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Median;
    use crate::variant::Dispatch;

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
        let mut contest = Contest::new(Part::Light, League::Native);
        contest.samples = BTreeMap::from([
            (Variant::BareShared, vec![sample(1.0), sample(2.0)]),
            (Variant::BarePass, vec![sample(3.0), failed]),
        ]);
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
        assert!(contest.is_ours_clean());
    }

    #[test]
    fn who_breaks_is_left_out_with_all_it_did() {
        let herd = Variant::HerderNative(Dispatch::Kernel);
        let mut contest = Contest::new(Part::Light, League::Native);
        contest.add(herd, Ok(Sample::default()));
        assert!(contest.has(herd) && contest.is_ours_clean());
        contest.add(herd, Err(LeftOut("it is gone".to_owned())));
        assert!(!contest.has(herd) && !contest.is_ours_clean());
        assert_eq!(contest.left_out[&herd], "it is gone");
    }
}
