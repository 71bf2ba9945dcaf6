//! How much a worker may hold un-received, and what happens when nobody has room.

use std::time::Duration;

use herder_core::dispatch::Action;
use herder_core::spec::DispatchSpec;

use crate::desk::{Desk, worker};

const STEAL_AFTER: Duration = Duration::from_millis(10);

#[test]
fn r19_a_worker_that_does_not_receive_holds_at_most_its_window() {
    let mut desk = Desk::new(1);
    desk.accept(20);
    assert_eq!(desk.channel(worker(0)).len(), 8);
    assert_eq!(desk.dispatcher.pending(), 12);
    assert_eq!(
        desk.dispatcher.accept_budget(),
        0,
        "the kernel's backlog is the queue"
    );
}

#[test]
fn the_budget_is_the_credit_less_what_waits() {
    let mut desk = Desk::new(3);
    assert_eq!(desk.dispatcher.accept_budget(), 24);
    desk.accept(3);
    assert_eq!(desk.dispatcher.accept_budget(), 21);
    assert_eq!(
        Desk::new(100).dispatcher.accept_budget(),
        64,
        "other duties wait as well"
    );
    assert_eq!(Desk::new(0).dispatcher.accept_budget(), 0);
}

#[test]
fn a_receipt_by_a_watched_worker_gives_credit_at_once() {
    let mut desk = Desk::new(1);
    assert!(!desk.is_watched(worker(0)));
    desk.accept(9);
    assert!(desk.is_watched(worker(0)));
    desk.receive(worker(0), 2);
    assert_eq!(desk.dispatcher.pending(), 0);
    assert_eq!(desk.dispatcher.accept_budget(), 1);
}

#[test]
fn full_workers_are_watched_although_nobody_waits() {
    let mut desk = Desk::new(2);
    desk.accept(16);
    assert_eq!(desk.dispatcher.pending(), 0);
    assert!(desk.is_watched(worker(0)) && desk.is_watched(worker(1)));
}

#[test]
fn the_watch_ends_when_half_of_the_room_is_free() {
    let mut desk = Desk::new(1);
    desk.accept(8);
    desk.receive(worker(0), 3);
    assert!(
        desk.is_watched(worker(0)),
        "on and off with each receipt would cost more"
    );
    desk.receive(worker(0), 1);
    assert!(!desk.is_watched(worker(0)));
}

#[test]
fn a_half_full_queue_is_measured_before_it_is_judged_full() {
    let mut desk = Desk::new(1);
    for _ in 0..100 {
        desk.accept(1);
        desk.receive(worker(0), usize::MAX);
    }
    assert_eq!(
        desk.count(|action| matches!(action, Action::Watch { .. })),
        0
    );
    let measured = desk.count(|action| matches!(action, Action::Measure { .. }));
    assert!(
        (1..=34).contains(&measured),
        "{measured} looks for 100 connections"
    );
}

#[test]
fn an_idle_dispatcher_has_nothing_to_wait_for() {
    let mut desk = Desk::new(2);
    desk.accept(2);
    desk.receive(worker(0), 1);
    desk.receive(worker(1), 1);
    desk.pass(2 * STEAL_AFTER);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
    assert_eq!(desk.dispatcher.received(), 2);
}

#[test]
fn a_queue_that_nobody_else_could_take_is_watched_not_polled() {
    let mut desk = Desk::new(1);
    desk.accept(1);
    desk.pass(Duration::from_secs(3600));
    let measured = desk.count(|action| matches!(action, Action::Measure { .. }));
    assert_eq!(
        measured, 2,
        "once when it was old, once when the watch began"
    );
    assert_eq!(desk.dispatcher.poll_timeout(), None);
    desk.receive(worker(0), 1);
    assert_eq!(desk.dispatcher.received(), 1);
    assert!(!desk.is_watched(worker(0)));
}

#[test]
fn r22_a_refused_connection_waits_and_is_tried_again_later_not_at_once() {
    let mut desk = Desk::new(1);
    desk.refusing.insert(worker(0));
    desk.accept(3);
    assert_eq!(desk.dispatcher.pending(), 3);
    assert_eq!(desk.dispatcher.sent(), 0);
    assert_eq!(
        desk.count(|action| matches!(action, Action::Send { .. })),
        1
    );
    desk.pass(STEAL_AFTER * 5);
    assert_eq!(
        desk.count(|action| matches!(action, Action::Send { .. })),
        6
    );
    desk.refusing.clear();
    desk.pass(STEAL_AFTER);
    assert_eq!(desk.channel(worker(0)).len(), 3);
    let order: Vec<u64> = desk.channel(worker(0)).iter().map(|conn| conn.0).collect();
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn r22_a_receipt_ends_a_refusal_and_others_serve_meanwhile() {
    let mut desk = Desk::new(2);
    desk.accept(4);
    desk.refusing.insert(worker(0));
    desk.accept(2);
    assert_eq!(desk.channel(worker(1)).len(), 4, "both went to the other");
    assert!(desk.is_watched(worker(0)));
    desk.refusing.clear();
    desk.receive(worker(0), 1);
    assert!(!desk.is_watched(worker(0)));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)).len(), 2);
}

#[test]
fn a_refusal_brings_back_what_was_not_sent_yet_in_its_old_order() {
    let mut desk = Desk::new(1);
    desk.refusing.insert(worker(0));
    desk.accept(8);
    desk.refusing.clear();
    desk.pass(STEAL_AFTER);
    let order: Vec<u64> = desk.channel(worker(0)).iter().map(|conn| conn.0).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_window_of_one_works() {
    let window = std::num::NonZeroU32::MIN;
    let mut desk = Desk::with(
        2,
        &DispatchSpec {
            window,
            ..DispatchSpec::default()
        },
    );
    desk.accept(3);
    assert_eq!(desk.dispatcher.pending(), 1);
    desk.receive(worker(1), 1);
    assert_eq!(desk.dispatcher.pending(), 0);
    assert_eq!(desk.channel(worker(1)).len(), 1);
}
