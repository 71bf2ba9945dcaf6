//! A worker gets the last job of its life.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use herder_core::supervisor::{
    Action, Cause, DrainReason, Event, Notice, Outcome, Phase, RecycleReason, Seat, Start,
};
use herder_core::{Exit, WorkerId};

use crate::harness::{Herd, SECOND, count, deeds, id, notices, spawn, spawns, spec};

const JOBS: DrainReason = DrainReason::Recycle(RecycleReason::Jobs);

#[test]
fn the_successor_starts_at_once_and_the_old_one_finishes_what_it_has() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    let (reason, limit) = (JOBS, RecycleReason::Jobs);
    let expected = [
        Action::Announce(Notice::Recycling {
            worker,
            reason: limit,
        }),
        spawn(id(0, 2)),
        Action::Announce(Notice::Stopping { worker, reason }),
        Action::Withdraw { worker },
    ];
    assert_eq!(herd.tell(Event::Exhausted { worker }), expected);
    assert_eq!(
        herd.tell(Event::Withdrawn { worker }),
        [Action::Drain { worker, reason }]
    );
    herd.boot(id(0, 2));
    let exit = Exit::Code(0);
    let cause = Cause::Planned(reason);
    let gone = Notice::Exited {
        worker,
        exit,
        cause,
    };
    assert_eq!(
        herd.tell(Event::Exited { worker, exit }),
        [Action::Announce(gone)]
    );
    assert_eq!(herd.alive(), [id(0, 2)]);
}

#[test]
fn several_may_be_exhausted_at_once() {
    let mut herd = Herd::ready(spec(4));
    let old = herd.alive();
    let mut started = Vec::new();
    for worker in &old {
        started.extend(spawns(&herd.tell(Event::Exhausted { worker: *worker })));
    }
    assert_eq!(started, [id(0, 5), id(1, 6), id(2, 7), id(3, 8)]);
    for worker in old {
        herd.tell(Event::Withdrawn { worker });
        assert_eq!(deeds(&herd.exit(worker)), []);
    }
    assert_eq!(herd.alive(), started);
}

#[test]
fn one_that_says_nothing_more_may_still_be_exhausted() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    herd.wait(15 * SECOND);
    assert!(matches!(herd.phase(worker), Some(Phase::Suspect { .. })));
    let expected = [spawn(id(0, 2)), Action::Withdraw { worker }];
    assert_eq!(deeds(&herd.tell(Event::Exhausted { worker })), expected);
    herd.boot(id(0, 2));
    // It hangs with its last job: it has the grace of everybody who leaves, and is then killed.
    assert_eq!(deeds(&herd.wait(29 * SECOND)), []);
    assert_eq!(deeds(&herd.wait(SECOND)), [Action::Kill { worker }]);
}

#[test]
fn one_that_dies_of_its_last_job_costs_its_slot_nothing() {
    let mut spec = spec(1);
    spec.restart.max_restarts = NonZeroU32::new(1);
    let mut herd = Herd::ready(spec);
    for n in 1..=20 {
        let worker = id(0, n);
        herd.tell(Event::Exhausted { worker });
        // Before anything was taken back from it.
        let exit = Exit::Signal(11);
        let actions = herd.tell(Event::Exited { worker, exit });
        let cause = Cause::Planned(JOBS);
        let gone = Notice::Exited {
            worker,
            exit,
            cause,
        };
        assert_eq!(actions, [Action::Announce(gone)]);
        assert_eq!(herd.tell(Event::Withdrawn { worker }), []);
        herd.boot(id(0, n + 1));
    }
    assert_eq!(herd.core.ready_count(), 1);
}

#[test]
fn a_replacement_that_is_under_way_takes_over() {
    let mut herd = recycling_herd();
    let worker = id(0, 1);
    assert_eq!(
        deeds(&herd.tell(Event::Exhausted { worker })),
        [Action::Withdraw { worker }]
    );
    assert_eq!(herd.seat(0), held(3));
    let told = notices(&herd.boot(id(0, 3)));
    let stops = |notice: &Notice| matches!(notice, Notice::Stopping { .. });
    assert!(!told.iter().any(stops), "it leaves already: {told:?}");
    // The next in turn is not kept waiting by a recycling that is over.
    let worker = id(1, 2);
    assert_eq!(
        spawns(&herd.tell(Event::Served { worker, total: 9 })),
        [id(1, 4)]
    );
}

#[test]
fn a_replacement_that_took_over_and_fails_is_a_failed_start() {
    let mut herd = recycling_herd();
    herd.tell(Event::Exhausted { worker: id(0, 1) });
    herd.exit(id(0, 3));
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
}

