//! Who is the last of its slot, and what becomes of an app when all are.

use std::time::Duration;

use herder_core::spec::{AppSpec, BootFailure, DelayGrowth, RestartWhen};
use herder_core::supervisor::{
    Action, Cause, Completion, Counters, Event, FailureKind, Notice, Outcome, Phase, Seat,
};
use herder_core::{Exit, Generation, Slot, WorkerId};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawns, spec};
use crate::lifecycle::cells;

fn app(workers: usize, when: RestartWhen) -> AppSpec {
    let mut spec = spec(workers);
    spec.restart.when = when;
    spec.restart.final_codes = [3].into();
    spec
}

fn exits(herd: &mut Herd, worker: WorkerId, code: i32) -> Vec<Action> {
    let exit = Exit::Code(code);
    herd.tell(Event::Exited { worker, exit })
}

/// Brings the one worker of an app to the end that a row names; returns whether it was.
fn bring_to_end(herd: &mut Herd, row: &str) {
    let worker = id(0, 1);
    let exited = |exit| Event::Exited { worker, exit };
    match row {
        "status 0" => drop(herd.tell(exited(Exit::Code(0)))),
        "another status" => drop(herd.tell(exited(Exit::Code(1)))),
        "a final status" => drop(herd.tell(exited(Exit::Code(3)))),
        "a fatal status" => drop(herd.tell(exited(Exit::Code(125)))),
        "a signal" => drop(herd.tell(exited(Exit::Signal(11)))),
        "it hung, or was found broken" => {
            herd.tell(Event::Fail {
                worker,
                reason: "no answer".to_owned(),
            });
            herd.tell(exited(Exit::Code(0)));
        }
        "it announced its end" => {
            herd.tell(Event::Retire { worker });
            herd.tell(Event::Withdrawn { worker });
            herd.tell(exited(Exit::Code(0)));
        }
        other => panic!("nobody knows the end {other:?}"),
    }
}

#[test]
fn every_end_is_followed_as_written() {
    let cells = cells("end");
    assert_eq!(cells.len(), 7 * 3, "a cell is missing");
    for (row, column, expected) in cells {
        let when = match column.as_str() {
            "Always" => RestartWhen::Always,
            "OnFailure" => RestartWhen::OnFailure,
            "Never" => RestartWhen::Never,
            other => panic!("nobody knows the policy {other:?}"),
        };
        // The second slot keeps the app running.
        let mut herd = Herd::ready(app(2, when));
        bring_to_end(&mut herd, &row);
        let what = match herd.seat(0) {
            Seat::Backoff { .. } | Seat::Held { .. } => "again",
            Seat::Done {
                completion: Completion::AsMeant,
                ..
            } => "done",
            Seat::Done {
                completion: Completion::Failed,
                ..
            } => "failed",
            seat @ (Seat::Owed { .. } | Seat::Quarantined { .. } | Seat::Stopped { .. }) => {
                panic!("{row} × {column}: {seat:?}")
            }
        };
        assert_eq!(what, expected, "{row} × {column}");
    }
}

#[test]
fn an_app_ends_when_every_slot_is_done() {
    let mut herd = Herd::ready(app(2, RestartWhen::Never));
    let first = exits(&mut herd, id(0, 1), 0);
    assert_eq!(deeds(&first), [], "the other one works");
    let last = exits(&mut herd, id(1, 2), 0);
    let outcome = Outcome::Completed { failed: 0 };
    assert_eq!(deeds(&last), [Action::Finish(outcome)]);
    assert!(herd.core.is_finished());
}

#[test]
fn a_job_that_failed_is_counted() {
    let mut herd = Herd::new(app(2, RestartWhen::Never));
    herd.tell(Event::Start);
    exits(&mut herd, id(0, 1), 0);
    let actions = exits(&mut herd, id(1, 2), 1);
    let outcome = Outcome::Completed { failed: 1 };
    assert_eq!(deeds(&actions), [Action::Finish(outcome)]);
    assert!(
        notices(&actions).contains(&Notice::Done {
            slot: Slot(1),
            exit: Some(Exit::Code(1)),
            completion: Completion::Failed,
        }),
        "{actions:?}"
    );
}

