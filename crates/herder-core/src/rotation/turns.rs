use std::collections::BTreeMap;
use std::ops::Range;

use super::message::Weight;
use crate::Slot;

/// The longest rotation.
pub const MAX_TURNS: usize = 256;

/// A rotation in which each slot has as many turns as its weight says, as evenly spread as possible. If
/// that is too long, the weights shrink (not below 1), and slots beyond the limit have no turn.
pub(super) fn spread(slots: &[(Slot, Weight)]) -> Vec<Slot> {
    let slots = &slots[..slots.len().min(MAX_TURNS)];
    let weights = shrunk(slots);
    let total: i64 = weights.iter().sum();
    // Each round, everybody gains its weight; the richest has its turn and pays for everybody.
    let mut credit = vec![0_i64; slots.len()];
    let mut turns = Vec::new();
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        // The first of the richest, so that equals come in order.
        let Some(richest) = (0..slots.len()).rev().max_by_key(|&index| credit[index]) else {
            break;
        };
        credit[richest] -= total;
        turns.push(slots[richest].0);
    }
    turns
}

/// Weights whose sum is at most the limit.
fn shrunk(slots: &[(Slot, Weight)]) -> Vec<i64> {
    let mut weights: Vec<i64> = slots
        .iter()
        .map(|(_, weight)| i64::from(weight.get()))
        .collect();
    if weights.iter().all(|weight| *weight == weights[0]) {
        // Equal weights are one turn each, whatever they are.
        weights.fill(1);
    }
    while weights.iter().sum::<i64>() > MAX_TURNS as i64 {
        for weight in &mut weights {
            *weight = (*weight / 2).max(1);
        }
    }
    weights
}

/// How many of these turns were each slot's.
pub(super) fn shares(turns: &[Slot], taken: Range<u64>) -> BTreeMap<Slot, u64> {
    let length = turns.len() as u64;
    let count = taken.end.saturating_sub(taken.start);
    let mut shares = BTreeMap::new();
    for (place, slot) in (0..).zip(turns) {
        // The first of them is so many places before this one.
        let first = (place + length - taken.start % length) % length;
        let share = count.saturating_sub(first).div_ceil(length);
        *shares.entry(*slot).or_default() += share;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(weights: &[u8]) -> Vec<(Slot, Weight)> {
        let weight = |weight: u8| Weight::new(weight).expect("1 to 16");
        (0..)
            .zip(weights)
            .map(|(slot, w)| (Slot(slot), weight(*w)))
            .collect()
    }

    fn turns(weights: &[u8]) -> Vec<u16> {
        spread(&slots(weights)).iter().map(|slot| slot.0).collect()
    }

    #[test]
    fn equals_come_in_order_once() {
        assert_eq!(turns(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(turns(&[7, 7]), [0, 1]);
        assert!(turns(&[]).is_empty());
    }

    #[test]
    fn weights_are_turns_evenly_spread() {
        assert_eq!(turns(&[2, 1]), [0, 1, 0]);
        assert_eq!(turns(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn shares_are_what_the_kernel_counts() {
        let rotation = [0, 1, 0, 2].map(Slot);
        for start in 0..9_u64 {
            for end in start..20 {
                let mut expected = BTreeMap::from([(Slot(0), 0), (Slot(1), 0), (Slot(2), 0)]);
                for turn in start..end {
                    let slot = rotation[usize::try_from(turn % 4).expect("small")];
                    *expected.entry(slot).or_default() += 1_u64;
                }
                assert_eq!(shares(&rotation, start..end), expected, "{start}..{end}");
            }
        }
        assert!(shares(&[], 3..9).is_empty());
    }

    #[test]
    fn a_rotation_is_never_too_long_and_nobody_is_left_out() {
        let mut many = vec![1; 100];
        many.extend([16; 100]);
        let turns = turns(&many);
        assert!(turns.len() <= MAX_TURNS, "{}", turns.len());
        assert!((0..200).all(|slot| turns.contains(&slot)));
        assert_eq!(spread(&slots(&[1; 300])).len(), MAX_TURNS);
    }
}
