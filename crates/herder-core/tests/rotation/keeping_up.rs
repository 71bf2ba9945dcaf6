//! Who does not keep up has no turns until it caught up.

use herder_core::rotation::{Action, Event, Load, Relief};

use crate::desk::{Desk, by_load, by_program, enter, ms, rotate, socket, worker};

fn excluded(slot: u16, waiting: u32) -> Action {
    let worker = worker(slot, u64::from(slot) + 1);
    Action::Excluded { worker, waiting }
}

fn readmitted(slot: u16) -> Action {
    let worker = worker(slot, u64::from(slot) + 1);
    Action::Readmitted { worker }
}

#[test]
fn a_queue_that_stands_while_others_are_empty_is_left_out() {
    let mut desk = Desk::with(&by_program(), 3, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 4);
    let actions = desk.pass(ms(20));
    assert_eq!(actions, [excluded(1, 7), rotate(&[0, 2])]);
    desk.queue(socket(1, 2), 2);
    assert_eq!(desk.pass(ms(40)), []);
    desk.queue(socket(1, 2), 0);
    let actions = desk.pass(ms(10));
    assert_eq!(actions, [readmitted(1), rotate(&[0, 1, 2])]);
}

#[test]
fn a_queue_that_moves_is_not_left_out() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.pass(ms(20));
    for length in [5, 4, 6, 5, 7, 6].repeat(20) {
        desk.queue(socket(1, 2), length);
        assert_eq!(desk.pass(ms(5)), []);
    }
}

#[test]
fn who_accepts_between_the_looks_is_not_left_out() {
    // Many come one after the other, and each look sees the one that came last.
    let mut desk = Desk::with(&by_program(), 3, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    let many = |desk: &mut Desk| desk.turns += 300;
    assert_eq!(desk.pass_with(ms(1000), many), []);
    // From now on nobody is accepted any more.
    let actions = desk.pass(ms(20));
    assert_eq!(actions, [excluded(1, 3), rotate(&[0, 2])]);
}

#[test]
fn who_accepts_a_few_of_many_is_left_out() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    let many = |desk: &mut Desk| {
        desk.turns += 10;
        *desk.queues.entry(socket(1, 2)).or_default() += 3;
    };
    let actions = desk.pass_with(ms(20), many);
    assert_eq!(actions, [excluded(1, 10), rotate(&[0])]);
}

#[test]
fn a_queue_to_which_nobody_comes_is_left_out_later() {
    let mut desk = Desk::with(&by_program(), 3, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    let nobody = |_: &mut Desk| {};
    assert_eq!(desk.pass_with(ms(5), nobody), []);
    // Somebody comes to the first.
    desk.turns += 1;
    assert_eq!(desk.pass_with(ms(40), nobody), []);
    let actions = desk.pass_with(ms(20), nobody);
    assert_eq!(actions, [excluded(1, 1), rotate(&[0, 2])]);
}

#[test]
fn as_long_as_nobody_comes_to_anybody_all_have_their_turns() {
    let mut desk = Desk::with(&by_program(), 2, Relief::HandOver);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    let nobody = |_: &mut Desk| {};
    assert_eq!(desk.pass_with(ms(480), nobody), []);
    // Who waits is helped as soon as who waits while others come.
    let rescue = Action::Rescue {
        worker: worker(1, 2),
        socket: socket(1, 2),
    };
    let actions = desk.pass_with(ms(40), nobody);
    assert_eq!(actions, [excluded(1, 1), rotate(&[0]), rescue]);
}

#[test]
fn nobody_is_left_out_when_all_are_busy() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.queue(socket(0, 1), 3);
    desk.queue(socket(1, 2), 90);
    assert_eq!(desk.pass(ms(5000)), []);
}

#[test]
fn the_last_one_is_never_left_out() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(0, 1), 3);
    assert_eq!(desk.pass(ms(20)), [excluded(0, 6), rotate(&[1])]);
    desk.queue(socket(1, 2), 3);
    assert_eq!(desk.pass(ms(100)), []);
    // And when the last one dies, the slow one is better than nobody.
    let turned = desk.gone(worker(1, 2));
    assert_eq!(turned[0], rotate(&[0]));
}

