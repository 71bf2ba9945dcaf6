//! Chance that can be repeated.

use std::env;
use std::time::SystemTime;

/// The variable that repeats what a failed test has printed.
const VARIABLE: &str = "HERDER_TEST_SEED";

/// A stream of numbers that its seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// With the seed that the environment names (`HERDER_TEST_SEED`), else with a new one. Prints it.
    #[expect(clippy::print_stdout, reason = "what repeats a failure")]
    pub fn thrown() -> Dice {
        let named = env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
        let seed = named.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.map_or(0, |now| u64::from(now.subsec_nanos()))
        });
        println!("{VARIABLE}={seed}");
        Dice::seeded(seed)
    }

    /// With this seed.
    pub fn seeded(seed: u64) -> Dice {
        Dice { state: seed }
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Brings `items` into any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers() {
        let draw = |seed| {
            let mut dice = Dice::seeded(seed);
            let mut order: Vec<usize> = (0..20).collect();
            dice.shuffle(&mut order);
            (order, dice.below(1000))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let (mut order, number) = draw(7);
        order.sort_unstable();
        assert_eq!(order, (0..20).collect::<Vec<_>>());
        assert!(number < 1000);
    }
}
