//! Which socket stands where, and in what order that is written.

use herder_core::Slot;
use herder_core::rotation::{Action, Event, Relief, Weight};

use crate::desk::{Desk, by_hash, by_program, enter, ms, rotate, socket, worker};

#[test]
fn a_worker_has_turns_when_it_is_ready_and_not_before() {
    let mut desk = Desk::new(&by_program());
    let first = desk.start(worker(0, 1));
    // Nobody is ready: connections wait for who will be.
    let made = Action::Make {
        socket: socket(0, 1),
    };
    assert_eq!(first, [made, enter(0, 1), rotate(&[0])]);
    let second = desk.start(worker(1, 2));
    let made = Action::Make {
        socket: socket(1, 2),
    };
    assert_eq!(second, [made, enter(1, 2), rotate(&[0, 1])]);
    assert_eq!(desk.admit(worker(1, 2)), [rotate(&[1])]);
    assert_eq!(desk.admit(worker(0, 1)), [rotate(&[0, 1])]);
    desk.start(worker(2, 3));
    assert_eq!(desk.turns(), [0, 1]);
}

#[test]
fn the_replacement_of_a_dead_worker_inherits_its_socket() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    let gone = desk.gone(worker(1, 2));
    let leave = Action::Leave { slot: Slot(1) };
    let flush = Action::Flush {
        socket: socket(1, 2),
    };
    // Who waits there need not wait for the replacement. New turns first.
    assert_eq!(gone, [rotate(&[0]), leave, flush]);
    assert_eq!(desk.start(worker(1, 3)), []);
    assert_eq!(desk.rotation.socket_of(worker(1, 3)), Some(socket(1, 2)));
    assert_eq!(desk.admit(worker(1, 3)), [enter(1, 2), rotate(&[0, 1])]);
}

#[test]
fn the_queue_of_the_only_worker_waits_for_its_replacement() {
    let mut desk = Desk::with(&by_program(), 1, Relief::Kill);
    desk.queue(socket(0, 1), 100);
    assert_eq!(desk.gone(worker(0, 1)), []);
    desk.pass(ms(2000));
    assert_eq!(desk.turns(), [0]);
    assert_eq!(desk.start(worker(0, 2)), []);
    assert_eq!(desk.admit(worker(0, 2)), []);
}

#[test]
fn a_planned_replacement_takes_the_place_when_it_is_ready() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    let made = Action::Make {
        socket: socket(0, 7),
    };
    assert_eq!(desk.start(worker(0, 7)), [made]);
    assert_eq!(desk.admit(worker(0, 7)), [enter(0, 7)]);
    // It drains what it has; then its socket goes, and who came late goes to others.
    desk.queue(socket(0, 1), 3);
    assert_eq!(desk.withdraw(worker(0, 1)), []);
    assert_eq!(desk.pass(ms(100)), []);
    desk.queue(socket(0, 1), 0);
    let withdrawn = Action::Withdrawn {
        worker: worker(0, 1),
    };
    assert_eq!(desk.pass(ms(100)), [withdrawn]);
    let retired = Action::Retire {
        socket: socket(0, 1),
    };
    assert_eq!(desk.gone(worker(0, 1)), [retired]);
    assert_eq!(desk.turns(), [0, 1]);
}

#[test]
fn a_replacement_that_fails_changes_nothing() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.start(worker(0, 7));
    let gone = desk.gone(worker(0, 7));
    // Nobody was ever to wait there.
    let retired = Action::Retire {
        socket: socket(0, 7),
    };
    assert_eq!(gone, [retired]);
    assert_eq!(desk.turns(), [0, 1]);
}

#[test]
fn who_is_held_back_has_no_turns_until_it_is_admitted_again() {
    let mut desk = Desk::with(&by_program(), 3, Relief::Kill);
    let worker = worker(1, 2);
    assert_eq!(desk.tell(Event::Hold { worker }), [rotate(&[0, 2])]);
    assert_eq!(desk.admit(worker), [rotate(&[0, 1, 2])]);
}

#[test]
fn somebody_has_the_turn_always() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.withdraw(worker(0, 1));
    assert_eq!(desk.turns(), [1]);
    desk.withdraw(worker(1, 2));
    assert_eq!(desk.turns(), [0, 1]);
    desk.gone(worker(0, 1));
    desk.gone(worker(1, 2));
    assert!(!desk.turns().is_empty());
    // It is expected, and the other is not. Who waits at the other goes to who is admitted.
    let leave = Action::Leave { slot: Slot(1) };
    assert_eq!(desk.start(worker(0, 3)), [rotate(&[0]), leave]);
    let socket = socket(1, 2);
    assert_eq!(desk.admit(worker(0, 3)), [Action::Retire { socket }]);
}

