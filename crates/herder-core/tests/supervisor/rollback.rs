//! A generation that fails makes way for the one before it.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use herder_core::supervisor::{
    Action, Cause, DrainReason, Event, Failure, FailureKind, Notice, Rollout, Seat,
};
use herder_core::{Exit, Generation, WorkerId};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawns, spec};

/// Two slots; the first has its new worker, the second's is about to start.
fn half_way() -> Herd {
    let mut herd = Herd::ready(spec(2));
    herd.tell(reload(2));
    herd.boot(id(0, 3));
    herd
}

/// Both have, and the old ones stand by.
fn soaking() -> Herd {
    let mut herd = half_way();
    herd.boot(id(1, 4));
    herd
}

#[test]
fn r38_one_that_does_not_boot_leaves_everything_as_it_was() {
    let mut herd = half_way();
    let before: Vec<_> = herd.core.slots().collect();
    herd.tell(Event::Spawned { worker: id(1, 4) });
    let actions = herd.exit(id(1, 4));
    let (worker, exit) = (id(1, 4), Exit::Code(1));
    assert_eq!(
        failure(&actions),
        Some(Failure {
            worker: Some(worker),
            kind: FailureKind::ExitedBeforeReady(exit)
        })
    );
    assert_eq!(
        deeds(&actions),
        [
            Action::Admit { worker: id(0, 1) },
            Action::Withdraw { worker: id(0, 3) }
        ],
        "who can serve does so before the other one stops"
    );
    assert_eq!(herd.core.generation(), Generation(1));
    let [(slot, _), rest @ ..] = &before[..] else {
        panic!("two slots");
    };
    let by = id(0, 1).incarnation;
    let now: Vec<_> = herd.core.slots().collect();
    assert_eq!(now[0], (*slot, Seat::Held { by }));
    assert_eq!(now[1..], *rest);

    let (worker, reason) = (id(0, 3), DrainReason::RolledBack);
    let told = herd.tell(Event::Withdrawn { worker });
    assert_eq!(told, [Action::Drain { worker, reason }]);
    let generation = Generation(2);
    assert_eq!(deeds(&herd.exit(worker)), [Action::Discard { generation }]);
    assert!(!herd.core.is_reloading());
    assert_eq!(herd.core.ready_count(), 2);
}

#[test]
fn r38_who_is_told_to_leave_because_another_was_late_has_its_grace() {
    let mut spec = spec(2);
    spec.reload.surge = NonZeroU16::new(2).expect("not zero");
    let mut herd = Herd::ready(spec);
    herd.tell(reload(2));
    for worker in [id(0, 3), id(1, 4)] {
        herd.tell(Event::Spawned { worker });
    }
    // Both are late at the same moment. The first one fails the generation.
    let actions = herd.wait(60 * SECOND);
    let (worker, reason) = (id(1, 4), DrainReason::RolledBack);
    assert_eq!(
        deeds(&actions),
        [
            Action::Kill { worker: id(0, 3) },
            Action::Drain { worker, reason }
        ]
    );
    let grace = herd.wait(29 * SECOND);
    assert!(!grace.contains(&Action::Kill { worker }), "{grace:?}");
    let grace = herd.wait(SECOND);
    assert!(grace.contains(&Action::Kill { worker }), "{grace:?}");
}