#[test]
fn a_version_that_never_works_is_a_failed_boot() {
    let mut herd = Herd::new(app(1, RestartWhen::Always));
    herd.tell(Event::Start);
    let actions = exits(&mut herd, id(0, 1), 78);
    assert_eq!(deeds(&actions), [Action::Finish(Outcome::BootFailed)]);

    let mut spec = app(1, RestartWhen::Always);
    spec.life.boot_failure = BootFailure::KeepTrying;
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    let actions = exits(&mut herd, id(0, 1), 78);
    let outcome = Outcome::Completed { failed: 1 };
    assert_eq!(deeds(&actions), [Action::Finish(outcome)]);
}

#[test]
fn one_status_does_not_stop_a_healthy_fleet() {
    let mut herd = Herd::ready(app(3, RestartWhen::Always));
    exits(&mut herd, id(1, 2), 78);
    assert_eq!(herd.core.ready_count(), 2);
    let later = herd.wait(SECOND * 3_600);
    assert_eq!(spawns(&later), []);
    assert!(!herd.core.is_finished());
}

#[test]
fn a_new_generation_begins_anew_where_one_was_done() {
    let mut herd = Herd::ready(app(2, RestartWhen::OnFailure));
    exits(&mut herd, id(0, 1), 0);
    let generation = Generation(2);
    let actions = herd.tell(Event::Reload { generation });
    assert_eq!(spawns(&actions), [id(0, 3), id(1, 4)]);

    // It fails: what was done is done.
    let actions = exits(&mut herd, id(0, 3), 1);
    assert!(spawns(&actions).is_empty(), "{actions:?}");
    let done = Seat::Done {
        exit: Some(Exit::Code(0)),
        completion: Completion::AsMeant,
    };
    assert_eq!(herd.seat(0), done);
}

#[test]
fn a_reload_of_jobs_succeeds_when_they_are_done() {
    let mut herd = Herd::ready(app(1, RestartWhen::Never));
    let generation = Generation(2);
    herd.tell(Event::Reload { generation });
    let actions = exits(&mut herd, id(0, 2), 0);
    let told = notices(&actions);
    let reloaded = |notice: &Notice| matches!(notice, Notice::Reloaded { .. });
    assert!(told.iter().any(reloaded), "{told:?}");
    // The old one has its grace, and then there is nothing left to do.
    herd.tell(Event::Withdrawn { worker: id(0, 1) });
    let actions = exits(&mut herd, id(0, 1), 0);
    let outcome = Outcome::Completed { failed: 0 };
    assert_eq!(deeds(&actions).last(), Some(&Action::Finish(outcome)));
}

#[test]
fn r38_a_new_server_that_leaves_at_once_is_no_success() {
    let mut herd = Herd::ready(app(1, RestartWhen::OnFailure));
    let generation = Generation(2);
    herd.tell(Event::Reload { generation });
    let told = notices(&exits(&mut herd, id(0, 2), 0));
    let rolled_back = told.iter().find_map(|notice| {
        let Notice::RolledBack { failure, .. } = notice else {
            return None;
        };
        Some(failure.kind)
    });
    let kind = FailureKind::ExitedBeforeReady(Exit::Code(0));
    assert_eq!(rolled_back, Some(kind));
    assert_eq!(herd.core.ready_count(), 1, "the old one serves");
}

#[test]
fn a_fixed_delay_is_exact_and_does_not_grow() {
    let mut spec = spec(1);
    spec.restart.growth = DelayGrowth::Fixed;
    spec.restart.first_delay = Duration::from_millis(1_234);
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    for incarnation in 1..=4 {
        let told = notices(&herd.exit(id(0, incarnation)));
        let delays = told.iter().filter_map(|notice| {
            let Notice::RestartDelayed { delay, .. } = notice else {
                return None;
            };
            Some(*delay)
        });
        assert_eq!(delays.collect::<Vec<_>>(), [Duration::from_millis(1_234)]);
        herd.wait(SECOND * 2);
    }
}

