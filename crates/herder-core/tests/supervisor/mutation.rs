//! Each rule that can be switched off is broken when it is: the simulator has something to find.

use herder_core::mutation::{Mutation, set};
use herder_core::supervisor::{Action, Event};

use crate::harness::{Herd, SECOND, deeds, id, spawns, spec};

#[test]
fn without_back_off_a_slot_is_restarted_in_a_tight_loop() {
    set(Some(Mutation::BackoffOff));
    let mut herd = Herd::ready(spec(1));
    for n in 1..100 {
        assert_eq!(spawns(&herd.exit(id(0, n))), [id(0, n + 1)]);
    }
}

#[test]
fn without_the_incarnation_test_news_of_the_dead_hits_the_living() {
    set(Some(Mutation::IncarnationTestOff));
    let mut herd = Herd::ready(spec(1));
    herd.wait(10 * SECOND);
    herd.exit(id(0, 1));
    herd.boot(id(0, 2));
    herd.exit(id(0, 1));
    assert_eq!(
        herd.phase(id(0, 2)),
        None,
        "it lives, and is taken for dead"
    );
}

#[test]
fn with_the_ladder_swapped_a_worker_drains_before_it_is_withdrawn() {
    set(Some(Mutation::StopLadderSwapped));
    let mut herd = Herd::ready(spec(1));
    let told = deeds(&herd.tell(Event::Stop));
    assert!(
        matches!(told[..], [Action::Drain { .. }, Action::Withdraw { .. }]),
        "{told:?}"
    );
}
