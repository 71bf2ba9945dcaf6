//! Connections in the master's own hand.

use std::time::Duration;

use herder_core::ConnId;
use herder_core::dispatch::{Action, CloseReason, Event};

use crate::desk::{Desk, conns, worker};

#[test]
fn r25a_without_a_worker_connections_wait_and_are_closed_in_the_end() {
    let mut desk = Desk::new(0);
    desk.accept(2);
    desk.pass(Duration::from_secs(4));
    desk.accept(1);
    assert_eq!(desk.dispatcher.accept_budget(), 0);
    desk.pass(Duration::from_secs(6));
    let closed = |conn| Action::Close {
        conn: ConnId(conn),
        reason: CloseReason::TimedOut,
    };
    assert_eq!(desk.log, [closed(0), closed(1)]);
    assert_eq!(
        (
            desk.dispatcher.closed_timed_out(),
            desk.dispatcher.pending()
        ),
        (2, 1)
    );
    desk.admit(worker(0));
    assert_eq!(desk.channel(worker(0)), conns(2..3));
}

#[test]
fn r25a_whoever_can_be_served_is_not_late() {
    let mut desk = Desk::new(0);
    desk.accept(1);
    desk.dispatcher
        .handle(Event::Admit { worker: worker(0) }, herder_core::Tick::ZERO);
    desk.pass(Duration::from_secs(60));
    assert_eq!(desk.channel(worker(0)), conns(0..1));
    assert_eq!(desk.dispatcher.closed_timed_out(), 0);
}

#[test]
fn the_wait_begins_when_the_connection_comes_into_the_masters_hand() {
    let mut desk = Desk::new(1);
    desk.accept(1);
    desk.pass(Duration::from_secs(60));
    desk.kill(worker(0));
    desk.pass(Duration::from_millis(9_999));
    assert_eq!(desk.dispatcher.pending(), 1);
    desk.pass(Duration::from_millis(1));
    assert_eq!(desk.dispatcher.closed_timed_out(), 1);
}

#[test]
fn the_counters_say_how_much_is_in_the_masters_hand() {
    let mut desk = Desk::new(2);
    desk.accept(20);
    desk.receive(worker(0), 3);
    desk.kill(worker(1));
    let dispatcher = &desk.dispatcher;
    let closed = dispatcher.closed_poisoned() + dispatcher.closed_timed_out();
    let in_hand = dispatcher.accepted() + dispatcher.taken_back() - dispatcher.sent() - closed;
    assert_eq!(in_hand, dispatcher.pending() as u64);
}

#[test]
fn r25a_a_refusal_does_not_begin_the_wait_anew() {
    let mut desk = Desk::new(1);
    desk.refusing.insert(worker(0));
    desk.accept(1);
    desk.pass(Duration::from_millis(9_995));
    assert_eq!(desk.dispatcher.pending(), 1);
    desk.pass(Duration::from_millis(20));
    assert_eq!(desk.dispatcher.closed_timed_out(), 1);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
}