#[test]
fn each_way_to_fail_is_told() {
    let errno = 11;
    let worker = id(1, 4);
    let told = failure(&half_way().tell(Event::SpawnFailed { worker, errno }));
    assert_eq!(kind(told), Some(FailureKind::NotStarted { errno }));

    let mut herd = half_way();
    herd.tell(Event::Spawned { worker });
    herd.wait(10 * SECOND);
    let by = 55 * SECOND;
    herd.tell(Event::BootExtended { worker, by });
    let told = failure(&herd.wait(60 * SECOND));
    let given = 65 * SECOND;
    assert_eq!(kind(told), Some(FailureKind::NotReadyInTime(given)));

    let mut herd = soaking();
    herd.wait(3 * SECOND);
    let exit = Exit::Signal(11);
    let told = failure(&herd.tell(Event::Exited { worker, exit }));
    let died = |exit, cause, after| FailureKind::Died { exit, cause, after };
    let expected = died(Some(exit), Cause::Crash, 3 * SECOND);
    assert_eq!(kind(told), Some(expected));

    let mut herd = soaking();
    herd.silent.insert(worker);
    let told = failure(&herd.wait(20 * SECOND));
    let expected = died(None, Cause::Hang, 20 * SECOND);
    assert_eq!(kind(told), Some(expected));

    let told = failure(&soaking().tell(Event::Misbehaved { worker }));
    assert_eq!(kind(told), Some(FailureKind::Protocol));

    let told = failure(&soaking().tell(Event::StopNow));
    let stopped = FailureKind::Stopped;
    assert_eq!(
        told,
        Some(Failure {
            worker: None,
            kind: stopped
        })
    );
}

#[test]
fn one_that_announces_its_end_before_it_is_ready_has_failed() {
    let mut herd = half_way();
    let worker = id(1, 4);
    herd.tell(Event::Spawned { worker });
    let actions = herd.tell(Event::Retire { worker });
    assert_eq!(failure(&actions), None, "how it ends is worth knowing");
    let told = failure(&herd.exit(worker));
    let exit = Exit::Code(1);
    assert_eq!(kind(told), Some(FailureKind::ExitedBeforeReady(exit)));
}

#[test]
fn one_that_retires_all_the_time_has_failed() {
    let mut spec = spec(1);
    spec.restart.max_restarts = NonZeroU32::new(2);
    let mut herd = Herd::ready(spec);
    // What the old generation did is not held against the new one.
    for n in 1..=2 {
        herd.tell(Event::Retire { worker: id(0, n) });
        herd.boot(id(0, n + 1));
        herd.exit(id(0, n));
    }
    herd.tell(reload(2));
    herd.boot(id(0, 4));
    for n in 4..=5 {
        let actions = herd.tell(Event::Retire { worker: id(0, n) });
        assert_eq!(spawns(&actions), [id(0, n + 1)]);
        herd.boot(id(0, n + 1));
    }
    let worker = id(0, 6);
    let actions = herd.tell(Event::Retire { worker });
    let cause = Cause::Planned(DrainReason::Retired);
    assert!(matches!(
        kind(failure(&actions)),
        Some(FailureKind::Died { exit: None, cause: told, .. }) if told == cause
    ));
    assert_eq!(
        deeds(&actions),
        [
            Action::Withdraw { worker },
            Action::Admit { worker: id(0, 3) }
        ]
    );
}

#[test]
fn a_slot_that_has_lost_its_old_worker_gets_another_of_its_generation() {
    let mut herd = soaking();
    herd.exit(id(0, 1));
    let actions = herd.exit(id(0, 3));
    assert_eq!(
        deeds(&actions),
        [
            Action::Admit { worker: id(1, 2) },
            Action::Withdraw { worker: id(1, 4) },
            start(id(0, 5), 1),
        ]
    );
    assert_eq!(herd.core.rollout(), Rollout::Returning);
    let waits = herd.tell(reload(3));
    let generation = Generation(3);
    assert_eq!(
        notices(&waits),
        [Notice::ReloadWaits { generation }],
        "one thing after the other"
    );
    let whole = herd.boot(id(0, 5));
    assert!(whole.contains(&start(id(0, 6), 3)), "{whole:?}");
}

#[test]
fn two_spawns_of_a_slot_do_not_overlap_even_then() {
    let mut spec = spec(2);
    spec.reload.surge = NonZeroU16::new(2).expect("not zero");
    let mut herd = Herd::ready(spec);
    herd.tell(reload(2));
    herd.exit(id(0, 1));
    herd.tell(Event::Spawned { worker: id(1, 4) });
    let actions = herd.exit(id(1, 4));
    assert_eq!(spawns(&actions), [], "0#3 may still come to exist");
    assert!(matches!(herd.seat(0), Seat::Owed { .. }));
    let appeared = herd.tell(Event::Spawned { worker: id(0, 3) });
    assert_eq!(deeds(&appeared)[1], start(id(0, 5), 1));
}

