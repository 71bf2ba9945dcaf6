//! Connections leave a worker that does not receive.

use std::time::Duration;

use herder_core::dispatch::{Action, Event, ProbeState};

use crate::desk::{Desk, conns, worker};

const STEAL_AFTER: Duration = Duration::from_millis(10);

/// Two workers, of which the first received nothing of four connections, and the second all.
fn one_hangs() -> Desk {
    let mut desk = Desk::new(2);
    desk.accept(8);
    desk.receive(worker(1), usize::MAX);
    desk
}

#[test]
fn what_is_not_received_in_time_goes_to_another() {
    let mut desk = one_hangs();
    desk.pass(STEAL_AFTER - Duration::from_micros(1));
    assert_eq!(desk.channel(worker(0)).len(), 4);
    desk.pass(Duration::from_micros(1));
    assert_eq!(desk.channel(worker(0)), []);
    assert_eq!(
        desk.channel(worker(1)),
        [0, 2, 4, 6].map(herder_core::ConnId)
    );
    assert_eq!(desk.dispatcher.taken_back(), 4);
}

#[test]
fn a_stalled_worker_gets_nothing_until_it_receives_the_probe() {
    let mut desk = one_hangs();
    desk.pass(STEAL_AFTER);
    assert!(desk.has_probe(worker(0)) && desk.is_watched(worker(0)));
    desk.accept(3);
    assert_eq!(desk.channel(worker(0)), []);
    assert_eq!(
        desk.count(|action| matches!(action, Action::Probe { .. })),
        1
    );
    desk.receive(worker(1), usize::MAX);
    desk.receive(worker(0), 1);
    assert!(!desk.is_watched(worker(0)));
    desk.accept(3);
    let held = [0, 1].map(|slot| desk.channel(worker(slot)).len());
    assert_eq!(held, [2, 1], "its own turn, and one that it has missed");
}

#[test]
fn a_probe_that_was_not_sent_yet_is_not_missed() {
    let mut desk = one_hangs();
    desk.pass(STEAL_AFTER - Duration::from_micros(1));
    let now = herder_core::Tick::from_micros(1_010_000);
    let worker = worker(0);
    let probe = ProbeState::Absent;
    desk.dispatcher.handle(
        Event::Unreceived {
            worker,
            count: 4,
            probe,
        },
        now,
    );
    let came = desk.empty(worker);
    assert_eq!(
        desk.dispatcher.poll_action(),
        Some(Action::TakeBack { worker })
    );
    desk.dispatcher.handle(
        Event::TakenBack {
            worker,
            conns: came,
        },
        now,
    );
    desk.dispatcher.handle(
        Event::Unreceived {
            worker,
            count: 0,
            probe,
        },
        now,
    );
    assert_eq!(
        desk.dispatcher.poll_action(),
        Some(Action::Probe { worker })
    );
    assert_eq!(
        desk.dispatcher.accept_budget(),
        0,
        "4 wait, 4 of the other's window are believed full"
    );
}

#[test]
fn it_is_measured_not_assumed() {
    let mut desk = one_hangs();
    // It received without anybody noticing.
    desk.receive(worker(0), usize::MAX);
    desk.pass(STEAL_AFTER);
    assert_eq!(
        desk.count(|action| matches!(action, Action::TakeBack { .. })),
        0
    );
    assert_eq!(desk.dispatcher.queued(worker(0)), 0);
}

#[test]
fn a_worker_that_received_everything_just_in_time_is_not_stalled() {
    let mut desk = one_hangs();
    let now = herder_core::Tick::from_micros(1_010_000);
    let worker = worker(0);
    let probe = ProbeState::Absent;
    desk.dispatcher.handle(
        Event::Unreceived {
            worker,
            count: 4,
            probe,
        },
        now,
    );
    desk.empty(worker);
    assert_eq!(
        desk.dispatcher.poll_action(),
        Some(Action::TakeBack { worker })
    );
    desk.tell(Event::TakenBack {
        worker,
        conns: Vec::new(),
    });
    assert_eq!(
        desk.count(|action| matches!(action, Action::Probe { .. })),
        0
    );
    desk.accept(2);
    assert_eq!(desk.channel(worker).len(), 1);
}

#[test]
fn nothing_is_taken_from_one_when_nobody_else_could_take_it() {
    let mut desk = Desk::new(1);
    desk.accept(3);
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.channel(worker(0)), conns(0..3));
    desk.admit(worker(1));
    desk.pass(Duration::ZERO);
    assert_eq!(
        desk.channel(worker(1)),
        conns(0..3),
        "as soon as somebody can"
    );
}

#[test]
fn what_was_taken_back_is_served_before_what_came_later() {
    let mut desk = Desk::new(1);
    desk.accept(12);
    desk.tell(Event::Hold { worker: worker(0) });
    assert_eq!(desk.dispatcher.pending(), 12);
    desk.admit(worker(0));
    assert_eq!(desk.channel(worker(0)), conns(0..8));
    desk.receive(worker(0), usize::MAX);
    assert_eq!(desk.channel(worker(0)), conns(8..12));
}

#[test]
fn the_queue_of_a_full_channel_is_stolen_too() {
    let mut desk = one_hangs();
    desk.refusing.insert(worker(0));
    desk.accept(1);
    assert!(desk.is_watched(worker(0)), "it refused");
    desk.pass(STEAL_AFTER);
    assert_eq!(desk.channel(worker(0)), []);
    assert_eq!(desk.channel(worker(1)).len(), 5);
}
