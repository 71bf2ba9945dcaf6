//! The job dispatcher in an adversarial world, by the million steps.

#[path = "../frame/mod.rs"]
mod frame;
#[path = "../frame/search.rs"]
mod search;
mod world;

use world::run;

/// Where the search starts: always the same, so that a red run is red for everybody.
const BASE_SEED: u64 = 0x006A_6F62_7368_6572;

#[test]
fn job_simulation_million_steps() {
    search::search(BASE_SEED, 1_000_000, run);
}