#[test]
fn what_rested_before_rests_again() {
    let mut spec = spec(2);
    spec.restart.max_restarts = NonZeroU32::new(1);
    let mut herd = Herd::ready(spec);
    herd.exit(id(1, 2));
    herd.wait(SECOND);
    herd.exit(id(1, 3));
    let before = herd.seat(1);
    assert!(matches!(before, Seat::Quarantined { .. }));
    let actions = herd.tell(reload(2));
    assert_eq!(
        deeds(&actions),
        [start(id(1, 4), 2), start(id(0, 5), 2)],
        "it may be what mends the slot"
    );
    let actions = herd.exit(id(1, 4));
    assert_eq!(herd.seat(1), before);
    assert!(
        notices(&actions)
            .iter()
            .any(|notice| matches!(notice, Notice::Quarantined { .. }))
    );
}

#[test]
fn planned_replacements_rest_until_the_latch_opens() {
    let mut spec = spec(1);
    spec.recycle.max_requests = NonZeroU64::new(10);
    let mut herd = Herd::ready(spec);
    herd.tell(reload(2));
    let actions = herd.exit(id(0, 2));
    let (generation, until) = (Generation(2), herd.now.after(600 * SECOND));
    assert_eq!(
        notices(&actions).last(),
        Some(&Notice::Latched { generation, until })
    );
    assert_eq!(herd.core.latched_until(), Some(until));
    let worker = id(0, 1);
    assert_eq!(herd.tell(Event::Served { worker, total: 10 }), []);
    assert_eq!(herd.wait(599 * SECOND), []);
    let open = herd.wait(SECOND);
    assert_eq!(notices(&open)[0], Notice::Unlatched);
    assert_eq!(spawns(&open), [id(0, 3)]);
}

#[test]
fn the_latch_does_not_hold_what_must_be_and_a_success_opens_it() {
    let mut herd = Herd::ready(spec(2));
    herd.wait(10 * SECOND);
    herd.tell(reload(2));
    herd.exit(id(0, 3));
    assert_eq!(spawns(&herd.exit(id(1, 2))), [id(1, 4)], "healing");
    herd.boot(id(1, 4));
    assert_eq!(
        spawns(&herd.tell(Event::Scale(crate::harness::count(3)))),
        [id(2, 5)]
    );
    herd.boot(id(2, 5));
    herd.tell(reload(3));
    for new in [id(0, 6), id(1, 7), id(2, 8)] {
        herd.boot(new);
    }
    let over = notices(&herd.wait(10 * SECOND));
    assert!(matches!(
        over[..2],
        [Notice::Reloaded { .. }, Notice::Unlatched]
    ));
}

#[test]
fn a_failure_after_the_soak_is_a_failure_like_any_other() {
    let mut herd = soaking();
    herd.wait(10 * SECOND);
    let actions = herd.exit(id(0, 3));
    assert_eq!(failure(&actions), None);
    assert_eq!(deeds(&actions), [start(id(0, 5), 2)]);
}

fn failure(actions: &[Action]) -> Option<Failure> {
    let told = |action: &Action| {
        let Action::Announce(Notice::RolledBack { failure, .. }) = action else {
            return None;
        };
        Some(*failure)
    };
    let all: Vec<Failure> = actions.iter().filter_map(told).collect();
    assert!(all.len() <= 1, "one verdict each: {all:?}");
    all.first().copied()
}

fn kind(failure: Option<Failure>) -> Option<FailureKind> {
    failure.map(|failure| failure.kind)
}

fn reload(generation: u32) -> Event {
    Event::Reload {
        generation: Generation(generation),
    }
}

fn start(worker: WorkerId, generation: u32) -> Action {
    Action::Spawn {
        worker,
        generation: Generation(generation),
    }
}
