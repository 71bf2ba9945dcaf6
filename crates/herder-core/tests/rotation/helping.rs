//! Who waits at a worker that accepts nobody is helped.

use herder_core::rotation::{Action, Event, Relief, RotationSpec};

use crate::desk::{Desk, by_hash, by_program, enter, ms, rotate, socket, worker};

fn rescue() -> Action {
    Action::Rescue {
        worker: worker(1, 2),
        socket: socket(1, 2),
    }
}

/// Two workers, of which the second accepts nobody, and is left out.
fn hung(relief: Relief) -> Desk {
    let mut desk = Desk::with(&by_program(), 2, relief);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 4);
    assert_eq!(desk.pass(ms(20)).len(), 2);
    desk
}

/// The second worker is seen to accept somebody.
fn accepts(desk: &mut Desk) {
    desk.queue(socket(1, 2), 1);
    desk.pass(ms(6));
    desk.queue(socket(1, 2), 0);
    desk.pass(ms(20));
}

#[test]
fn a_queue_that_stands_too_long_is_rescued() {
    let mut desk = hung(Relief::HandOver);
    assert_eq!(desk.pass(ms(480)), []);
    assert_eq!(desk.pass(ms(40)), [rescue()]);
    assert_eq!(desk.pass(ms(1000)), [], "once");
}

#[test]
fn a_rescued_worker_is_tried_again_later_and_later() {
    let mut desk = hung(Relief::HandOver);
    desk.pass(ms(520));
    let worker = worker(1, 2);
    for delay in [1000, 2000, 4000] {
        desk.queue(socket(1, 2), 0);
        desk.tell(Event::Rescued { worker, count: 4 });
        assert_eq!(desk.pass(ms(delay - 50)), []);
        assert_eq!(desk.pass(ms(60)), [rotate(&[0, 1])]);
        desk.queue(socket(1, 2), 1);
        // Much faster than the first time.
        assert_eq!(desk.pass(ms(60)), [rotate(&[0]), rescue()]);
    }
    desk.queue(socket(1, 2), 0);
    desk.tell(Event::Rescued { worker, count: 1 });
    assert_eq!(desk.pass(ms(8100)), [rotate(&[0, 1])]);
    assert_eq!(desk.pass(ms(1000)), [Action::Readmitted { worker }]);
}

#[test]
fn a_worker_that_was_faster_than_its_rescue_is_well() {
    let mut desk = hung(Relief::HandOver);
    desk.pass(ms(520));
    let worker = worker(1, 2);
    desk.queue(socket(1, 2), 0);
    let actions = desk.tell(Event::Rescued { worker, count: 0 });
    let back = [Action::Readmitted { worker }, rotate(&[0, 1])];
    assert!(actions == back || desk.pass(ms(10)) == back);
}

#[test]
fn who_can_hand_nothing_over_is_killed_as_hung() {
    let mut desk = hung(Relief::Kill);
    assert_eq!(desk.pass(ms(9900)), []);
    let hung = Action::Hung {
        worker: worker(1, 2),
    };
    let flush = Action::Flush {
        socket: socket(1, 2),
    };
    assert_eq!(desk.pass(ms(200)), [hung, flush]);
    assert_eq!(desk.pass(ms(20_000)), [], "once");
}

#[test]
fn nobody_is_killed_where_that_is_not_wanted_or_helps_nobody() {
    let spec = RotationSpec {
        hang: None,
        ..by_program()
    };
    let mut desk = Desk::with(&spec, 2, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 4);
    assert_eq!(desk.pass(ms(60_000)).len(), 2);
    // Alone, or with others who have enough to do themselves.
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.queue(socket(0, 1), 1);
    desk.queue(socket(1, 2), 1);
    assert_eq!(desk.pass(ms(60_000)), []);
}

#[test]
fn a_withdrawn_worker_that_accepts_nobody_is_relieved() {
    for (relief, last) in [
        (Relief::HandOver, rescue()),
        (
            Relief::Kill,
            Action::Retire {
                socket: socket(1, 2),
            },
        ),
    ] {
        let mut desk = Desk::with(&by_program(), 2, relief);
        desk.withdraw(worker(1, 2));
        desk.queue(socket(1, 2), 1);
        let actions = desk.pass(ms(1100));
        assert_eq!(actions.last(), Some(&last), "{actions:?}");
    }
}

#[test]
fn r25c_without_a_program_who_waits_is_helped_too() {
    let mut desk = Desk::with(&by_hash(), 2, Relief::HandOver);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 4);
    assert_eq!(desk.pass(ms(520)), [rescue()]);
    let mut desk = Desk::with(&by_hash(), 2, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 4);
    let worker = worker(1, 2);
    assert_eq!(desk.pass(ms(10_100)), [Action::Hung { worker }]);
}

#[test]
fn who_endures_it_has_its_queue_moved_and_is_tried_again() {
    let mut desk = hung(Relief::Move);
    assert_eq!(desk.pass(ms(480)), []);
    let flush = Action::Flush {
        socket: socket(1, 2),
    };
    assert_eq!(desk.pass(ms(40)), [flush]);
    assert_eq!(desk.pass(ms(900)), []);
    let trial = [enter(1, 2), rotate(&[0, 1])];
    assert_eq!(desk.pass(ms(200)), trial);
    let worker = worker(1, 2);
    assert_eq!(desk.pass(ms(1000)), [Action::Readmitted { worker }]);
}

/// Two workers, of which the second is ready by a guess.
fn guessed() -> Desk {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    let worker = worker(1, 2);
    desk.tell(Event::Guessed { worker });
    desk.pass(ms(20));
    desk
}

#[test]
fn who_was_never_seen_to_accept_may_be_loading_and_is_not_killed_for_it() {
    let mut desk = guessed();
    desk.queue(socket(1, 2), 4);
    let flush = Action::Flush {
        socket: socket(1, 2),
    };
    let hung = Action::Hung {
        worker: worker(1, 2),
    };
    let mut moved = 0;
    for _ in 0..2500 {
        let actions = desk.pass(ms(20));
        moved += actions.iter().filter(|action| **action == flush).count();
        assert!(!actions.contains(&hung), "{actions:?}");
        if actions.contains(&enter(1, 2)) {
            desk.queue(socket(1, 2), 1);
        }
    }
    assert!((4..8).contains(&moved), "moved {moved} times");
    // It has had a minute by then.
    desk.pass(ms(20_000));
    desk.queue(socket(1, 2), 1);
    assert!(desk.pass(ms(40_000)).contains(&hung));
}

#[test]
fn who_has_loaded_and_accepts_has_its_turns() {
    let mut desk = guessed();
    desk.queue(socket(1, 2), 4);
    desk.pass(ms(600));
    assert_eq!(desk.pass(ms(1000)).last(), Some(&rotate(&[0, 1])));
    accepts(&mut desk);
    desk.queue(socket(1, 2), 4);
    let hung = Action::Hung {
        worker: worker(1, 2),
    };
    assert!(desk.pass(ms(10_100)).contains(&hung));
}
