//! A worker announces its own end.

use std::num::{NonZeroU16, NonZeroU32};

use herder_core::supervisor::{Action, Cause, DrainReason, Event, Notice, Outcome, Phase, Seat};
use herder_core::{Exit, WorkerId};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawn, spawns, spec};

#[test]
fn the_successor_starts_at_once_and_the_old_one_finishes_what_it_has() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    let reason = DrainReason::Retired;
    let actions = herd.tell(Event::Retire { worker });
    assert_eq!(
        actions,
        [
            Action::Announce(Notice::Retired { worker }),
            spawn(id(0, 2)),
            Action::Withdraw { worker },
        ]
    );
    assert_eq!(
        herd.tell(Event::Withdrawn { worker }),
        [Action::Drain { worker, reason }]
    );
    herd.boot(id(0, 2));
    let exit = Exit::Code(1);
    let actions = herd.tell(Event::Exited { worker, exit });
    let cause = Cause::Planned(reason);
    assert_eq!(
        actions,
        [Action::Announce(Notice::Exited {
            worker,
            exit,
            cause
        })]
    );
    assert_eq!(herd.alive(), [id(0, 2)]);
}

#[test]
fn a_second_suicide_of_the_same_worker_changes_nothing() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Retire { worker });
    assert_eq!(herd.tell(Event::Retire { worker }), []);
    herd.tell(Event::Withdrawn { worker });
    assert_eq!(herd.tell(Event::Retire { worker }), []);
    herd.exit(worker);
    assert_eq!(herd.tell(Event::Retire { worker }), []);
    assert_eq!(herd.core.stale_events(), 1);
}

#[test]
fn r04_suicides_count_and_one_too_many_is_a_quarantine() {
    let mut herd = Herd::ready(spec(1));
    for n in 1..=5 {
        let actions = herd.tell(Event::Retire { worker: id(0, n) });
        assert_eq!(spawns(&actions), [id(0, n + 1)], "without delay");
        herd.boot(id(0, n + 1));
        herd.wait(SECOND);
    }
    let worker = id(0, 6);
    let actions = herd.tell(Event::Retire { worker });
    assert_eq!(deeds(&actions), [Action::Withdraw { worker }]);
    assert!(matches!(
        notices(&actions)[1],
        Notice::Quarantined { restarts: 5, .. }
    ));
    for n in 1..=6 {
        herd.exit(id(0, n));
    }
    assert_eq!(spawns(&herd.wait(59 * SECOND)), []);
    assert_eq!(spawns(&herd.wait(SECOND)), [id(0, 7)]);
}

#[test]
fn without_a_limit_every_request_may_end_its_worker() {
    let mut spec = spec(2);
    spec.restart.max_restarts = None;
    let mut herd = Herd::ready(spec);
    let mut current = [id(0, 1), id(1, 2)];
    for _ in 0..500 {
        for worker in &mut current {
            let next = spawns(&herd.tell(Event::Retire { worker: *worker }));
            assert_eq!(next.len(), 1);
            herd.tell(Event::Withdrawn { worker: *worker });
            herd.boot(next[0]);
            herd.exit(*worker);
            *worker = next[0];
        }
    }
    assert_eq!(herd.core.ready_count(), 2);
    assert_eq!(herd.alive().len(), 2);
}

#[test]
fn a_suicide_before_ready_is_a_failed_start() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    let reason = DrainReason::Retired;
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker });
    let actions = herd.tell(Event::Retire { worker });
    assert_eq!(deeds(&actions), [Action::Drain { worker, reason }]);
    assert_eq!(herd.tell(Event::Ready { worker }), [], "never admitted");
    let exit = Exit::Code(1);
    let actions = herd.tell(Event::Exited { worker, exit });
    let cause = Cause::Planned(reason);
    assert_eq!(
        notices(&actions)[0],
        Notice::Exited {
            worker,
            exit,
            cause
        }
    );
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
}

#[test]
fn a_suspect_may_announce_its_end() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    herd.wait(15 * SECOND);
    let actions = herd.tell(Event::Retire { worker });
    let expected = [spawn(id(0, 2)), Action::Withdraw { worker }];
    assert_eq!(deeds(&actions), expected);
}

#[test]
fn when_too_many_drain_the_successor_waits_for_one_to_leave() {
    let mut herd = draining_herd();
    let waiting = herd.tell(Event::Retire { worker: id(2, 3) });
    let slot = id(2, 3).slot;
    assert_eq!(
        notices(&waiting)[1],
        Notice::ReplacementWaits { slot, draining: 2 }
    );
    assert_eq!(spawns(&waiting), []);
    herd.leap(SECOND);
    herd.tell(Event::Retire { worker: id(3, 4) });
    assert_eq!(
        spawns(&herd.exit(id(0, 1))),
        [id(2, 7)],
        "who waits longest is first"
    );
    assert_eq!(spawns(&herd.exit(id(2, 3))), [id(3, 8)]);
    assert_eq!(spawns(&herd.exit(id(1, 2))), []);
}

#[test]
fn one_that_is_killed_after_its_grace_drains_no_longer() {
    let mut herd = draining_herd();
    herd.tell(Event::Retire { worker: id(2, 3) });
    assert_eq!(spawns(&herd.wait(29 * SECOND)), []);
    assert_eq!(
        spawns(&herd.wait(SECOND)),
        [id(2, 7)],
        "nobody had to die for it"
    );
}

#[test]
fn the_processes_of_an_app_are_bounded() {
    let mut herd = draining_herd();
    for _ in 0..50 {
        for worker in herd.alive() {
            herd.boot(worker);
            herd.tell(Event::Retire { worker });
        }
        assert!(herd.alive().len() <= 4 + 2, "{:?}", herd.alive());
    }
}

#[test]
fn a_successor_that_waits_is_forgotten_by_a_stop() {
    let mut herd = draining_herd();
    herd.tell(Event::Retire { worker: id(2, 3) });
    herd.tell(Event::Stop);
    let mut actions = Vec::new();
    for worker in herd.alive() {
        actions.extend(herd.exit(worker));
    }
    assert_eq!(deeds(&actions), [Action::Finish(Outcome::Stopped)]);
}

#[test]
fn a_suicide_after_a_long_life_clears_the_failures() {
    let mut spec = spec(1);
    spec.restart.max_restarts = NonZeroU32::new(50);
    let mut herd = Herd::ready(spec);
    herd.exit(id(0, 1));
    herd.wait(SECOND);
    herd.boot(id(0, 2));
    herd.wait(10 * SECOND);
    herd.tell(Event::Retire { worker: id(0, 2) });
    herd.exit(id(0, 3));
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
}

/// Four slots, two of which may drain at a time and do: 0 and 1.
fn draining_herd() -> Herd {
    let mut spec = spec(4);
    spec.life.max_draining = NonZeroU16::new(2).expect("not zero");
    spec.restart.max_restarts = None;
    let mut herd = Herd::ready(spec);
    for (old, new) in [(id(0, 1), id(0, 5)), (id(1, 2), id(1, 6))] {
        assert_eq!(spawns(&herd.tell(Event::Retire { worker: old })), [new]);
        herd.boot(new);
    }
    let draining = |worker: WorkerId| herd.phase(worker).is_some_and(|p| p.is_leaving());
    assert!(draining(id(0, 1)) && draining(id(1, 2)));
    assert!(matches!(herd.phase(id(2, 3)), Some(Phase::Ready { .. })));
    herd
}
