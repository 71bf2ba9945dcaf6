//! The stop ladder.

use herder_core::supervisor::{Action, Cause, DrainReason, Event, Notice, Outcome, Phase};
use herder_core::{Exit, Tick};

use crate::harness::{Herd, SECOND, deeds, id, notices, spec};

const STOP: DrainReason = DrainReason::Stop;

#[test]
fn r13_withdraw_then_drain_then_kill() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    let told = herd.now;
    assert_eq!(
        deeds(&herd.tell(Event::Stop)),
        [Action::Withdraw { worker }]
    );
    herd.leap(SECOND);
    let drain = Action::Drain {
        worker,
        reason: STOP,
    };
    assert_eq!(herd.tell(Event::Withdrawn { worker }), [drain]);
    let seen = herd.pass(30 * SECOND);
    let expected = [
        Action::Announce(Notice::GraceExpired { worker }),
        Action::Kill { worker },
    ]
    .map(|action| (told.after(30 * SECOND), action));
    assert_eq!(seen, expected, "the grace counts from the withdrawal");
    let exit = Exit::Signal(9);
    let cause = Cause::Planned(STOP);
    assert_eq!(
        herd.tell(Event::Exited { worker, exit }),
        [
            Action::Announce(Notice::Exited {
                worker,
                exit,
                cause
            }),
            Action::Finish(Outcome::Stopped)
        ]
    );
    assert!(herd.core.is_finished());
    assert_eq!(herd.core.poll_timeout(), None);
}

#[test]
fn r13_a_dispatcher_that_never_answers_delays_nothing() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(Event::Stop);
    let actions = herd.wait(30 * SECOND);
    assert_eq!(deeds(&actions), [Action::Kill { worker: id(0, 1) }]);
}

#[test]
fn r13_a_worker_that_outlives_its_kill_is_killed_again() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::StopNow);
    let again = herd.wait(16 * SECOND);
    assert_eq!(
        again,
        [
            Action::Kill { worker },
            Action::Kill { worker },
            Action::Kill { worker }
        ]
    );
}

#[test]
fn r13_whatever_a_worker_says_its_end_comes_in_time() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    let told = herd.now;
    herd.tell(Event::Stop);
    let mut killed = None;
    for second in 0..31 {
        for event in [
            Event::Ready { worker },
            Event::Beat { worker },
            Event::BootExtended {
                worker,
                by: 1_000 * SECOND,
            },
            Event::Retire { worker },
            Event::Withdrawn { worker },
        ] {
            herd.tell(event);
        }
        let seen = herd.pass(SECOND);
        let kill = seen
            .iter()
            .find(|(_, action)| *action == Action::Kill { worker });
        killed = killed.or(kill.map(|(at, _)| *at));
        assert!(killed.is_none() || second >= 29);
    }
    assert_eq!(killed, Some(told.after(30 * SECOND)));
}

#[test]
fn everyone_leaves_whatever_it_is_doing_and_pending_starts_are_forgotten() {
    let mut herd = Herd::ready(spec(6));
    herd.exit(id(0, 1));
    herd.silent.insert(id(1, 2));
    herd.wait(10 * SECOND);
    let starting = id(0, 7);
    herd.tell(Event::Spawned { worker: starting });
    herd.exit(id(2, 3));
    herd.tell(Event::Retire { worker: id(3, 4) });
    herd.tell(Event::Misbehaved { worker: id(4, 5) });
    let spawning = id(3, 9);
    assert!(matches!(herd.phase(spawning), Some(Phase::Spawning { .. })));
    let told = deeds(&herd.tell(Event::Stop));
    let expected = [
        Action::Drain {
            worker: starting,
            reason: STOP,
        },
        Action::Withdraw { worker: id(1, 2) },
        Action::Withdraw { worker: id(5, 6) },
    ];
    assert_eq!(told[0], expected[0]);
    assert!(
        told.contains(&expected[1]) && told.contains(&expected[2]),
        "{told:?}"
    );
    herd.exit(id(2, 8));
    let actions = herd.tell(Event::Spawned { worker: spawning });
    assert_eq!(
        deeds(&actions),
        [Action::Drain {
            worker: spawning,
            reason: STOP
        }]
    );
    let mut last = Vec::new();
    for worker in herd.alive() {
        last = herd.exit(worker);
    }
    assert_eq!(last.last(), Some(&Action::Finish(Outcome::Stopped)));
    assert_eq!(herd.wait(3_600 * SECOND), []);
}

