//! The rotation in an adversarial world, by the hundred thousand steps.
//!
//! `HERDER_SIM_SEED=n` replays one seed, and with `HERDER_SIM_TRACE=1` prints what happens;
//! `HERDER_SIM_STEPS=n` sets how long the search is.

mod world;

use std::time::Instant;

use world::{Tally, run, seeds, trace};

/// Where the search starts: always the same, so that a red run is red for everybody.
const BASE_SEED: u64 = 0x0074_7572_6E73;

/// Seeds that found something once.
const REGRESSIONS: &[u64] = &[];

#[expect(
    clippy::disallowed_methods,
    reason = "a replay is asked for from outside"
)]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
    )
}

fn live(seed: u64) -> Tally {
    run(seed).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the report says how long the search took"
)]
fn rotation_simulation_many_steps() {
    if let Some(seed) = number("HERDER_SIM_SEED") {
        if number("HERDER_SIM_TRACE").is_some_and(|on| on > 0) {
            trace::set(trace::Trace::On);
        }
        println!("{:?}", live(seed));
        return;
    }
    let goal = number("HERDER_SIM_STEPS").unwrap_or(300_000);
    println!("base seed {BASE_SEED}; replay one seed with HERDER_SIM_SEED=n");
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in seeds(BASE_SEED) {
        tally += live(seed);
        if tally.steps >= goal {
            break;
        }
    }
    println!("{tally:?} in {:?}", start.elapsed());
    assert!(!tally.is_tame(), "a tame world: {tally:?}");
}

#[test]
fn regressions() {
    for seed in REGRESSIONS {
        live(*seed);
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in seeds(BASE_SEED).take(3) {
        assert_eq!(live(seed), live(seed));
    }
}
