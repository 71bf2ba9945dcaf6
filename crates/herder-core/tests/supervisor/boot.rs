//! Becoming ready.

use std::time::Duration;

use herder_core::Exit;
use herder_core::spec::{BootFailure, Readiness};
use herder_core::supervisor::{Action, Cause, Event, Notice, Outcome, Phase, Seat};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawns, spec};

#[test]
fn slots_start_in_ascending_order() {
    let mut herd = Herd::new(spec(4));
    let started = spawns(&herd.tell(Event::Start));
    assert_eq!(started, [id(0, 1), id(1, 2), id(2, 3), id(3, 4)]);
    assert_eq!(herd.tell(Event::Start), [], "only once");
}

#[test]
fn r11_an_unready_worker_is_never_admitted_and_is_killed_in_the_end() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Start);
    let asked = herd.now;
    herd.leap(SECOND);
    herd.tell(Event::Spawned { worker });
    let seen = herd.pass(60 * SECOND);
    let expected = [
        Action::Announce(Notice::BootTimedOut { worker }),
        Action::Kill { worker },
    ]
    .map(|action| (asked.after(60 * SECOND), action));
    assert_eq!(seen, expected);
    let exit = Exit::Signal(9);
    let actions = herd.tell(Event::Exited { worker, exit });
    assert_eq!(
        notices(&actions)[0],
        Notice::Exited {
            worker,
            exit,
            cause: Cause::BootTimeout
        }
    );
    assert!(
        matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }),
        "it counts"
    );
}

#[test]
fn r11_the_deadline_can_be_moved_by_a_worker_that_needs_longer() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker });
    herd.wait(59 * SECOND);
    assert_eq!(
        herd.tell(Event::BootExtended {
            worker,
            by: 30 * SECOND
        }),
        []
    );
    assert_eq!(herd.wait(29 * SECOND), []);
    assert_eq!(deeds(&herd.boot(worker)), [Action::Admit { worker }]);
}

#[test]
fn r11_an_extension_never_brings_the_deadline_nearer() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker });
    herd.tell(Event::BootExtended { worker, by: SECOND });
    assert_eq!(herd.wait(59 * SECOND), []);
}

#[test]
fn r11_ready_twice_admits_once() {
    let mut herd = Herd::ready(spec(1));
    assert_eq!(herd.tell(Event::Ready { worker: id(0, 1) }), []);
}

#[test]
fn a_program_that_says_nothing_is_taken_for_ready_after_a_while() {
    let mut spec = spec(1);
    spec.life.readiness = Readiness::MessageOrAlive(SECOND);
    let mut herd = Herd::new(spec);
    let worker = id(0, 1);
    herd.tell(Event::Start);
    herd.leap(Duration::from_millis(300));
    herd.tell(Event::Spawned { worker });
    let spawned = herd.now;
    let seen = herd.pass(5 * SECOND);
    let ready = Action::Announce(Notice::Ready {
        worker,
        guessed: true,
    });
    let expected = [Action::Admit { worker }, ready].map(|a| (spawned.after(SECOND), a));
    assert_eq!(seen, expected);
    assert_eq!(
        herd.tell(Event::Ready { worker }),
        [],
        "its late word changes nothing"
    );
}

#[test]
fn a_program_that_tells_when_it_begins_is_not_taken_for_ready_before() {
    let mut spec = spec(1);
    spec.life.readiness = Readiness::MessageOrBegun(SECOND);
    let mut herd = Herd::new(spec);
    let worker = id(0, 1);
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker });
    assert_eq!(
        herd.pass(20 * SECOND),
        [],
        "however long it is being loaded"
    );
    herd.tell(Event::Beat { worker });
    let begun = herd.now;
    herd.leap(Duration::from_millis(300));
    herd.tell(Event::Beat { worker });
    let ready = Action::Announce(Notice::Ready {
        worker,
        guessed: true,
    });
    let expected = [Action::Admit { worker }, ready].map(|a| (begun.after(SECOND), a));
    assert_eq!(herd.pass(5 * SECOND), expected, "its first sign counts");
}

#[test]
fn who_stood_still_guesses_later() {
    let mut spec = spec(1);
    spec.life.readiness = Readiness::MessageOrAlive(SECOND);
    let mut herd = Herd::new(spec);
    let worker = id(0, 1);
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker });
    herd.leap(3 * SECOND);
    let lasted = 3 * SECOND;
    assert_eq!(
        herd.tell(Event::StoodStill { lasted }),
        [],
        "what it says for itself may lie there unread"
    );
    let actions = herd.tell(Event::Ready { worker });
    assert!(notices(&actions).contains(&Notice::Ready {
        worker,
        guessed: false
    }));
}