#[test]
fn a_second_stop_changes_nothing_and_a_fast_one_hurries() {
    let mut herd = Herd::ready(spec(2));
    herd.tell(Event::Stop);
    assert_eq!(herd.tell(Event::Stop), []);
    herd.tell(Event::Withdrawn { worker: id(0, 1) });
    let kills = [
        Action::Kill { worker: id(0, 1) },
        Action::Kill { worker: id(1, 2) },
    ];
    assert_eq!(herd.tell(Event::StopNow), kills);
    assert_eq!(herd.tell(Event::StopNow), []);
}

#[test]
fn a_fast_stop_kills_at_once_and_takes_back_what_is_queued() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    let actions = herd.tell(Event::StopNow);
    assert_eq!(
        deeds(&actions),
        [Action::Withdraw { worker }, Action::Kill { worker }]
    );
    assert_eq!(herd.tell(Event::Withdrawn { worker }), []);
    assert_eq!(
        deeds(&herd.exit(worker)),
        [Action::Finish(Outcome::Stopped)]
    );
}

#[test]
fn a_process_that_appears_after_its_kill_is_killed_again() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Start);
    assert_eq!(deeds(&herd.tell(Event::StopNow)), [Action::Kill { worker }]);
    assert_eq!(
        herd.tell(Event::Spawned { worker }),
        [Action::Kill { worker }]
    );
    assert_eq!(
        deeds(&herd.exit(worker)),
        [Action::Finish(Outcome::Stopped)]
    );
}

#[test]
fn an_app_that_was_never_started_stops_at_once() {
    for stop in [Event::Stop, Event::StopNow] {
        let mut herd = Herd::new(spec(2));
        assert_eq!(herd.tell(stop), [Action::Finish(Outcome::Stopped)]);
        assert_eq!(herd.tell(Event::Start), []);
    }
}

#[test]
fn what_comes_after_the_end_changes_nothing() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(Event::StopNow);
    herd.exit(id(0, 1));
    for event in [
        Event::Start,
        Event::Stop,
        Event::StopNow,
        Event::Reset,
        Event::Timer,
        Event::Scale(crate::harness::count(5)),
        Event::Ready { worker: id(0, 1) },
    ] {
        assert_eq!(herd.tell(event), []);
    }
}

#[test]
fn a_retired_worker_keeps_its_own_deadline_and_reason() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Retire { worker });
    herd.wait(20 * SECOND);
    herd.tell(Event::Stop);
    let seen = herd.wait(10 * SECOND);
    assert!(seen.contains(&Action::Kill { worker }));
    let exit = Exit::Signal(9);
    let actions = herd.tell(Event::Exited { worker, exit });
    let cause = Cause::Planned(DrainReason::Retired);
    assert_eq!(
        notices(&actions),
        [Notice::Exited {
            worker,
            exit,
            cause
        }]
    );
}

/// One that leaves in each of the three ways, `grace` from now.
fn leaving() -> Herd {
    let mut herd = Herd::ready(spec(3));
    herd.exit(id(2, 3));
    herd.wait(SECOND);
    herd.tell(Event::Stop);
    herd.tell(Event::Withdrawn { worker: id(0, 1) });
    let phases: Vec<_> = herd.core.workers().map(|(_, phase)| phase).collect();
    assert!(
        matches!(
            phases[..],
            [
                Phase::Draining { .. },
                Phase::Withdrawing { .. },
                Phase::Recalled { .. }
            ]
        ),
        "{phases:?}"
    );
    herd
}

#[test]
fn r30_nobody_is_killed_for_the_time_in_which_nobody_was_in_charge() {
    for lasted in [1, 29, 30, 31, 3_600] {
        let mut herd = leaving();
        let began = herd.now;
        herd.wait(SECOND * 10);
        herd.leap(SECOND * lasted);
        let lasted = SECOND * lasted;
        assert_eq!(herd.tell(Event::StoodStill { lasted }), []);
        assert_eq!(herd.tell(Event::Timer), [], "{lasted:?}");
        let seen = herd.pass(SECOND * 60);
        let kills = |(_, action): &&(Tick, Action)| matches!(action, Action::Kill { .. });
        let killed: Vec<Tick> = seen.iter().filter(kills).map(|(at, _)| *at).collect();
        let due = began.after(SECOND * 30 + lasted);
        assert_eq!(killed[..3], [due; 3], "after all of their grace");
    }
}
