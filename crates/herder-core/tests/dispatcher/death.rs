//! What becomes of a dead worker's connections.

use herder_core::dispatch::{Action, CloseReason, Event};
use herder_core::{ConnId, Tick};

use crate::desk::{Desk, conns, incarnation, worker};

#[test]
fn r23_what_a_dead_worker_had_not_received_goes_to_others_oldest_first() {
    let mut desk = Desk::new(2);
    desk.accept(8);
    desk.receive(worker(0), 2);
    desk.kill(worker(0));
    assert_eq!(desk.dispatcher.taken_back(), 2);
    let served = desk.channel(worker(1));
    assert_eq!(served[4..], [ConnId(4), ConnId(6)]);
}

#[test]
fn r23_a_connection_that_met_three_deaths_is_closed_and_counted() {
    let mut desk = Desk::new(0);
    desk.accept(1);
    for number in 1..=3 {
        desk.admit(incarnation(0, number));
        assert_eq!(desk.channel(incarnation(0, number)), conns(0..1));
        desk.kill(incarnation(0, number));
    }
    let closed = Action::Close {
        conn: ConnId(0),
        reason: CloseReason::Poisoned,
    };
    assert_eq!(desk.log.last(), Some(&closed));
    assert_eq!(desk.dispatcher.closed_poisoned(), 1);
    assert_eq!(desk.dispatcher.pending(), 0);
}

#[test]
fn r23_only_deaths_count_as_deaths() {
    let mut desk = Desk::new(1);
    desk.accept(1);
    for _ in 0..10 {
        desk.tell(Event::Hold { worker: worker(0) });
        desk.tell(Event::Admit { worker: worker(0) });
    }
    assert_eq!(desk.channel(worker(0)), conns(0..1));
    assert_eq!(desk.dispatcher.taken_back(), 10);
}

#[test]
fn r24_what_a_dead_worker_had_received_goes_to_nobody_else() {
    let mut desk = Desk::new(2);
    desk.accept(8);
    desk.receive(worker(0), 4);
    desk.kill(worker(0));
    assert_eq!(desk.channel(worker(1)).len(), 4);
    assert_eq!(desk.dispatcher.received(), 4);
    assert_eq!(desk.dispatcher.pending(), 0);
}

#[test]
fn r23_the_end_of_a_worker_that_was_to_leave_is_no_death_that_its_queue_met() {
    let mut desk = Desk::new(1);
    desk.accept(1);
    for number in 1..=4 {
        let leaving = incarnation(0, number);
        // The end is known before the queue was asked for.
        desk.dispatcher
            .handle(Event::Withdraw { worker: leaving }, Tick::ZERO);
        desk.tell(Event::Gone {
            worker: leaving,
            conns: conns(0..1),
        });
        assert_eq!(desk.dispatcher.closed_poisoned(), 0, "end {number}");
        desk.admit(incarnation(0, number + 1));
        assert_eq!(desk.channel(incarnation(0, number + 1)), conns(0..1));
    }
}

#[test]
fn a_death_does_not_lose_what_was_refused() {
    let mut desk = Desk::new(1);
    desk.refusing.insert(worker(0));
    desk.accept(5);
    desk.kill(worker(0));
    assert_eq!(desk.dispatcher.pending(), 5);
    desk.admit(incarnation(0, 2));
    assert_eq!(desk.channel(incarnation(0, 2)), conns(0..5));
}

#[test]
fn a_death_between_assignment_and_sending_costs_nothing() {
    let mut desk = Desk::new(1);
    for number in 0..8 {
        desk.dispatcher.handle(
            Event::Accepted {
                conn: ConnId(number),
                origin: None,
            },
            Tick::ZERO,
        );
    }
    assert!(matches!(
        desk.dispatcher.poll_action(),
        Some(Action::Send { .. })
    ));
    // Four were sent and received; the second message is never polled.
    desk.tell(Event::Gone {
        worker: worker(0),
        conns: Vec::new(),
    });
    desk.admit(incarnation(0, 2));
    assert_eq!(desk.channel(incarnation(0, 2)), conns(4..8));
    assert_eq!(desk.dispatcher.received(), 4);
}

#[test]
fn nothing_is_asked_of_a_dead_worker() {
    let mut desk = Desk::new(1);
    for number in 0..8 {
        desk.dispatcher.handle(
            Event::Accepted {
                conn: ConnId(number),
                origin: None,
            },
            Tick::ZERO,
        );
    }
    desk.dispatcher
        .handle(Event::Hold { worker: worker(0) }, Tick::ZERO);
    desk.tell(Event::Gone {
        worker: worker(0),
        conns: Vec::new(),
    });
    assert_eq!(desk.log, []);
}

#[test]
fn what_is_in_the_masters_hand_is_never_believed_to_be_elsewhere() {
    let mut desk = Desk::new(1);
    desk.accept(2);
    let came = desk.empty(worker(0));
    desk.tell(Event::Gone {
        worker: worker(0),
        conns: Vec::new(),
    });
    assert_eq!(desk.dispatcher.received(), 2);
    // The list comes late, when the worker is forgotten: the connections are in our hand for all that.
    desk.tell(Event::TakenBack {
        worker: worker(0),
        conns: came,
    });
    assert_eq!(desk.dispatcher.pending(), 2);
    assert_eq!(desk.dispatcher.received(), 0);
}
