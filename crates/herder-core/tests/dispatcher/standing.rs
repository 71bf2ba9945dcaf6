//! What the supervisor wants for a worker.

use herder_core::dispatch::{Action, Event};

use crate::desk::{Desk, conns, incarnation, worker};

fn withdrawals(desk: &Desk) -> Vec<(u16, u32)> {
    let answer = |action: &Action| {
        let Action::Withdrawn { worker, taken_back } = action else {
            return None;
        };
        Some((worker.slot.0, *taken_back))
    };
    desk.log.iter().filter_map(answer).collect()
}

#[test]
fn r7_a_held_worker_gets_nothing_and_its_queue_is_taken_back() {
    let mut desk = Desk::new(2);
    desk.accept(4);
    desk.tell(Event::Hold { worker: worker(0) });
    assert_eq!(desk.channel(worker(0)), []);
    assert_eq!(desk.channel(worker(1)).len(), 4);
    desk.accept(2);
    assert_eq!(desk.channel(worker(0)), []);
    desk.admit(worker(0));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)).len(), 1);
}

#[test]
fn a_withdrawn_worker_gets_nothing_and_the_answer_says_what_came_back() {
    let mut desk = Desk::new(2);
    desk.accept(6);
    desk.receive(worker(0), 1);
    desk.tell(Event::Withdraw { worker: worker(0) });
    assert_eq!(withdrawals(&desk), [(0, 2)]);
    assert_eq!(desk.channel(worker(1)).len(), 5);
    desk.accept(3);
    assert_eq!(desk.channel(worker(0)), []);
}

#[test]
fn the_answer_comes_after_the_take_back_and_once() {
    let mut desk = Desk::new(1);
    desk.accept(1);
    let worker = worker(0);
    let now = herder_core::Tick::ZERO;
    desk.dispatcher.handle(Event::Withdraw { worker }, now);
    desk.dispatcher.handle(Event::Withdraw { worker }, now);
    assert_eq!(
        desk.dispatcher.poll_action(),
        Some(Action::TakeBack { worker })
    );
    assert_eq!(desk.dispatcher.poll_action(), None);
    desk.tell(Event::TakenBack {
        worker,
        conns: conns(0..1),
    });
    assert_eq!(withdrawals(&desk), [(0, 1)]);
}

#[test]
fn a_stranger_is_withdrawn_at_once() {
    let mut desk = Desk::new(0);
    desk.tell(Event::Withdraw { worker: worker(3) });
    assert_eq!(withdrawals(&desk), [(3, 0)]);
}

#[test]
fn a_withdrawal_is_answered_although_the_worker_dies() {
    let mut desk = Desk::new(1);
    desk.accept(2);
    let worker = worker(0);
    desk.dispatcher
        .handle(Event::Withdraw { worker }, herder_core::Tick::ZERO);
    desk.kill(worker);
    assert_eq!(withdrawals(&desk), [(0, 2)]);
    assert_eq!(desk.dispatcher.pending(), 2);
}

#[test]
fn news_of_a_withdrawn_worker_changes_nothing() {
    let mut desk = Desk::new(2);
    desk.tell(Event::Withdraw { worker: worker(0) });
    let before = desk.dispatcher.clone();
    desk.tell(Event::Load {
        worker: worker(0),
        open: 3,
    });
    desk.kill(worker(0));
    assert_eq!(desk.dispatcher, before);
}

#[test]
fn a_replacement_and_the_old_one_overlap_in_their_slot() {
    let mut desk = Desk::new(1);
    desk.accept(2);
    desk.admit(incarnation(0, 2));
    desk.tell(Event::Withdraw { worker: worker(0) });
    assert_eq!(desk.channel(incarnation(0, 2)), conns(0..2));
    desk.kill(worker(0));
    assert_eq!(desk.dispatcher.queued(incarnation(0, 2)), 2);
}

#[test]
fn a_watched_worker_that_is_withdrawn_is_not_watched_any_more() {
    let mut desk = Desk::new(1);
    desk.accept(8);
    assert!(desk.is_watched(worker(0)));
    desk.tell(Event::Withdraw { worker: worker(0) });
    assert!(!desk.is_watched(worker(0)));
}

#[test]
fn nobody_unwatches_the_channel_of_the_dead() {
    let mut desk = Desk::new(1);
    desk.accept(8);
    let worker = worker(0);
    assert!(desk.is_watched(worker));
    desk.dispatcher
        .handle(Event::Withdraw { worker }, herder_core::Tick::ZERO);
    desk.kill(worker);
    assert_eq!(
        desk.count(|action| matches!(action, Action::Unwatch { .. })),
        0
    );
    assert_eq!(withdrawals(&desk), [(0, 8)]);
}
