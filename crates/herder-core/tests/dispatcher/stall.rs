//! Workers that decide nothing.

use std::time::Duration;

use herder_core::dispatch::Action;

use crate::desk::{Desk, conns, worker};

const STALL_AFTER: Duration = Duration::from_secs(1);

const MICRO: Duration = Duration::from_micros(1);

/// Two workers, of which the first decides nothing of two connections, and the second all.
fn one_is_blocked() -> Desk {
    let mut desk = Desk::of_deciders(2);
    desk.accept(4);
    desk.take(worker(1), 2);
    desk
}

#[test]
fn a_blocked_worker_gets_nothing_more() {
    let mut desk = one_is_blocked();
    desk.pass(STALL_AFTER - MICRO);
    desk.accept(2);
    assert_eq!(desk.channel(worker(0)).len(), 3, "it may be busy");
    desk.pass(MICRO);
    desk.accept(6);
    assert_eq!(desk.channel(worker(0)).len(), 3);
    assert_eq!(desk.channel(worker(1)).len(), 7);
    assert_eq!(desk.dispatcher.accept_budget(), 1);
}

#[test]
fn what_it_has_cannot_be_recalled() {
    let mut desk = one_is_blocked();
    desk.pass(60 * STALL_AFTER);
    assert_eq!(desk.channel(worker(0)).len(), 2);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
    assert_eq!(
        desk.count(|action| !matches!(action, Action::Send { .. })),
        0
    );
}

#[test]
fn its_first_verdict_ends_it() {
    let mut desk = one_is_blocked();
    desk.pass(STALL_AFTER);
    desk.take(worker(0), 1);
    desk.accept(2);
    assert_eq!(desk.channel(worker(0)).len(), 2);
    desk.pass(STALL_AFTER);
    desk.accept(2);
    assert_eq!(desk.channel(worker(0)).len(), 2, "it is blocked again");
}

#[test]
fn a_rejection_ends_it_too_and_is_one() {
    let mut desk = one_is_blocked();
    desk.pass(STALL_AFTER);
    desk.reject(worker(0), 2);
    assert_eq!(desk.channel(worker(1)).len(), 2);
    desk.pass(Duration::from_millis(5));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)), conns(4..5));
}

#[test]
fn a_slow_worker_that_decides_now_and_then_is_not_blocked() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(8);
    for _ in 0..7 {
        desk.pass(STALL_AFTER - MICRO);
        desk.take(worker(0), 1);
        assert!(desk.dispatcher.accept_budget() > 0);
    }
}

#[test]
fn when_all_are_blocked_connections_wait_for_the_first_that_decides() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(2);
    desk.pass(STALL_AFTER);
    assert_eq!(desk.dispatcher.accept_budget(), 0);
    desk.accept(1);
    assert_eq!(desk.dispatcher.pending(), 1);
    desk.take(worker(1), 1);
    assert_eq!(desk.channel(worker(1)), conns(2..3));
}
