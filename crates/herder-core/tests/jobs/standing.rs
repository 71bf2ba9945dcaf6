//! What the supervisor's words change.

use herder_core::jobs::Event;
use herder_core::{ClientId, JobId};

use crate::desk::{CLIENT, Desk, millis, worker};

#[test]
fn a_held_worker_gets_nothing_and_loses_what_it_has_not_received() {
    let mut desk = Desk::new(2);
    desk.send(4);
    desk.start(1);
    desk.hold(1);
    assert_eq!(desk.link(2), [2, 4, 3]);
    desk.send(1);
    assert_eq!(desk.link(1), []);
    assert_eq!(
        desk.dispatcher.running(worker(1)),
        1,
        "what it works on is its own"
    );
    desk.admit(1);
    desk.send(1);
    assert_eq!(desk.link(1), [6]);
}

#[test]
fn a_withdrawn_worker_finishes_what_it_has_and_gets_nothing_more() {
    let mut desk = Desk::new(2);
    desk.send(4);
    let job = desk.start(1);
    desk.withdraw(1);
    assert_eq!([desk.taken_back(1), desk.withdrawn(1)], [1, 1]);
    assert_eq!(desk.link(2), [2, 4, 3]);
    desk.admit(1);
    desk.send(1);
    assert_eq!(desk.link(1), []);
    desk.finish(1, job);
    assert_eq!(desk.outcomes(1).len(), 1);
    desk.kill(1);
    assert_eq!(desk.withdrawn(1), 1);
}

#[test]
fn nothing_is_asked_of_a_link_in_which_nothing_lies() {
    let mut desk = Desk::new(1);
    desk.hold(1);
    desk.withdraw(1);
    assert_eq!(desk.taken_back(1), 0);
    assert_eq!(desk.withdrawn(1), 1);
}

#[test]
fn each_withdrawal_is_answered_also_of_the_unknown_and_the_withdrawn() {
    let mut desk = Desk::new(1);
    desk.withdraw(9);
    assert_eq!(desk.withdrawn(9), 1);
    desk.withdraw(1);
    desk.withdraw(1);
    assert_eq!(desk.withdrawn(1), 2);
}

#[test]
fn a_death_answers_a_withdrawal() {
    let mut desk = Desk::new(1);
    desk.send(1);
    let now = desk.now;
    desk.dispatcher
        .handle(Event::Withdraw { worker: worker(1) }, now);
    desk.kill(1);
    assert_eq!([desk.taken_back(1), desk.withdrawn(1)], [0, 1]);
    assert_eq!(desk.dispatcher.waiting(), 1);
}

#[test]
fn what_a_withdrawn_worker_had_received_is_its_own_until_it_dies() {
    let mut desk = Desk::new(1);
    desk.send(2);
    desk.receive(1);
    desk.withdraw(1);
    assert_eq!(desk.withdrawn(1), 1);
    assert_eq!(desk.dispatcher.waiting(), 1);
    desk.kill(1);
    assert_eq!(desk.dispatcher.waiting(), 2, "it had not started it");
}

#[test]
fn a_withdrawal_waits_for_a_take_back_that_is_on_its_way() {
    let mut desk = Desk::new(1);
    desk.send(1);
    let now = desk.now;
    desk.dispatcher
        .handle(Event::Held { worker: worker(1) }, now);
    desk.dispatcher
        .handle(Event::Withdraw { worker: worker(1) }, now);
    desk.tell(Event::Timer);
    assert_eq!([desk.taken_back(1), desk.withdrawn(1)], [1, 1]);
    assert_eq!(desk.dispatcher.waiting(), 1);
}

#[test]
fn news_about_the_dead_and_the_unknown_changes_nothing() {
    let mut desk = Desk::new(2);
    desk.send(4);
    desk.start(1);
    desk.kill(1);
    desk.pass(millis(1));
    desk.tell(Event::Timer);
    let before = desk.dispatcher.clone();
    let (dead, job) = (worker(1), JobId(3));
    let stale = [
        Event::Held { worker: dead },
        Event::Gone { worker: dead },
        Event::Room { worker: dead },
        Event::Started { worker: dead, job },
        Event::Finished { worker: dead, job },
        Event::Failed { worker: dead, job },
        Event::Refused { worker: dead, job },
        Event::TakenBack {
            worker: dead,
            jobs: vec![job],
        },
        Event::ClientGone {
            client: ClientId(99),
        },
        Event::Arrived {
            job,
            client: CLIENT,
        },
        Event::Finished {
            worker: worker(2),
            job: JobId(1),
        },
    ];
    for event in stale {
        desk.tell(event.clone());
        assert_eq!(desk.dispatcher, before, "{event:?}");
    }
}
