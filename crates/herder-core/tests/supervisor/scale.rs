//! More and fewer slots.

use herder_core::supervisor::{Action, DrainReason, Event, Notice, Outcome, Phase, Seat};

use crate::harness::{Herd, SECOND, count, deeds, id, notices, spawns, spec};

#[test]
fn up_fills_new_slots_and_down_empties_the_highest() {
    let mut herd = Herd::ready(spec(2));
    let actions = herd.tell(Event::Scale(count(4)));
    assert_eq!(notices(&actions), [Notice::Scaled { from: 2, to: 4 }]);
    assert_eq!(spawns(&actions), [id(2, 3), id(3, 4)]);
    let actions = herd.tell(Event::Scale(count(1)));
    assert_eq!(herd.core.size(), 1);
    assert_eq!(deeds(&actions), [Action::Withdraw { worker: id(1, 2) }]);
    let reason = DrainReason::ScaledDown;
    for worker in [id(2, 3), id(3, 4)] {
        let actions = herd.tell(Event::Spawned { worker });
        assert_eq!(deeds(&actions), [Action::Drain { worker, reason }]);
        assert_eq!(spawns(&herd.exit(worker)), []);
    }
    herd.exit(id(1, 2));
    assert_eq!(herd.alive(), [id(0, 1)]);
    assert!(matches!(herd.seat(1), Seat::Stopped { last: Some(_) }));
}

#[test]
fn the_same_size_is_no_change() {
    let mut herd = Herd::ready(spec(2));
    assert_eq!(herd.tell(Event::Scale(count(2))), []);
}

#[test]
fn incarnations_keep_counting_in_a_slot_that_comes_back() {
    let mut herd = Herd::ready(spec(2));
    herd.tell(Event::Scale(count(1)));
    assert_eq!(spawns(&herd.tell(Event::Scale(count(2)))), [id(1, 3)]);
    herd.exit(id(1, 2));
    assert_eq!(
        herd.seat(1),
        Seat::Held {
            by: id(1, 3).incarnation
        }
    );
}

#[test]
fn r03_a_process_that_was_recalled_before_it_existed_is_wanted_again() {
    let mut herd = Herd::new(spec(2));
    herd.tell(Event::Start);
    herd.tell(Event::Scale(count(1)));
    assert!(matches!(herd.phase(id(1, 2)), Some(Phase::Recalled { .. })));
    assert_eq!(
        spawns(&herd.tell(Event::Scale(count(2)))),
        [],
        "one spawn of a slot at a time"
    );
    assert_eq!(
        deeds(&herd.boot(id(1, 2))),
        [Action::Admit { worker: id(1, 2) }]
    );
}

#[test]
fn a_slot_that_rests_is_forgotten_when_it_is_not_wanted() {
    let mut herd = Herd::ready(spec(2));
    herd.exit(id(1, 2));
    herd.tell(Event::Scale(count(1)));
    assert_eq!(herd.wait(60 * SECOND), []);
    assert_eq!(spawns(&herd.tell(Event::Scale(count(2)))), [id(1, 3)]);
}

#[test]
fn an_app_may_be_scaled_before_it_starts_but_not_while_it_stops() {
    let mut herd = Herd::new(spec(1));
    herd.tell(Event::Scale(count(3)));
    assert_eq!(spawns(&herd.tell(Event::Start)).len(), 3);
    herd.tell(Event::Stop);
    assert_eq!(herd.tell(Event::Scale(count(5))), []);
}

#[test]
fn a_stop_waits_for_those_that_were_scaled_away() {
    let mut herd = Herd::ready(spec(2));
    herd.tell(Event::Scale(count(1)));
    herd.tell(Event::Stop);
    assert_eq!(deeds(&herd.exit(id(0, 1))), []);
    assert_eq!(
        deeds(&herd.exit(id(1, 2))),
        [Action::Finish(Outcome::Stopped)]
    );
}

#[test]
fn the_most_workers_are_supported() {
    let mut herd = Herd::ready(spec(1));
    assert_eq!(spawns(&herd.tell(Event::Scale(count(256)))).len(), 255);
}
