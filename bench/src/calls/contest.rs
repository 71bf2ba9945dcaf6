//! All ways to make a call, interleaved.

use super::way::{Account, Shape, Way};
use crate::statistics::Median;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the calls are like, in the order of the tables.
pub const SHAPES: [Shape; 4] = [
    shape(100, 1),
    shape(100, 64),
    shape(16_384, 1),
    shape(16_384, 64),
];

const fn shape(size: usize, in_flight: usize) -> Shape {
    Shape { size, in_flight }
}

/// The accounts of all ways to make calls of one shape, in the order of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct CallContest {
    /// What the calls are like.
    pub shape: Shape,
    /// Round by round, so that equal places are what was measured side by side.
    pub accounts: BTreeMap<Way, Vec<Account>>,
}

impl CallContest {
    /// Measures each way once a round, each round beginning with another one, `time` each time.
    pub fn hold(shape: Shape, rounds: usize, time: Duration) -> CallContest {
        let mut accounts: BTreeMap<Way, Vec<Account>> = BTreeMap::new();
        for round in 0..rounds {
            for place in 0..Way::ALL.len() {
                let way = Way::ALL[(place + round) % Way::ALL.len()];
                accounts
                    .entry(way)
                    .or_default()
                    .push(way.measure(shape, time));
            }
        }
        CallContest { shape, accounts }
    }

    /// The median of one figure of one way.
    pub fn median(&self, way: Way, figure: fn(&Account) -> f64) -> Median {
        Median::of(self.figures(way, figure))
    }

    /// The median of the ratios, round by round, of one figure of `way` to that of its rival.
    pub fn ratio(&self, way: Way, figure: fn(&Account) -> f64) -> Median {
        Median::of_ratios(self.figures(way, figure), self.figures(way.rival(), figure))
    }

    /// How many calls failed in all rounds.
    pub fn failures(&self, way: Way) -> u32 {
        let accounts = self.accounts.get(&way).into_iter().flatten();
        accounts.map(|account| account.failures).sum()
    }

    /// Whether no call failed.
    pub fn is_clean(&self) -> bool {
        Way::ALL.into_iter().all(|way| self.failures(way) == 0)
    }

    fn figures(&self, way: Way, figure: fn(&Account) -> f64) -> Vec<f64> {
        let accounts = self.accounts.get(&way).into_iter().flatten();
        accounts.map(figure).collect()
    }
}