#[test]
fn a_program_that_is_trusted_and_speaks_is_no_guess() {
    let mut spec = spec(1);
    spec.life.readiness = Readiness::MessageOrAlive(SECOND);
    let mut herd = Herd::new(spec);
    let worker = id(0, 1);
    herd.tell(Event::Start);
    let actions = herd.boot(worker);
    assert!(notices(&actions).contains(&Notice::Ready {
        worker,
        guessed: false
    }));
}

#[test]
fn r12_an_app_whose_first_start_fails_altogether_ends() {
    let mut herd = Herd::new(spec(3));
    herd.tell(Event::Start);
    let actions = fail_everything(&mut herd, 30 * SECOND);
    assert_eq!(actions.last(), Some(&Action::Finish(Outcome::BootFailed)));
    assert!(herd.core.is_finished());
    let rests = notices(&actions)
        .iter()
        .filter(|n| matches!(n, Notice::Quarantined { .. }))
        .count();
    assert_eq!(rests, 3, "every slot had its full count of tries");
    assert_eq!(spawns(&actions).len(), 3 * 5, "after the three first ones");
}

#[test]
fn r12_an_app_that_is_to_keep_trying_does() {
    let mut spec = spec(2);
    spec.life.boot_failure = BootFailure::KeepTrying;
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    let actions = fail_everything(&mut herd, 300 * SECOND);
    assert!(!herd.core.is_finished());
    let slow = spawns(&actions).len() - 2 * 5;
    assert!(
        (8..=10).contains(&slow),
        "a try a minute and slot, not {slow}"
    );
}

#[test]
fn r12_one_worker_that_was_ready_once_keeps_the_app_alive() {
    let mut herd = Herd::new(spec(2));
    herd.tell(Event::Start);
    herd.boot(id(0, 1));
    fail_everything(&mut herd, 30 * SECOND);
    herd.exit(id(0, 1));
    fail_everything(&mut herd, 30 * SECOND);
    assert!(
        herd.core
            .slots()
            .all(|(_, seat)| matches!(seat, Seat::Quarantined { .. }))
    );
    assert!(!herd.core.is_finished());
}

#[test]
fn r12_what_still_starts_when_the_boot_is_given_up_is_drained_first() {
    let mut spec = spec(2);
    spec.restart.retry = Duration::from_millis(500);
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    // Slot 0 alone fails, rests and starts again, on probation.
    let mut slow = Vec::new();
    while slow.is_empty() {
        for worker in herd.alive().into_iter().filter(|worker| worker.slot.0 == 0) {
            if herd
                .core
                .slots()
                .any(|(_, seat)| matches!(seat, Seat::Quarantined { .. }))
            {
                break;
            }
            let rests = herd.exit(worker);
            if notices(&rests)
                .iter()
                .any(|n| matches!(n, Notice::Quarantined { .. }))
            {
                slow = spawns(&herd.wait(SECOND));
            }
        }
        herd.wait(SECOND / 10);
    }
    herd.tell(Event::Spawned { worker: slow[0] });
    // Then slot 1 comes to rest too.
    while !matches!(herd.phase(slow[0]), Some(Phase::Draining { .. })) {
        for worker in herd.alive().into_iter().filter(|worker| worker.slot.0 == 1) {
            herd.exit(worker);
        }
        herd.wait(SECOND / 10);
    }
    assert!(!herd.core.is_finished(), "somebody lives");
    let actions = herd.exit(slow[0]);
    assert_eq!(actions.last(), Some(&Action::Finish(Outcome::BootFailed)));
}

#[test]
fn any_word_of_a_worker_proves_that_it_exists() {
    let mut herd = Herd::new(spec(1));
    let worker = id(0, 1);
    herd.tell(Event::Start);
    assert_eq!(
        deeds(&herd.tell(Event::Ready { worker })),
        [Action::Admit { worker }]
    );
    assert_eq!(
        herd.tell(Event::Spawned { worker }),
        [],
        "the late answer changes nothing"
    );
}

/// Lets every worker that is not ready die as soon as it exists, for so long.
fn fail_everything(herd: &mut Herd, time: Duration) -> Vec<Action> {
    let end = herd.now.after(time);
    let mut actions = Vec::new();
    while herd.now < end {
        for worker in herd.alive() {
            if herd.phase(worker).is_some_and(|phase| phase.is_starting()) {
                actions.extend(herd.tell(Event::Spawned { worker }));
                actions.extend(herd.exit(worker));
            }
        }
        actions.extend(herd.wait(SECOND / 20));
    }
    actions
}
