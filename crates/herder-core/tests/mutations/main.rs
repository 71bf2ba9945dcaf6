//! The simulator must notice when a safety rule is switched off: otherwise it proves nothing.
//!
//! Run with `cargo test -p herder-core --features mutation --test mutations`.

#[path = "../simulation/world/mod.rs"]
mod world;

use std::time::{Duration, Instant};

use herder_core::mutation::{self, Mutation};
use world::{Budget, Lives, Tally, run, seeds, trace};

/// Another base than the simulation's: what is found there is not found by memory.
const BASE_SEED: u64 = 0x6D75_7461_7465;

/// Within this time a broken rule must be noticed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Searches for a seed that notices the broken rule.
#[expect(clippy::disallowed_methods, reason = "the patience is real time")]
#[expect(
    clippy::print_stdout,
    reason = "who notices, and how, is the result of this test"
)]
fn is_caught(broken: Mutation) {
    // Thousands of steps are searched: only the find is printed.
    trace::set(trace::Trace::Off);
    mutation::set(Some(broken));
    let start = Instant::now();
    let caught = seeds(BASE_SEED)
        .take_while(|_| start.elapsed() < PATIENCE)
        .find_map(|seed| run(seed, Budget::Unbounded, Lives::Endless).err());
    mutation::set(None);
    let failure = caught.unwrap_or_else(|| panic!("{broken:?} was not noticed in {PATIENCE:?}"));
    println!("{broken:?} in {:?}: {failure}", start.elapsed());
    let mended = run(failure.seed, Budget::Unbounded, Lives::Endless);
    assert!(
        mended.is_ok(),
        "seed {} fails without a mutation: {mended:?}",
        failure.seed
    );
}

#[test]
fn back_off_off_is_caught() {
    is_caught(Mutation::BackoffOff);
}

#[test]
fn credit_off_is_caught() {
    is_caught(Mutation::CreditOff);
}

#[test]
fn incarnation_test_off_is_caught() {
    is_caught(Mutation::IncarnationTestOff);
}

#[test]
fn a_swapped_stop_ladder_is_caught() {
    is_caught(Mutation::StopLadderSwapped);
}

#[test]
fn take_back_off_is_caught() {
    is_caught(Mutation::TakeBackOff);
}

#[test]
fn without_a_mutation_nothing_is_caught() {
    let mut tally = Tally::default();
    for seed in seeds(BASE_SEED).take(100) {
        for budget in [Budget::Bounded, Budget::Unbounded] {
            for lives in [Lives::Endless, Lives::Exhaustible] {
                tally += run(seed, budget, lives).expect("nothing is broken");
            }
        }
    }
    assert_eq!(tally.seeds, 400, "{tally:?}");
}
