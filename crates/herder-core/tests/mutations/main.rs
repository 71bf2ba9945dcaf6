//! The simulator must notice when a safety rule is switched off: otherwise it proves nothing.
//!
//! Run with `cargo test -p herder-core --features mutation --test mutations`.

#[path = "../balancer_simulation/world/mod.rs"]
mod balancer_world;
#[path = "../frame/mod.rs"]
mod frame;
#[path = "../job_simulation/world/mod.rs"]
mod job_world;
#[path = "../rotation_simulation/world/mod.rs"]
mod rotation_world;
#[path = "../frame/search.rs"]
mod search;
#[path = "../simulation/world/mod.rs"]
mod world;

use std::time::{Duration, Instant};

use frame::{seeds, trace};
use herder_core::mutation::{self, Mutation};
use world::{Budget, Climate, Dealing, Ends, Lives, Releases, Tally, run};

/// Another base than the simulation's: what is found there is not found by memory.
const BASE_SEED: u64 = 0x6D75_7461_7465;

/// Within this time a broken rule must be noticed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a simulation says of one seed.
type Simulation = fn(u64) -> Result<(), String>;

/// The supervisor and the dispatcher of connections.
fn herd(seed: u64) -> Result<(), String> {
    let climate = Climate {
        budget: Budget::Unbounded,
        lives: Lives::Endless,
        dealing: Dealing::Plain,
        releases: Releases::Never,
        ends: Ends::Never,
    };
    let outcome = run(seed, climate);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// The same two, and one generation after the other.
fn releases(seed: u64) -> Result<(), String> {
    let climate = Climate {
        budget: Budget::Bounded,
        lives: Lives::Endless,
        dealing: Dealing::Plain,
        releases: Releases::Many,
        ends: Ends::Never,
    };
    let outcome = run(seed, climate);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// The same two, with workers that decide about each connection.
fn deciders(seed: u64) -> Result<(), String> {
    let climate = Climate {
        budget: Budget::Unbounded,
        lives: Lives::Endless,
        dealing: Dealing::Verdict,
        releases: Releases::Never,
        ends: Ends::Never,
    };
    let outcome = run(seed, climate);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// The same two, with workers that may be the last of their slots.
fn ends(seed: u64) -> Result<(), String> {
    let climate = Climate {
        budget: Budget::Bounded,
        lives: Lives::Endless,
        dealing: Dealing::Plain,
        releases: Releases::Never,
        ends: Ends::Various,
    };
    let outcome = run(seed, climate);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// The dispatcher of jobs.
fn jobs(seed: u64) -> Result<(), String> {
    let outcome = job_world::run(seed);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// The rotation of sockets.
fn turns(seed: u64) -> Result<(), String> {
    let outcome = rotation_world::run(seed);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// The balancer, and the decisions about repetitions.
fn requests(seed: u64) -> Result<(), String> {
    let outcome = balancer_world::run(seed);
    outcome.map(drop).map_err(|failure| failure.to_string())
}

/// Searches for a seed that notices the broken rule.
#[expect(clippy::disallowed_methods, reason = "the patience is real time")]
#[expect(
    clippy::print_stdout,
    reason = "who notices, and how, is the result of this test"
)]
fn is_caught(broken: Mutation, simulation: Simulation) {
    // Thousands of steps are searched: only the find is printed.
    trace::set(trace::Trace::Off);
    mutation::set(Some(broken));
    let start = Instant::now();
    let caught = seeds(BASE_SEED)
        .take_while(|_| start.elapsed() < PATIENCE)
        .find_map(|seed| simulation(seed).err().map(|failure| (seed, failure)));
    mutation::set(None);
    let (seed, failure) =
        caught.unwrap_or_else(|| panic!("{broken:?} was not noticed in {PATIENCE:?}"));
    println!("{broken:?} in {:?}: {failure}", start.elapsed());
    let mended = simulation(seed);
    assert!(
        mended.is_ok(),
        "seed {seed} fails without a mutation: {mended:?}"
    );
}

#[test]
fn back_off_off_is_caught() {
    is_caught(Mutation::BackoffOff, herd);
}

#[test]
fn credit_off_is_caught() {
    is_caught(Mutation::CreditOff, herd);
}

#[test]
fn incarnation_test_off_is_caught() {
    is_caught(Mutation::IncarnationTestOff, herd);
}

#[test]
fn a_missing_soak_is_caught() {
    is_caught(Mutation::SoakOff, releases);
}

#[test]
fn old_workers_that_are_not_admitted_again_are_caught() {
    is_caught(Mutation::ReadmissionOff, releases);
}

#[test]
fn a_rejection_unnoticed_is_caught() {
    is_caught(Mutation::RejectionUnnoticed, deciders);
}

#[test]
fn a_stall_unnoticed_is_caught() {
    is_caught(Mutation::StallUnnoticed, deciders);
}

#[test]
fn undecided_connections_that_are_lost_with_their_worker_are_caught() {
    is_caught(Mutation::TakeBackOff, deciders);
}

#[test]
fn successors_of_the_last_are_caught() {
    is_caught(Mutation::CompletionOff, ends);
}

#[test]
fn a_watchdog_unheard_is_caught() {
    is_caught(Mutation::WatchdogUnheard, ends);
}

#[test]
fn a_swapped_stop_ladder_is_caught() {
    is_caught(Mutation::StopLadderSwapped, herd);
}

#[test]
fn a_standstill_unnoticed_is_caught() {
    is_caught(Mutation::StandstillUnnoticed, herd);
}

#[test]
fn take_back_off_is_caught() {
    is_caught(Mutation::TakeBackOff, herd);
}

#[test]
fn a_job_limit_off_is_caught() {
    is_caught(Mutation::JobLimitOff, jobs);
}

#[test]
fn an_unasked_retry_of_a_started_job_is_caught() {
    is_caught(Mutation::JobRetryUnasked, jobs);
}

#[test]
fn a_trusted_stranger_among_jobs_is_caught() {
    is_caught(Mutation::JobStrangerTrusted, jobs);
}

#[test]
fn jobs_that_are_not_taken_back_are_caught() {
    is_caught(Mutation::JobTakeBackOff, jobs);
}

#[test]
fn a_place_left_early_is_caught() {
    is_caught(Mutation::PlaceLeftEarly, turns);
}

#[test]
fn turns_that_are_not_counted_are_caught() {
    is_caught(Mutation::TurnsUncounted, turns);
}

#[test]
fn turns_of_the_unready_are_caught() {
    is_caught(Mutation::TurnsUnready, turns);
}

#[test]
fn a_worker_that_never_gets_its_turns_back_is_caught() {
    is_caught(Mutation::CaughtUpUnnoticed, turns);
}

#[test]
fn flapping_is_caught() {
    is_caught(Mutation::Flapping, turns);
}

#[test]
fn a_worker_that_drains_early_is_caught() {
    is_caught(Mutation::DrainedEarly, requests);
}

#[test]
fn requests_to_who_is_left_out_are_caught() {
    is_caught(Mutation::EjectedAsked, requests);
}

#[test]
fn more_than_half_left_out_are_caught() {
    is_caught(Mutation::EjectionUnbounded, requests);
}

#[test]
fn a_newcomer_that_is_not_spared_is_caught() {
    is_caught(Mutation::NewcomerUnspared, requests);
}

#[test]
fn an_unasked_repetition_is_caught() {
    is_caught(Mutation::RepeatedUnasked, requests);
}

#[test]
fn without_a_mutation_nothing_is_caught_among_requests() {
    search::search(BASE_SEED, 100_000, balancer_world::run);
}

#[test]
fn without_a_mutation_nothing_is_caught_among_turns() {
    search::search(BASE_SEED, 100_000, rotation_world::run);
}

#[test]
fn without_a_mutation_nothing_is_caught() {
    let mut tally = Tally::default();
    for seed in seeds(BASE_SEED).take(100) {
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
                            tally += run(seed, climate).expect("nothing is broken");
                        }
                    }
                }
            }
        }
    }
    assert_eq!(tally.seeds, 4800, "{tally:?}");
}

#[test]
fn without_a_mutation_nothing_is_caught_among_jobs() {
    search::search(BASE_SEED, 100_000, job_world::run);
}
