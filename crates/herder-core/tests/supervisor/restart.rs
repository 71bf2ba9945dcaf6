//! Who died is replaced: at once, after a while, or after a rest.

use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{Action, Cause, Event, Notice, Phase, Seat};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawn, spawns, spec};

#[test]
fn r02_a_worker_that_was_ready_long_enough_is_replaced_at_once() {
    let mut herd = Herd::ready(spec(2));
    herd.wait(10 * SECOND);
    let actions = herd.exit(id(0, 1));
    assert_eq!(deeds(&actions), [spawn(id(0, 3))]);
}

#[test]
fn r02_nobody_else_is_touched_by_a_death() {
    let mut herd = Herd::ready(spec(4));
    herd.wait(SECOND);
    herd.exit(id(2, 3));
    let actions = herd.wait(SECOND);
    assert_eq!(deeds(&actions), [spawn(id(2, 5))]);
    assert_eq!(herd.core.ready_count(), 3);
}

#[test]
fn r02_a_stable_worker_clears_the_count_of_failures() {
    let mut herd = Herd::ready(spec(1));
    let delays = |herd: &mut Herd, worker| delay_of(&herd.exit(worker));
    assert!(delays(&mut herd, id(0, 1)).is_some());
    herd.wait(SECOND);
    herd.boot(id(0, 2));
    let second = delays(&mut herd, id(0, 2)).expect("not stable");
    assert!(second >= Duration::from_millis(180), "{second:?}");
    herd.wait(SECOND);
    herd.boot(id(0, 3));
    herd.wait(10 * SECOND);
    assert_eq!(delays(&mut herd, id(0, 3)), None, "stable");
    herd.boot(id(0, 4));
    let first = delays(&mut herd, id(0, 4)).expect("not stable");
    assert!(first <= Duration::from_millis(110), "{first:?}");
}

#[test]
fn r03_the_delay_doubles_with_every_failure_and_is_kept() {
    let mut spec = spec(1);
    spec.restart.max_restarts = None;
    let mut herd = Herd::ready(spec);
    for n in 1..=12_u32 {
        let died = herd.now;
        let delay = delay_of(&herd.exit(id(0, u64::from(n)))).expect("it was never stable");
        let pure = Duration::from_millis(100 << (n - 1)).min(30 * SECOND);
        assert!(
            delay >= pure * 9 / 10 && delay <= pure * 11 / 10,
            "{n}: {delay:?}"
        );
        let spawned = herd.pass(delay);
        assert_eq!(
            spawned,
            [(died.after(delay), spawn(id(0, u64::from(n) + 1)))]
        );
    }
}

#[test]
fn r03_two_starts_of_a_slot_never_overlap() {
    let mut herd = Herd::new(spec(1));
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker: id(0, 1) });
    // Killed for its slow boot, it is not replaced before its death was seen.
    let actions = herd.wait(120 * SECOND);
    assert!(actions.contains(&Action::Kill { worker: id(0, 1) }));
    assert_eq!(spawns(&actions), []);
    herd.exit(id(0, 1));
    assert_eq!(spawns(&herd.wait(SECOND)), [id(0, 2)]);
}

#[test]
fn r04_one_restart_too_many_is_a_quarantine_that_ends_by_itself() {
    let mut herd = Herd::ready(spec(2));
    for n in [1, 3, 4, 5, 6] {
        herd.exit(id(0, n));
        herd.wait(2 * SECOND);
    }
    assert!(herd.phase(id(0, 7)).is_some(), "five restarts are fine");
    let rested = herd.now;
    let actions = herd.exit(id(0, 7));
    assert_eq!(notices(&actions)[1], quarantined(5));
    let seen = herd.pass(60 * SECOND);
    let back: Vec<_> = seen.iter().map(|(at, _)| *at).collect();
    assert_eq!(back, [rested.after(60 * SECOND); 2]);
    let actions: Vec<_> = seen.into_iter().map(|(_, action)| action).collect();
    assert_eq!(
        notices(&actions),
        [Notice::Released {
            slot: id(0, 0).slot
        }]
    );
    assert_eq!(spawns(&actions), [id(0, 8)]);
}

#[test]
fn r04_a_start_on_probation_that_fails_goes_straight_back() {
    let mut herd = quarantined_herd();
    let retried = spawns(&herd.wait(60 * SECOND));
    herd.tell(Event::Spawned { worker: retried[0] });
    let actions = herd.exit(retried[0]);
    assert_eq!(notices(&actions)[1], quarantined(1));
    let retried = spawns(&herd.wait(60 * SECOND));
    let actions = herd.tell(Event::SpawnFailed {
        worker: retried[0],
        errno: 12,
    });
    assert!(
        matches!(herd.seat(0), Seat::Quarantined { .. }),
        "{actions:?}"
    );
}

#[test]
fn r04_a_start_on_probation_that_becomes_ready_is_trusted_again() {
    let mut herd = quarantined_herd();
    let retried = spawns(&herd.wait(60 * SECOND));
    herd.boot(retried[0]);
    herd.exit(retried[0]);
    assert!(matches!(herd.seat(0), Seat::Backoff { .. }));
}

