//! Workers that decide about each connection themselves.

use herder_core::dispatch::{Action, CloseReason, Event};
use herder_core::spec::{DispatchSpec, Recall};
use herder_core::{ConnId, Tick, WorkerId};

use crate::desk::{Desk, conns, incarnation, worker};

fn withdrawals(desk: &Desk) -> usize {
    desk.count(|action| matches!(action, Action::Withdrawn { taken_back: 0, .. }))
}

#[test]
fn a_verdict_gives_credit() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(10);
    assert_eq!(desk.channel(worker(0)).len(), 8);
    assert_eq!(desk.dispatcher.accept_budget(), 0);
    desk.take(worker(0), 3);
    assert_eq!(desk.dispatcher.received(), 3);
    assert_eq!(desk.dispatcher.pending(), 0);
    assert_eq!(desk.dispatcher.accept_budget(), 1);
}

#[test]
fn a_window_of_two_is_never_exceeded() {
    let spec = DispatchSpec {
        recall: Recall::Verdict,
        window: std::num::NonZeroU32::new(2).expect("it is not 0"),
        ..DispatchSpec::default()
    };
    let mut desk = Desk::with(3, &spec);
    desk.accept(9);
    assert_eq!(desk.dispatcher.pending(), 3);
    desk.take(worker(1), 1);
    assert_eq!(desk.channel(worker(1)), [ConnId(4), ConnId(6)]);
}

#[test]
fn what_was_not_decided_when_a_worker_dies_goes_to_others() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(8);
    desk.take(worker(0), 2);
    desk.kill(worker(0));
    assert_eq!(
        desk.channel(worker(1)),
        [1, 3, 5, 7, 4, 6].map(ConnId),
        "and what was decided does not"
    );
    assert_eq!(desk.dispatcher.taken_back(), 2);
}

#[test]
fn a_connection_that_kills_its_worker_again_and_again_is_closed() {
    let mut desk = Desk::of_deciders(0);
    desk.accept(1);
    for number in 1..=3 {
        desk.admit(incarnation(0, number));
        desk.kill(incarnation(0, number));
    }
    let closed = Action::Close {
        conn: ConnId(0),
        reason: CloseReason::Poisoned,
    };
    assert_eq!(desk.log.last(), Some(&closed));
}

#[test]
fn a_held_worker_gets_nothing_more_and_keeps_what_it_has() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(4);
    desk.tell(Event::Hold { worker: worker(0) });
    desk.accept(2);
    assert_eq!(desk.channel(worker(0)).len(), 2);
    desk.take(worker(0), 1);
    desk.reject(worker(0), 1);
    assert_eq!(desk.channel(worker(1)).len(), 5);
    desk.admit(worker(0));
    desk.pass(std::time::Duration::from_millis(5));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)).len(), 1);
}

#[test]
fn a_withdrawal_is_complete_at_once() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(4);
    desk.tell(Event::Withdraw { worker: worker(0) });
    assert_eq!(withdrawals(&desk), 1);
    assert_eq!(desk.dispatcher.queued(worker(0)), 2);
    desk.admit(worker(0));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)).len(), 2, "it gets nothing ever");
}

#[test]
fn what_was_not_sent_yet_never_left_the_masters_hand() {
    let mut desk = Desk::of_deciders(1);
    let worker = worker(0);
    for conn in conns(0..6) {
        let accepted = Event::Accepted { conn, origin: None };
        desk.dispatcher.handle(accepted, Tick::ZERO);
    }
    let sent = desk.dispatcher.poll_action();
    assert!(matches!(sent, Some(Action::Send { .. })));
    desk.tell(Event::Withdraw { worker });
    assert_eq!(desk.dispatcher.queued(worker), 4);
    assert_eq!(desk.dispatcher.pending(), 2);
}

#[test]
fn a_worker_that_left_may_still_take_and_reject() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(4);
    desk.tell(Event::Withdraw { worker: worker(0) });
    desk.take(worker(0), 1);
    desk.reject(worker(0), 1);
    assert_eq!(desk.dispatcher.received(), 1);
    assert_eq!(desk.channel(worker(1)), [1, 3, 2].map(ConnId));
    let before = desk.dispatcher.clone();
    desk.kill(worker(0));
    assert_eq!(
        desk.dispatcher, before,
        "it was forgotten with its last verdict"
    );
}

#[test]
fn the_end_of_a_worker_that_left_is_no_death_that_its_connections_met() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(1);
    for number in 1..=4 {
        let leaving = incarnation(0, number);
        desk.tell(Event::Withdraw { worker: leaving });
        assert_eq!(withdrawals(&desk), usize::try_from(number).unwrap());
        desk.kill(leaving);
        assert_eq!(desk.dispatcher.closed_poisoned(), 0, "end {number}");
        desk.admit(incarnation(0, number + 1));
        assert_eq!(desk.channel(incarnation(0, number + 1)), conns(0..1));
    }
}

#[test]
fn a_verdict_on_what_a_worker_does_not_have_means_nothing() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(4);
    desk.take(worker(0), 1);
    let before = desk.dispatcher.clone();
    let (served, others) = (ConnId(0), ConnId(1));
    for (worker, conn) in [
        (worker(0), served),
        (worker(0), others),
        (worker(0), ConnId(99)),
        (incarnation(0, 77), ConnId(2)),
    ] {
        desk.tell(Event::Received { worker, conn });
        desk.tell(Event::Rejected { worker, conn });
    }
    assert_eq!(desk.dispatcher, before);
}

#[test]
fn a_full_channel_is_tried_again_later_or_after_a_verdict() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(2);
    desk.refusing.insert(worker(0));
    desk.accept(1);
    assert_eq!(desk.dispatcher.pending(), 1);
    desk.refusing.clear();
    desk.take(worker(0), 1);
    assert_eq!(desk.channel(worker(0)), conns(1..3));
    desk.refusing.insert(worker(0));
    desk.accept(1);
    desk.refusing.clear();
    desk.pass(std::time::Duration::from_millis(10));
    assert_eq!(desk.channel(worker(0)), conns(1..4));
}

#[test]
fn the_counters_say_how_much_is_in_the_masters_hand() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(20);
    desk.take(worker(0), 3);
    desk.reject(worker(0), 2);
    desk.kill(worker(1));
    let dispatcher = &desk.dispatcher;
    let closed = dispatcher.closed_poisoned() + dispatcher.closed_timed_out();
    let in_hand = dispatcher.accepted() + dispatcher.taken_back() - dispatcher.sent() - closed;
    assert_eq!(in_hand, dispatcher.pending() as u64);
    assert_eq!(dispatcher.rejected(), 2);
}

#[test]
fn a_restored_dispatcher_is_equal() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(6);
    desk.reject(worker(0), 1);
    desk.tell(Event::Withdraw { worker: worker(1) });
    let saved = postcard::to_allocvec(&desk.dispatcher).expect("it can be written");
    let restored: herder_core::dispatch::Dispatcher =
        postcard::from_bytes(&saved).expect("it can be read");
    assert_eq!(restored, desk.dispatcher);
    let left: Vec<WorkerId> = vec![worker(0), worker(1)];
    assert!(left.iter().all(|worker| restored.queued(*worker) > 0));
}
