//! The search for a broken rule, as each simulation's tests ask for it.
//!
//! `HERDER_SIM_SEED=n` replays one seed, and with `HERDER_SIM_TRACE=1` prints what happens;
//! `HERDER_SIM_STEPS=n` sets how long the search is.

use std::fmt::Display;
use std::time::Instant;

use crate::frame::{Experience, seeds, trace};

/// Searches for at least so many steps, or replays the one seed that is asked for. The first seed is
/// lived through twice: the same seed, the same life.
#[expect(
    clippy::disallowed_methods,
    reason = "the report says how long the search took"
)]
#[expect(clippy::print_stdout, reason = "the report is for who searches")]
pub(crate) fn search<T: Experience, E: Display>(
    base: u64,
    steps: u64,
    run: impl Fn(u64) -> Result<T, E>,
) {
    if let Some(seed) = number("HERDER_SIM_SEED") {
        if number("HERDER_SIM_TRACE").is_some_and(|on| on > 0) {
            trace::set(trace::Trace::On);
        }
        println!("{:?}", live(seed, &run));
        return;
    }
    let goal = number("HERDER_SIM_STEPS").unwrap_or(steps);
    let life = |seed| format!("{:?}", live(seed, &run));
    assert_eq!(life(base), life(base), "seed {base} lives two lives");
    println!("base seed {base}; replay one seed with HERDER_SIM_SEED=n");
    let start = Instant::now();
    let mut tally = T::default();
    for seed in seeds(base) {
        tally += live(seed, &run);
        if tally.steps() >= goal {
            break;
        }
    }
    println!("{tally:?} in {:?}", start.elapsed());
    assert!(!tally.is_tame(), "a tame world: {tally:?}");
}

fn live<T, E: Display>(seed: u64, run: impl Fn(u64) -> Result<T, E>) -> T {
    run(seed).unwrap_or_else(|failure| panic!("{failure}"))
}

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