#[test]
fn who_is_back_stays_for_a_while() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 4);
    assert_eq!(desk.pass(ms(20)).len(), 2);
    desk.queue(socket(1, 2), 0);
    assert_eq!(desk.pass(ms(5)).len(), 2);
    desk.queue(socket(1, 2), 4);
    assert_eq!(desk.pass(ms(40)), []);
    assert_eq!(desk.pass(ms(20)).len(), 2);
}

#[test]
fn least_loaded_leaves_out_at_once_or_at_the_second_look() {
    let mut desk = Desk::with(&by_load(), 2, Relief::Kill);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    let nobody = |_: &mut Desk| {};
    // As long as nobody waits, each second tick is enough.
    assert_eq!(desk.pass_with(ms(2), nobody), []);
    let actions = desk.pass_with(ms(1), nobody);
    assert_eq!(actions, [excluded(1, 1), rotate(&[0])]);
    desk.queue(socket(1, 2), 0);
    let back = [readmitted(1), rotate(&[0, 1])];
    assert_eq!(desk.pass_with(ms(1), nobody), back);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 2);
    let actions = desk.pass_with(ms(2), nobody);
    assert_eq!(actions, [excluded(1, 2), rotate(&[0])]);
    desk.queue(socket(1, 2), 0);
    assert_eq!(desk.pass(ms(1)), [readmitted(1), rotate(&[0, 1])]);
}

#[test]
fn least_loaded_moves_who_waits_at_once_and_believes_who_is_back() {
    let mut desk = Desk::with(&by_load(), 2, Relief::Move);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    let flush = Action::Flush {
        socket: socket(1, 2),
    };
    let actions = desk.pass(ms(3));
    assert_eq!(actions, [excluded(1, 2), rotate(&[0]), flush]);
    assert_eq!(desk.pass(ms(20)), []);
    let worker = worker(1, 2);
    let load = Load {
        served: 1,
        ..Load::default()
    };
    let back = desk.tell(Event::Load { worker, load });
    assert_eq!(back, [readmitted(1), enter(1, 2), rotate(&[0, 1])]);
}

#[test]
fn least_loaded_gives_who_has_finished_those_who_wait_elsewhere_at_once() {
    let mut desk = Desk::with(&by_load(), 2, Relief::Move);
    desk.pass(ms(20));
    for (slot, number) in [(0, 1), (1, 2)] {
        desk.queue(socket(slot, number), 1);
    }
    assert_eq!(desk.pass(ms(20)), [], "both are busy");
    desk.queue(socket(0, 1), 0);
    let load = Load {
        served: 1,
        ..Load::default()
    };
    let waiting = desk.queues[&socket(1, 2)];
    let flush = Action::Flush {
        socket: socket(1, 2),
    };
    let actions = desk.tell(Event::Load {
        worker: worker(0, 1),
        load,
    });
    assert_eq!(actions, [excluded(1, waiting), rotate(&[0]), flush]);
}

#[test]
fn least_loaded_tries_who_says_nothing_soon() {
    let mut desk = Desk::with(&by_load(), 2, Relief::Move);
    desk.pass(ms(20));
    desk.queue(socket(1, 2), 1);
    assert_eq!(desk.pass(ms(3)).len(), 3);
    assert_eq!(desk.pass(ms(45)), []);
    assert_eq!(desk.pass(ms(10)), [enter(1, 2), rotate(&[0, 1])]);
}

#[test]
fn least_loaded_believes_what_workers_say() {
    let mut desk = Desk::with(&by_load(), 2, Relief::Kill);
    let say = |desk: &mut Desk, slot: u16, open| {
        let load = Load {
            open,
            ..Load::default()
        };
        let worker = worker(slot, u64::from(slot) + 1);
        desk.tell(Event::Load { worker, load });
    };
    desk.pass(ms(20));
    say(&mut desk, 0, 40);
    say(&mut desk, 1, 43);
    assert_eq!(desk.pass(ms(20)), [], "a little more is nothing");
    say(&mut desk, 1, 50);
    assert_eq!(desk.pass(ms(5)), [excluded(1, 0), rotate(&[0])]);
    say(&mut desk, 1, 44);
    assert_eq!(desk.pass(ms(20)), [], "not yet");
    say(&mut desk, 0, 44);
    assert_eq!(desk.pass(ms(5)), [readmitted(1), rotate(&[0, 1])]);
}