#[test]
fn counters_count_starts_and_failures_until_they_are_reset() {
    let mut herd = Herd::ready(spec(2));
    let counters = |herd: &Herd| herd.core.counters(Slot(0));
    assert_eq!(
        counters(&herd),
        Counters::default(),
        "the first is no restart"
    );
    herd.exit(id(0, 1));
    let failed = Counters {
        restarts: 0,
        failures: 1,
    };
    assert_eq!(counters(&herd), failed, "the next one waits");
    herd.wait(SECOND);
    herd.boot(id(0, 3));
    herd.tell(Event::Retire { worker: id(0, 3) });
    let both = Counters {
        restarts: 2,
        failures: 1,
    };
    assert_eq!(counters(&herd), both, "a wish is no failure");
    assert_eq!(herd.core.counters(Slot(1)), Counters::default());
    herd.tell(Event::Reset);
    assert_eq!(counters(&herd), Counters::default());
    herd.boot(id(0, 4));
    herd.exit(id(0, 4));
    herd.wait(SECOND);
    let anew = Counters {
        restarts: 1,
        failures: 1,
    };
    assert_eq!(counters(&herd), anew);
    assert_eq!(herd.core.counters(Slot(99)), Counters::default());
}

#[test]
fn who_is_found_broken_is_killed_as_hung_and_replaced() {
    let mut herd = Herd::ready(spec(1));
    herd.wait(SECOND * 10);
    let (worker, reason) = (id(0, 1), "no answer".repeat(100));
    let actions = herd.tell(Event::Fail { worker, reason });
    let Some(Notice::Failed { reason, .. }) = notices(&actions).into_iter().next() else {
        panic!("{actions:?}");
    };
    assert_eq!(reason.chars().count(), 200, "it is for people");
    assert_eq!(
        deeds(&actions),
        [Action::Withdraw { worker }, Action::Abort { worker }]
    );
    assert!(matches!(herd.phase(worker), Some(Phase::Aborting { .. })));
    let actions = herd.tell(Event::Exited {
        worker,
        exit: Exit::Signal(6),
    });
    assert_eq!(spawns(&actions), [id(0, 2)], "it had been healthy");
    let exited = notices(&actions).into_iter().find_map(|notice| {
        let Notice::Exited { cause, .. } = notice else {
            return None;
        };
        Some(cause)
    });
    assert_eq!(exited, Some(Cause::Watchdog));
}

#[test]
fn a_state_of_the_version_before_is_read() {
    let mut herd = Herd::ready(spec(1));
    herd.silent.insert(id(0, 1));
    herd.wait(SECOND * 20);
    let mut old = serde_json::to_value(&herd.core).expect("it serialises");
    let restart = old["spec"]["restart"].as_object_mut().expect("a policy");
    for field in ["when", "final_codes", "fatal_codes", "growth"] {
        assert!(restart.remove(field).is_some(), "{field}");
    }
    let life = old["spec"]["life"].as_object_mut().expect("a policy");
    for field in ["stop_signal", "max_silence"] {
        assert!(life.remove(field).is_some(), "{field}");
    }
    let place = old["places"][0].as_object_mut().expect("a place");
    assert!(place.remove("tally").is_some());
    let aborting = &mut place["workers"]["1"]["phase"]["Aborting"];
    let aborting = aborting.as_object_mut().expect("it is aborted");
    assert!(aborting.remove("cause").is_some());
    herd.core = serde_json::from_value(old).expect("it is read");
    let told = notices(&herd.exit(id(0, 1)));
    assert!(
        told.iter().any(|notice| matches!(
            notice,
            Notice::Exited {
                cause: Cause::Hang,
                ..
            }
        )),
        "{told:?}"
    );
    herd.wait(SECOND);
    let counted = Counters {
        restarts: 1,
        failures: 1,
    };
    assert_eq!(herd.core.counters(Slot(0)), counted);
}
