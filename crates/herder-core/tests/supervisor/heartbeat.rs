//! Silence.

use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{Action, Cause, Event, Notice, Phase, Seat};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawn, spec};

#[test]
fn r07_a_silent_worker_gets_nothing_new_and_is_logged_once() {
    let mut herd = Herd::ready(spec(2));
    let worker = id(0, 1);
    let since = herd.now;
    herd.silent.insert(worker);
    let seen = herd.pass(19 * SECOND);
    let suspected = Notice::Suspected {
        worker,
        silent: 10 * SECOND,
    };
    let expected = [Action::Hold { worker }, Action::Announce(suspected)]
        .map(|action| (since.after(10 * SECOND), action));
    assert_eq!(seen, expected, "one of two, once");
    assert_eq!(herd.core.ready_count(), 1);
}

#[test]
fn r07_whatever_a_worker_says_is_a_heartbeat() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    for event in [
        Event::Beat { worker },
        Event::Served { worker, total: 1 },
        Event::Ready { worker },
        Event::BootExtended { worker, by: SECOND },
    ] {
        assert_eq!(herd.wait(9 * SECOND), []);
        assert_eq!(herd.tell(event), []);
    }
    herd.wait(9 * SECOND);
    herd.tell(Event::Memory { worker, bytes: 1 });
    herd.wait(SECOND);
    let phase = herd.phase(worker);
    assert!(
        matches!(phase, Some(Phase::Suspect { .. })),
        "memory is measured: {phase:?}"
    );
}

#[test]
fn r07_workers_that_send_no_heartbeat_are_never_suspected() {
    let mut spec = spec(1);
    spec.life.hang = None;
    let mut herd = Herd::ready(spec);
    herd.silent.insert(id(0, 1));
    assert_eq!(herd.core.poll_timeout(), None);
    assert_eq!(herd.wait(1_000_000 * SECOND), []);
}

#[test]
fn r08_a_suspect_is_aborted_then_killed_then_replaced() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    let since = herd.now;
    let seen = herd.pass(23 * SECOND);
    let deeds: Vec<_> = seen
        .into_iter()
        .filter(|(_, action)| !matches!(action, Action::Announce(_)))
        .map(|(at, action)| (at.since(since).as_secs(), action))
        .collect();
    assert_eq!(
        deeds,
        [
            (10, Action::Hold { worker }),
            (20, Action::Withdraw { worker }),
            (20, Action::Abort { worker }),
            (22, Action::Kill { worker }),
        ]
    );
    let exit = Exit::Signal(9);
    let actions = herd.tell(Event::Exited { worker, exit });
    assert_eq!(
        notices(&actions)[0],
        Notice::Exited {
            worker,
            exit,
            cause: Cause::Hang
        }
    );
}

#[test]
fn r08_an_aborted_worker_is_not_saved_by_a_late_word() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    herd.wait(20 * SECOND);
    for event in [
        Event::Beat { worker },
        Event::Ready { worker },
        Event::Retire { worker },
    ] {
        assert_eq!(herd.tell(event), []);
    }
    let exit = Exit::Signal(6);
    let actions = herd.tell(Event::Exited { worker, exit });
    assert_eq!(
        notices(&actions)[0],
        Notice::Exited {
            worker,
            exit,
            cause: Cause::Hang
        }
    );
}

#[test]
fn r08_silence_is_no_proof_of_health() {
    // It was ready 22 s ago, but beat for an instant only: the back-off applies.
    let mut herd = Herd::ready(spec(1));
    herd.silent.insert(id(0, 1));
    herd.wait(22 * SECOND);
    herd.exit(id(0, 1));
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
    // One that beat for ten seconds before is replaced at once.
    let mut herd = Herd::ready(spec(1));
    herd.wait(10 * SECOND);
    herd.silent.insert(id(0, 1));
    herd.wait(22 * SECOND);
    let actions = herd.exit(id(0, 1));
    assert_eq!(deeds(&actions), [spawn(id(0, 2))]);
}

#[test]
fn r09_a_suspect_that_beats_again_is_restored() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    herd.wait(19 * SECOND);
    let actions = herd.tell(Event::Beat { worker });
    assert_eq!(
        actions,
        [
            Action::Admit { worker },
            Action::Announce(Notice::Restored { worker })
        ]
    );
    herd.silent.clear();
    assert_eq!(herd.wait(100 * SECOND), [], "and its past is forgotten");
}

#[test]
fn r42_a_clock_jump_kills_nobody() {
    for jump in [6, 15, 60, 3_600, 1_000_000] {
        let mut herd = Herd::ready(spec(4));
        herd.wait(30 * SECOND);
        // One is suspect already, one is starting: neither could be heard in the meantime.
        herd.silent.insert(id(0, 1));
        herd.wait(12 * SECOND);
        herd.exit(id(1, 2));
        herd.tell(Event::Spawned { worker: id(1, 5) });
        assert!(matches!(herd.phase(id(0, 1)), Some(Phase::Suspect { .. })));
        herd.leap(jump * SECOND);
        // The timer comes before the heartbeats that lie in the channels.
        let actions = herd.tell(Event::Timer);
        let harmless = |action: &Action| matches!(action, Action::Hold { .. });
        assert!(deeds(&actions).iter().all(harmless), "{jump}: {actions:?}");
        if jump > 15 {
            assert_eq!(actions, [], "{jump}: late by more than half of the limit");
        }
        for worker in [id(2, 3), id(3, 4), id(0, 1)] {
            herd.tell(Event::Beat { worker });
        }
        herd.tell(Event::Ready { worker: id(1, 5) });
        assert_eq!(herd.core.ready_count(), 4, "{jump}");
    }
}

#[test]
fn r42_a_worker_that_hangs_is_still_found_after_a_clock_jump() {
    let mut herd = Herd::ready(spec(2));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    herd.leap(3_600 * SECOND);
    let actions = herd.wait(30 * SECOND);
    assert!(actions.contains(&Action::Kill { worker }), "{actions:?}");
    assert!(!actions.contains(&Action::Hold { worker: id(1, 2) }));
}

#[test]
fn r42_a_clock_that_stands_still_or_goes_back_changes_nothing() {
    let mut herd = Herd::ready(spec(1));
    herd.wait(5 * SECOND);
    for _ in 0..100 {
        assert_eq!(herd.tell(Event::Timer), []);
    }
    let now = herd.now;
    herd.now = herder_core::Tick::ZERO;
    assert_eq!(herd.tell(Event::Timer), []);
    herd.now = now;
    let deadline = herd.core.poll_timeout().expect("a heartbeat is awaited");
    assert!(deadline.since(now) <= 10 * SECOND && deadline.since(now) > Duration::ZERO);
}
