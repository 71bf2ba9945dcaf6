//! The supervisor and the dispatcher in one adversarial world, by the million steps.

#[path = "../frame/mod.rs"]
mod frame;
#[path = "../frame/search.rs"]
mod search;
mod world;

use world::{Budget, Climate, Dealing, Ends, Lives, Releases, Tally, run};

/// Where the search starts: always the same, so that a red run is red for everybody.
const BASE_SEED: u64 = 0x6865_7264_6572;

/// Seeds that found something once.
const REGRESSIONS: &[(u64, Budget, Lives, Releases)] = &[
    // A connection was received late, by a worker that nobody else could relieve, and nobody noticed.
    (
        1_659_823_828_650_248_141,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Never,
    ),
    // The dispatcher asked to unwatch the channel of a worker that had died while it was withdrawn.
    (
        1_959_976_635_125_189_352,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Never,
    ),
    // The second calculation of the restarts was wrong, about slots that were scaled away and back.
    (
        11_933_428_531_466_617_158,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Never,
    ),
    (
        12_408_807_790_193_280_005,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Never,
    ),
    // It was wrong about a worker that hung while its replacement started.
    (
        8_824_097_350_291_123_395,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Never,
    ),
    // It took the planned end of a worker for a death that a connection had met.
    (
        13_419_077_396_142_953_303,
        Budget::Unbounded,
        Lives::Exhaustible,
        Releases::Never,
    ),
    // Two starts of a slot overlapped: its back-off was over, and the worker that a rollback had sent
    // away was not known to exist.
    (
        15_122_169_952_365_210_834,
        Budget::Unbounded,
        Lives::Exhaustible,
        Releases::Many,
    ),
    // The audit did not know that an app gives up before it says so.
    (
        2_552_266_123_831_648_477,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Many,
    ),
    // Whoever was told to leave because the deadline of another had passed was killed in the same moment,
    // if its own had.
    (
        120_351_231_145_061,
        Budget::Bounded,
        Lives::Endless,
        Releases::Many,
    ),
    // A worker was recycled while another of its slot, which a rollback had sent away, was not known to
    // exist.
    (
        15_999_628_995_750_287_815,
        Budget::Unbounded,
        Lives::Endless,
        Releases::Many,
    ),
];

/// One seed in every kind of world.
fn run_all(seed: u64) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for budget in [Budget::Bounded, Budget::Unbounded] {
        for lives in [Lives::Endless, Lives::Exhaustible] {
            for dealing in [Dealing::Plain, Dealing::AnyPolicy, Dealing::Verdict] {
                for releases in [Releases::Never, Releases::Many] {
                    for ends in [Ends::Never, Ends::Various] {
                        let climate = Climate {
                            budget,
                            lives,
                            dealing,
                            releases,
                            ends,
                        };
                        let outcome = run(seed, climate);
                        tally += outcome.map_err(|failure| format!("{failure} ({climate:?})"))?;
                    }
                }
            }
        }
    }
    Ok(tally)
}

#[test]
fn simulation_million_steps() {
    search::search(BASE_SEED, 1_000_000, run_all);
}

#[test]
fn regressions() {
    for (seed, budget, lives, releases) in REGRESSIONS {
        for dealing in [Dealing::Plain, Dealing::AnyPolicy] {
            let climate = Climate {
                budget: *budget,
                lives: *lives,
                dealing,
                releases: *releases,
                ends: Ends::Never,
            };
            if let Err(failure) = run(*seed, climate) {
                panic!("{failure} ({climate:?})");
            }
        }
    }
}
