//! Who is picked.

use herder_core::dispatch::{Action, Event, MAX_BATCH};
use herder_core::spec::PickerKind;

use crate::desk::{Desk, conns, incarnation, worker};

#[test]
fn idle_workers_get_exactly_the_same_number_one_after_the_other() {
    let mut desk = Desk::new(4);
    let mut served = [0; 4];
    for _ in 0..400 {
        desk.accept(1);
        for slot in 0..4 {
            served[usize::from(slot)] += desk.receive(worker(slot), usize::MAX).len();
        }
    }
    assert_eq!(served, [100; 4]);
}

#[test]
fn a_burst_is_dealt_in_strict_rotation_and_sent_in_few_messages() {
    let mut desk = Desk::new(4);
    desk.accept(32);
    for slot in 0..4 {
        let dealt: Vec<u64> = desk
            .channel(worker(slot))
            .iter()
            .map(|conn| conn.0)
            .collect();
        let expected: Vec<u64> = (0..8).map(|round| round * 4 + u64::from(slot)).collect();
        assert_eq!(dealt, expected);
    }
    assert_eq!(
        desk.count(|action| matches!(action, Action::Send { .. })),
        32 / MAX_BATCH
    );
}

#[test]
fn a_replacement_takes_its_slots_turn() {
    let mut desk = Desk::new(3);
    desk.accept(2);
    desk.kill(worker(2));
    desk.admit(incarnation(2, 9));
    desk.accept(1);
    assert_eq!(
        desk.channel(incarnation(2, 9)),
        conns(2..3),
        "the turn was slot 2's"
    );
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)), [conns(0..1), conns(3..4)].concat());
}

#[test]
fn the_rotation_goes_on_over_those_with_credit() {
    let mut desk = Desk::new(2);
    desk.accept(16);
    desk.receive(worker(1), usize::MAX);
    desk.accept(2);
    assert_eq!(desk.channel(worker(0)).len(), 8);
    assert_eq!(desk.channel(worker(1)), conns(16..18));
}

#[test]
fn least_connections_prefers_who_has_the_fewest_open_and_unreceived() {
    let mut desk = Desk::picking(3, PickerKind::LeastConnections);
    for (slot, open) in [(0, 5), (1, 1), (2, 6)] {
        desk.tell(Event::Load {
            worker: worker(slot),
            open,
        });
    }
    desk.accept(3);
    assert_eq!(desk.channel(worker(1)), conns(0..3));
    assert_eq!(desk.dispatcher.open(worker(0)), 5);
}

#[test]
fn least_connections_breaks_ties_by_rotation() {
    let mut desk = Desk::picking(3, PickerKind::LeastConnections);
    desk.accept(6);
    for slot in 0..3u16 {
        let first = u64::from(slot);
        let dealt: Vec<u64> = desk
            .channel(worker(slot))
            .iter()
            .map(|conn| conn.0)
            .collect();
        assert_eq!(dealt, [first, first + 3]);
    }
}

#[test]
fn loads_and_counts_of_strangers_change_nothing() {
    let mut desk = Desk::new(1);
    let before = desk.dispatcher.clone();
    let stranger = incarnation(0, 99);
    desk.tell(Event::Load {
        worker: stranger,
        open: 7,
    });
    desk.tell(Event::Hold { worker: stranger });
    desk.tell(Event::TakenBack {
        worker: stranger,
        conns: Vec::new(),
    });
    desk.tell(Event::Gone {
        worker: stranger,
        conns: Vec::new(),
    });
    assert_eq!(desk.dispatcher, before);
}