#[test]
fn a_withdrawal_is_answered_once_whatever_waits() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.queue(socket(0, 1), 5);
    assert_eq!(
        desk.withdraw(worker(0, 1)),
        [rotate(&[1]), Action::Leave { slot: Slot(0) }]
    );
    assert_eq!(desk.pass(ms(490)), []);
    let withdrawn = Action::Withdrawn {
        worker: worker(0, 1),
    };
    let late = desk.pass(ms(20));
    assert_eq!(late, [withdrawn]);
}

#[test]
fn who_accepts_nobody_any_more_gives_its_queue_to_others() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    let worker = worker(0, 1);
    desk.queue(socket(0, 1), 5);
    desk.withdraw(worker);
    let retired = desk.tell(Event::Retire { worker });
    let withdrawn = Action::Withdrawn { worker };
    let socket = socket(0, 1);
    assert_eq!(retired, [withdrawn, Action::Retire { socket }]);
    assert_eq!(desk.gone(worker), []);
}

/// As of a program that closes its listener and opens it again.
#[test]
fn who_listens_once_more_shares_its_first_socket_with_who_has_it_now() {
    let mut desk = Desk::with(&by_program(), 1, Relief::HandOver);
    let (old, new) = (worker(0, 1), worker(0, 2));
    desk.tell(Event::Retire { worker: old });
    assert_eq!(desk.gone(old), []);
    assert_eq!(desk.start(new), []);
    assert_eq!(desk.rotation.socket_of(new), Some(socket(0, 1)));
    assert_eq!(desk.start(old), []);
    assert_eq!(desk.rotation.socket_of(old), Some(socket(0, 1)));
    desk.admit(new);
    desk.admit(old);
    assert_eq!(desk.turns(), [0]);
    // One of them closes it again: the other one still accepts there.
    desk.tell(Event::Retire { worker: old });
    assert_eq!(desk.gone(old), []);
    assert_eq!(desk.turns(), [0]);
}

#[test]
fn weights_are_turns() {
    let mut desk = Desk::new(&by_program());
    for (slot, weight) in [(0, 2), (1, 1)] {
        let worker = worker(slot, 1);
        desk.tell(Event::Started {
            worker,
            weight: Weight::new(weight).unwrap(),
            relief: Relief::Kill,
        });
        desk.admit(worker);
    }
    assert_eq!(desk.turns(), [0, 1, 0]);
}

#[test]
fn r25c_without_a_program_a_socket_waits_for_its_slots_next_worker() {
    let mut desk = Desk::with(&by_hash(), 2, Relief::Kill);
    desk.queue(socket(1, 2), 9);
    assert_eq!(desk.gone(worker(1, 2)), []);
    desk.pass(ms(20_000));
    assert_eq!(desk.start(worker(1, 3)), []);
    assert_eq!(desk.rotation.socket_of(worker(1, 3)), Some(socket(1, 2)));
    // A planned replacement too: one that listens and is not ready would keep connections waiting.
    assert_eq!(desk.start(worker(0, 4)), []);
    assert_eq!(desk.rotation.socket_of(worker(0, 4)), Some(socket(0, 1)));
}

#[test]
fn r25c_without_a_program_a_socket_that_is_not_needed_goes_when_nobody_waits_there() {
    let mut desk = Desk::with(&by_hash(), 2, Relief::Kill);
    let leaving = socket(1, 2);
    desk.queue(leaving, 9);
    let bar = Action::Bar { socket: leaving };
    assert_eq!(desk.withdraw(worker(1, 2)), [bar]);
    desk.pass(ms(600));
    assert_eq!(desk.gone(worker(1, 2)), []);
    assert_eq!(desk.pass(ms(300)), []);
    desk.queue(leaving, 0);
    let socket = leaving;
    assert_eq!(desk.pass(ms(200)), [Action::Retire { socket }]);
}

#[test]
fn r25c_without_a_program_the_last_socket_is_never_barred() {
    let mut desk = Desk::with(&by_hash(), 2, Relief::Kill);
    let [one, other] = [socket(0, 1), socket(1, 2)];
    assert_eq!(desk.withdraw(worker(0, 1)), [Action::Bar { socket: one }]);
    let unbar = Action::Unbar { socket: one };
    assert_eq!(desk.withdraw(worker(1, 2)), [unbar]);
    // The next one of a slot opens its socket again.
    let bar = Action::Bar { socket: one };
    assert_eq!(desk.start(worker(1, 3)), [bar]);
    assert_eq!(desk.rotation.socket_of(worker(1, 3)), Some(other));
}
