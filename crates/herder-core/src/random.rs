use serde::{Deserialize, Serialize};

/// A small deterministic generator (splitmix64): the same seed, the same numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Random {
    state: u64,
}

/// 2⁶⁴ divided by the golden ratio: its multiples are spread over all numbers.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        finish(self.state)
    }

    /// 0 to `bound - 1`. A bound is small, so that none is preferred by a measurable amount.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Two different numbers below `count`, as far as there are two.
    pub(crate) fn two_below(&mut self, count: usize) -> [Option<usize>; 2] {
        let mut below = |bound: usize| {
            let drawn = self.below(bound as u64);
            usize::try_from(drawn).expect("it is below a usize")
        };
        match count {
            0 => [None; 2],
            1 => [Some(0), None],
            _ => {
                let first = below(count);
                let second = (first + 1 + below(count - 1)) % count;
                [Some(first), Some(second)]
            }
        }
    }
}

/// A number that looks like any other, the same for the same `value`.
pub(crate) fn mix(value: u64) -> u64 {
    finish(value.wrapping_add(STEP))
}

fn finish(mut mixed: u64) -> u64 {
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| a.next() == b.next()));
    }
}
