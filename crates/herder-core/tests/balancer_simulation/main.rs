//! The balancer in an adversarial world, by the hundred thousand steps.

#[path = "../frame/mod.rs"]
mod frame;
#[path = "../frame/search.rs"]
mod search;
mod world;

use world::run;

/// Where the search starts: always the same, so that a red run is red for everybody.
const BASE_SEED: u64 = 0x0070_726F_7879;

#[test]
fn balancer_simulation_many_steps() {
    search::search(BASE_SEED, 150_000, run);
}