#[test]
fn r04_the_restarts_of_one_slot_are_not_counted_for_another() {
    let mut herd = quarantined_herd();
    assert_eq!(spawns(&herd.exit(id(1, 2))), [id(1, 8)], "it was stable");
    herd.exit(id(1, 8));
    assert!(matches!(herd.seat(1), Seat::Backoff { failures: 1, .. }));
}

#[test]
fn r04_restarts_older_than_the_window_are_forgotten() {
    let mut herd = Herd::ready(spec(1));
    for n in 1..50 {
        herd.wait(13 * SECOND);
        let actions = herd.exit(id(0, n));
        assert_eq!(
            spawns(&actions),
            [id(0, n + 1)],
            "never more than five in a minute"
        );
        herd.boot(id(0, n + 1));
    }
}

#[test]
fn r04_without_a_limit_there_is_no_quarantine() {
    let mut spec = spec(1);
    spec.restart.max_restarts = None;
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    for n in 1..200 {
        herd.tell(Event::Spawned { worker: id(0, n) });
        herd.exit(id(0, n));
        herd.wait(33 * SECOND);
    }
    assert!(herd.phase(id(0, 200)).is_some());
    assert!(!herd.core.is_finished());
}

#[test]
fn r04_reset_ends_every_rest_at_once_and_forgets_the_counts() {
    let mut herd = quarantined_herd();
    herd.exit(id(1, 2));
    herd.exit(id(1, 8));
    let actions = herd.tell(Event::Reset);
    assert_eq!(
        notices(&actions),
        [Notice::Released {
            slot: id(0, 0).slot
        }]
    );
    let started = spawns(&actions);
    assert_eq!(started.iter().map(|w| w.slot.0).collect::<Vec<_>>(), [0, 1]);
    let first = delay_of(&herd.exit(started[0])).expect("a first failure");
    assert!(first <= Duration::from_millis(110), "{first:?}");
}

#[test]
fn r06_an_exit_with_status_0_that_nobody_asked_for_is_a_crash() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    let exit = Exit::Code(0);
    let actions = herd.tell(Event::Exited { worker, exit });
    assert_eq!(
        notices(&actions)[0],
        Notice::Exited {
            worker,
            exit,
            cause: Cause::Crash
        }
    );
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
}

#[test]
fn r16_a_process_that_cannot_be_started_is_tried_again_later() {
    let mut herd = Herd::ready(spec(2));
    herd.exit(id(0, 1));
    herd.wait(SECOND);
    let actions = herd.tell(Event::SpawnFailed {
        worker: id(0, 3),
        errno: 11,
    });
    assert_eq!(
        notices(&actions)[0],
        Notice::SpawnFailed {
            worker: id(0, 3),
            errno: 11
        }
    );
    let delay = delay_of(&actions).expect("a failed start");
    assert!(delay >= Duration::from_millis(180), "{delay:?}");
    assert_eq!(spawns(&herd.wait(SECOND)), [id(0, 4)]);
    assert_eq!(herd.core.ready_count(), 1, "the survivor serves on");
}

#[test]
fn r18_a_worker_that_breaks_the_protocol_is_killed_and_counted() {
    let mut herd = Herd::ready(spec(2));
    let worker = id(1, 2);
    let actions = herd.tell(Event::Misbehaved { worker });
    assert_eq!(
        deeds(&actions),
        [Action::Withdraw { worker }, Action::Kill { worker }]
    );
    let exit = Exit::Signal(9);
    let actions = herd.tell(Event::Exited { worker, exit });
    assert_eq!(
        notices(&actions)[0],
        Notice::Exited {
            worker,
            exit,
            cause: Cause::Protocol
        }
    );
    assert!(delay_of(&actions).is_some());
    assert!(matches!(herd.phase(id(0, 1)), Some(Phase::Ready { .. })));
}

/// Two slots; slot 0 rests after five restarts, slot 1 serves.
fn quarantined_herd() -> Herd {
    let mut spec = spec(2);
    spec.restart.max_restarts = NonZeroU32::new(5);
    let mut herd = Herd::ready(spec);
    for n in [1, 3, 4, 5, 6, 7] {
        herd.exit(id(0, n));
        if n != 7 {
            herd.wait(2 * SECOND);
        }
    }
    assert!(matches!(herd.seat(0), Seat::Quarantined { .. }));
    herd
}

fn quarantined(restarts: u32) -> Notice {
    let minute = 60 * SECOND;
    Notice::Quarantined {
        slot: id(0, 0).slot,
        restarts,
        window: minute,
        retry_in: minute,
    }
}

fn delay_of(actions: &[Action]) -> Option<Duration> {
    notices(actions).into_iter().find_map(|notice| {
        let Notice::RestartDelayed { delay, .. } = notice else {
            return None;
        };
        Some(delay)
    })
}