#[test]
fn a_replacement_that_failed_is_not_waited_for() {
    let mut herd = recycling_herd();
    herd.exit(id(0, 3));
    let worker = id(0, 1);
    let actions = herd.tell(Event::Exhausted { worker });
    assert_eq!(spawns(&actions), [id(0, 4)]);
    assert_eq!(herd.seat(0), held(4));
}

#[test]
fn when_too_many_drain_the_successor_waits_and_is_planned_still() {
    let mut spec = spec(3);
    spec.life.max_draining = NonZeroU16::new(1).expect("not zero");
    spec.restart.max_restarts = NonZeroU32::new(1);
    let mut herd = Herd::ready(spec);
    assert_eq!(
        spawns(&herd.tell(Event::Exhausted { worker: id(0, 1) })),
        [id(0, 4)]
    );
    herd.boot(id(0, 4));
    for n in 0..20 {
        // Slot 1 waits for slot 0 to be left, and slot 0 then for slot 1.
        let (waits, drains) = if n % 2 == 0 { (1, 0) } else { (0, 1) };
        let worker = serving(&herd, waits);
        let actions = herd.tell(Event::Exhausted { worker });
        assert_eq!(deeds(&actions), [Action::Withdraw { worker }]);
        let slot = worker.slot;
        let draining = 1;
        assert!(notices(&actions).contains(&Notice::ReplacementWaits { slot, draining }));
        let (since, start) = (herd.now, Start::Planned);
        assert_eq!(herd.seat(waits), Seat::Owed { since, start });
        let successor = spawns(&herd.exit(leaving(&herd, drains)));
        assert_eq!(successor.len(), 1, "no quarantine");
        herd.boot(successor[0]);
    }
}

#[test]
fn who_waits_longest_is_first_whatever_it_waits_for() {
    let mut spec = spec(3);
    spec.life.max_draining = NonZeroU16::new(1).expect("not zero");
    spec.restart.max_restarts = NonZeroU32::new(1);
    let mut herd = Herd::ready(spec);
    herd.tell(Event::Retire { worker: id(0, 1) });
    herd.boot(id(0, 4));
    herd.tell(Event::Exhausted { worker: id(2, 3) });
    herd.leap(SECOND);
    herd.tell(Event::Retire { worker: id(1, 2) });
    assert_eq!(spawns(&herd.exit(id(0, 1))), [id(2, 5)]);
    assert_eq!(spawns(&herd.exit(id(2, 3))), [id(1, 6)]);
    // The suicide was counted when its successor started; the exhausted one was not.
    herd.boot(id(1, 6));
    herd.boot(id(2, 5));
    herd.exit(id(1, 2));
    let counted = notices(&herd.tell(Event::Retire { worker: id(1, 6) }));
    assert!(matches!(
        counted[1],
        Notice::Quarantined { restarts: 1, .. }
    ));
    herd.exit(id(1, 6));
    assert_eq!(
        spawns(&herd.tell(Event::Retire { worker: id(2, 5) })),
        [id(2, 7)]
    );
}

#[test]
fn the_processes_of_an_app_are_bounded() {
    let mut spec = spec(4);
    spec.life.max_draining = NonZeroU16::new(2).expect("not zero");
    let mut herd = Herd::ready(spec);
    for _ in 0..50 {
        for worker in herd.alive() {
            herd.boot(worker);
            herd.tell(Event::Exhausted { worker });
        }
        assert!(herd.alive().len() <= 4 + 2, "{:?}", herd.alive());
    }
}

#[test]
fn a_worker_for_every_job_is_no_crash_loop() {
    let mut herd = Herd::ready(spec(2));
    let mut current = [id(0, 1), id(1, 2)];
    for _ in 0..3_000 {
        for worker in &mut current {
            let actions = herd.tell(Event::Exhausted { worker: *worker });
            let next = spawns(&actions);
            assert_eq!(next.len(), 1, "{actions:?}");
            herd.tell(Event::Withdrawn { worker: *worker });
            herd.boot(next[0]);
            assert_eq!(deeds(&herd.exit(*worker)), []);
            *worker = next[0];
        }
        herd.wait(Duration::from_millis(1));
    }
    assert_eq!(herd.core.ready_count(), 2);
    assert_eq!(herd.alive(), current);
}

#[test]
fn a_last_job_clears_the_failures_however_short_the_life_was() {
    let mut herd = Herd::ready(spec(1));
    herd.exit(id(0, 1));
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
    herd.wait(SECOND);
    herd.boot(id(0, 2));
    herd.tell(Event::Exhausted { worker: id(0, 2) });
    herd.exit(id(0, 3));
    assert!(
        matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }),
        "{:?}",
        herd.seat(0)
    );
}

