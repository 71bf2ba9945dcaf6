//! When the queues are looked at.

use herder_core::rotation::{Event, Relief};

use crate::desk::{Desk, by_program, ms, socket, worker};

#[test]
fn nobody_looks_while_nobody_comes() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    assert!(desk.is_armed);
    assert_eq!(desk.rotation.poll_timeout(), None);
    desk.tell(Event::Waiting);
    assert!(!desk.is_armed);
    let next = desk.rotation.poll_timeout().expect("a look");
    assert_eq!(next.since(desk.now), ms(5));
}

#[test]
fn looking_ends_a_second_after_the_last_turn() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    desk.pass(ms(100));
    let end = desk.now.after(ms(3000));
    let mut looks = 0;
    while let Some(at) = desk.rotation.poll_timeout() {
        assert!(at <= end, "it does not end");
        desk.now = at;
        desk.tell(Event::Timer);
        looks += 1;
    }
    assert!((195..=205).contains(&looks), "{looks}");
    assert!(desk.is_armed);
}

#[test]
fn a_queue_that_stands_for_ever_is_looked_at_rarely() {
    let mut desk = Desk::with(&by_program(), 1, Relief::Kill);
    desk.queue(socket(0, 1), 1);
    desk.tell(Event::Waiting);
    for _ in 0..300 {
        desk.now = desk.rotation.poll_timeout().expect("a look");
        desk.tell(Event::Timer);
    }
    let next = desk.rotation.poll_timeout().expect("a look");
    assert_eq!(next.since(desk.now), ms(50));
}

#[test]
fn strangers_change_nothing() {
    let mut desk = Desk::with(&by_program(), 2, Relief::Kill);
    let stranger = worker(1, 99);
    let before = desk.turns();
    for event in [
        Event::Admit { worker: stranger },
        Event::Hold { worker: stranger },
        Event::Withdraw { worker: stranger },
        Event::Retire { worker: stranger },
        Event::Gone { worker: stranger },
        Event::Rescued {
            worker: stranger,
            count: 3,
        },
    ] {
        assert_eq!(desk.tell(event), []);
    }
    assert_eq!(desk.turns(), before);
}