#[test]
fn a_successor_that_fails_is_a_failed_start_and_counted_when_it_is_tried_again() {
    let mut spec = spec(1);
    spec.restart.max_restarts = NonZeroU32::new(2);
    let mut herd = Herd::ready(spec);
    herd.tell(Event::Exhausted { worker: id(0, 1) });
    for n in 2..=4 {
        herd.tell(Event::SpawnFailed {
            worker: id(0, n),
            errno: 11,
        });
        herd.wait(SECOND);
    }
    assert!(
        matches!(herd.seat(0), Seat::Quarantined { .. }),
        "{:?}",
        herd.seat(0)
    );
}

#[test]
fn it_happens_once_and_to_those_who_serve() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Start);
    assert_eq!(herd.tell(Event::Exhausted { worker }), [], "not yet ready");
    assert!(matches!(herd.phase(worker), Some(Phase::Spawning { .. })));
    herd.boot(worker);
    assert_ne!(herd.tell(Event::Exhausted { worker }), []);
    assert_eq!(herd.tell(Event::Exhausted { worker }), []);
    assert_eq!(herd.tell(Event::Retire { worker }), []);
    herd.tell(Event::Withdrawn { worker });
    assert_eq!(herd.tell(Event::Exhausted { worker }), []);
    herd.exit(worker);
    assert_eq!(herd.tell(Event::Exhausted { worker }), []);
    assert_eq!(herd.core.stale_events(), 1);
    assert_eq!(herd.alive(), [id(0, 2)]);
}

#[test]
fn after_a_suicide_or_a_loss_of_its_slot_it_changes_nothing() {
    let mut herd = Herd::ready(spec(2));
    herd.tell(Event::Retire { worker: id(0, 1) });
    herd.tell(Event::Scale(count(1)));
    for worker in [id(0, 1), id(1, 2)] {
        assert_eq!(herd.tell(Event::Exhausted { worker }), []);
    }
}

#[test]
fn after_a_stop_it_changes_nothing() {
    let mut herd = Herd::ready(spec(2));
    let worker = id(0, 1);
    herd.tell(Event::Stop);
    let before = herd.phase(worker);
    assert_eq!(herd.tell(Event::Exhausted { worker }), []);
    assert_eq!(herd.phase(worker), before);
    herd.exit(worker);
    let last = herd.exit(id(1, 2));
    assert_eq!(deeds(&last), [Action::Finish(Outcome::Stopped)]);
    assert_eq!(herd.tell(Event::Exhausted { worker }), []);
}

#[test]
fn a_successor_that_waits_is_forgotten_by_a_stop_and_by_a_loss_of_its_slot() {
    let mut spec = spec(3);
    spec.life.max_draining = NonZeroU16::new(1).expect("not zero");
    let mut herd = Herd::ready(spec);
    for worker in herd.alive() {
        herd.tell(Event::Exhausted { worker });
    }
    assert!(matches!(herd.seat(2), Seat::Owed { .. }));
    herd.tell(Event::Scale(count(2)));
    assert!(matches!(herd.seat(2), Seat::Stopped { .. }));
    herd.tell(Event::Stop);
    let mut actions = Vec::new();
    for worker in herd.alive() {
        actions.extend(herd.exit(worker));
    }
    assert_eq!(deeds(&actions), [Action::Finish(Outcome::Stopped)]);
}

/// Two slots; a replacement of the worker in slot 0, which has served its requests, is under way.
fn recycling_herd() -> Herd {
    let mut spec = spec(2);
    spec.recycle.max_requests = std::num::NonZeroU64::new(9);
    let mut herd = Herd::ready(spec);
    let worker = id(0, 1);
    let actions = herd.tell(Event::Served { worker, total: 9 });
    assert_eq!(spawns(&actions), [id(0, 3)]);
    herd
}

fn held(incarnation: u64) -> Seat {
    let by = id(0, incarnation).incarnation;
    Seat::Held { by }
}

fn serving(herd: &Herd, slot: u16) -> WorkerId {
    find(herd, slot, |phase| phase.is_serving())
}

fn leaving(herd: &Herd, slot: u16) -> WorkerId {
    find(herd, slot, |phase| phase.is_leaving())
}

fn find(herd: &Herd, slot: u16, wanted: impl Fn(&Phase) -> bool) -> WorkerId {
    let mut workers = herd.core.workers();
    workers
        .find(|(worker, phase)| worker.slot.0 == slot && wanted(phase))
        .map(|(worker, _)| worker)
        .expect("there is one")
}
