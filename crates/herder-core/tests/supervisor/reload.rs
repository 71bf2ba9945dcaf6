//! A new generation takes the place of the old one, slot by slot.

use std::num::NonZeroU16;

use herder_core::supervisor::{
    Action, DrainReason, Event, Notice, Phase, RecycleReason, Rollout, Seat,
};
use herder_core::{Exit, Generation, WorkerId};

use crate::harness::{Herd, SECOND, count, deeds, id, notices, spawns, spec};

#[test]
fn the_old_worker_rests_when_the_new_one_is_ready_and_leaves_after_the_soak() {
    let mut herd = Herd::ready(spec(2));
    let first = herd.tell(reload(2));
    let (from, to) = (Generation(1), Generation(2));
    assert_eq!(
        first,
        [
            Action::Announce(Notice::ReloadBegan { from, to }),
            start(id(0, 3), 2)
        ]
    );
    assert_eq!(
        deeds(&herd.boot(id(0, 3))),
        [
            Action::Admit { worker: id(0, 3) },
            Action::Rest { worker: id(0, 1) },
            start(id(1, 4), 2)
        ]
    );
    assert_eq!(herd.core.rollout(), Rollout::Rolling);
    herd.wait(2 * SECOND);
    assert_eq!(
        deeds(&herd.boot(id(1, 4))),
        [
            Action::Admit { worker: id(1, 4) },
            Action::Rest { worker: id(1, 2) }
        ]
    );
    assert_eq!(herd.core.rollout(), Rollout::Soaking);
    assert_eq!(
        herd.core.generation(),
        from,
        "it is not known yet what it is worth"
    );
    assert!(herd.core.is_reloading());

    assert_eq!(herd.wait(9 * SECOND), []);
    let over = herd.wait(SECOND);
    let (generation, took) = (to, 2 * SECOND);
    assert_eq!(
        over[0],
        Action::Announce(Notice::Reloaded {
            generation,
            from,
            took
        })
    );
    assert_eq!(
        deeds(&over),
        [id(0, 1), id(1, 2)].map(|worker| Action::Withdraw { worker })
    );
    assert_eq!(herd.core.generation(), to);
    assert!(!herd.core.is_reloading());
    leave_for_good(&mut herd, [id(0, 1), id(1, 2)], from);
    assert_eq!(herd.core.generation_of(id(0, 3)), Some(to));
    assert_eq!(herd.core.generation_of(id(0, 1)), None);
}

/// The last workers of a generation, which were withdrawn, leave, and it is forgotten.
#[track_caller]
fn leave_for_good(herd: &mut Herd, workers: [WorkerId; 2], generation: Generation) {
    let reason = DrainReason::Replaced;
    for worker in workers {
        let told = herd.tell(Event::Withdrawn { worker });
        assert_eq!(told, [Action::Drain { worker, reason }]);
    }
    assert_eq!(deeds(&herd.exit(workers[0])), []);
    assert_eq!(
        deeds(&herd.exit(workers[1])),
        [Action::Discard { generation }],
        "nobody of it lives"
    );
}

#[test]
fn r39_of_a_hundred_reloads_in_a_second_two_run_and_the_latest_wins() {
    let mut herd = Herd::ready(spec(1));
    let mut all = Vec::new();
    for generation in 2..=101 {
        all.extend(herd.tell(reload(generation)));
    }
    let forgotten = |action: &&Action| matches!(action, Action::Discard { .. });
    assert_eq!(
        all.iter().filter(forgotten).count(),
        98,
        "all but the first and the last"
    );
    assert_eq!(spawns(&all), [id(0, 2)]);
    herd.boot(id(0, 2));
    let over = herd.wait(10 * SECOND);
    assert!(over.contains(&start(id(0, 3), 101)), "{over:?}");
    herd.boot(id(0, 3));
    let over = herd.wait(60 * SECOND);
    assert_eq!(spawns(&over), [], "no third one");
    assert_eq!(herd.core.generation(), Generation(101));
}

#[test]
fn r34_a_second_reload_waits_for_the_soak_of_the_first() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(reload(2));
    herd.boot(id(0, 2));
    let generation = Generation(3);
    assert_eq!(
        herd.tell(reload(3)),
        [Action::Announce(Notice::ReloadWaits { generation })]
    );
    assert_eq!(herd.wait(9 * SECOND), []);
    let over = herd.wait(SECOND);
    let (from, to) = (Generation(2), Generation(3));
    let began = Notice::ReloadBegan { from, to };
    assert_eq!(notices(&over).last(), Some(&began));
}

#[test]
fn as_many_slots_change_at_a_time_as_may() {
    let mut spec = spec(5);
    spec.reload.surge = NonZeroU16::new(2).expect("not zero");
    spec.reload.max_unavailable = 1;
    let mut herd = Herd::ready(spec);
    assert_eq!(
        deeds(&herd.tell(reload(2))),
        [
            start(id(0, 6), 2),
            start(id(1, 7), 2),
            start(id(2, 8), 2),
            Action::Rest { worker: id(2, 3) },
        ],
        "two beside the old ones, one instead of it"
    );
    assert_eq!(herd.core.ready_count(), 4);
    assert_eq!(spawns(&herd.boot(id(1, 7))), [id(3, 9)]);
    assert_eq!(
        deeds(&herd.boot(id(2, 8))),
        [
            Action::Admit { worker: id(2, 8) },
            start(id(4, 10), 2),
            Action::Rest { worker: id(4, 5) },
        ]
    );
}

#[test]
fn nobody_rests_early_while_another_is_missing() {
    let mut spec = spec(3);
    spec.reload.max_unavailable = 1;
    let mut herd = Herd::ready(spec);
    herd.exit(id(2, 3));
    assert_eq!(deeds(&herd.tell(reload(2))), [start(id(0, 4), 2)]);
    assert_eq!(herd.core.ready_count(), 2);
}

#[test]
fn a_slot_that_was_not_reached_is_healed_with_the_old_generation() {
    let mut herd = Herd::ready(spec(2));
    herd.wait(10 * SECOND);
    herd.tell(reload(2));
    assert_eq!(deeds(&herd.exit(id(1, 2))), [start(id(1, 4), 1)]);
    herd.boot(id(1, 4));
    assert_eq!(spawns(&herd.boot(id(0, 3))), [id(1, 5)]);
    assert_eq!(herd.core.generation_of(id(1, 5)), Some(Generation(2)));
}

#[test]
fn an_old_worker_that_dies_beside_its_new_one_leaves_the_slot_to_it() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(reload(2));
    assert_eq!(deeds(&herd.exit(id(0, 1))), []);
    assert_eq!(
        deeds(&herd.boot(id(0, 2))),
        [Action::Admit { worker: id(0, 2) }]
    );
    herd.wait(10 * SECOND);
    assert_eq!(herd.core.generation(), Generation(2));
}

#[test]
fn what_leaves_as_planned_is_followed_and_no_failure() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(reload(2));
    herd.boot(id(0, 2));
    let worker = id(0, 2);
    assert_eq!(spawns(&herd.tell(Event::Retire { worker })), [id(0, 3)]);
    herd.exit(worker);
    herd.wait(11 * SECOND);
    assert_eq!(
        herd.core.rollout(),
        Rollout::Soaking,
        "its slot is not in service"
    );
    let worker = id(0, 3);
    let actions = herd.boot(worker);
    assert!(
        matches!(
            notices(&actions).as_slice(),
            [.., Notice::Reloaded { .. }, Notice::Stopping { .. }]
        ),
        "{actions:?}"
    );
    assert_eq!(herd.core.generation_of(worker), Some(Generation(2)));
}

#[test]
fn what_rests_or_is_about_to_start_is_changed_too() {
    let mut spec = spec(3);
    spec.reload.surge = NonZeroU16::new(3).expect("not zero");
    let mut herd = Herd::new(spec);
    herd.tell(Event::Start);
    herd.boot(id(0, 1));
    herd.tell(Event::Spawned { worker: id(1, 2) });
    let actions = herd.tell(reload(2));
    assert_eq!(
        deeds(&actions),
        [
            start(id(0, 4), 2),
            Action::Drain {
                worker: id(1, 2),
                reason: DrainReason::Replaced
            },
            start(id(1, 5), 2),
        ],
        "nobody knows yet whether 2#3 exists"
    );
    let actions = herd.tell(Event::Spawned { worker: id(2, 3) });
    assert_eq!(spawns(&actions), [id(2, 6)]);
}

#[test]
fn the_size_may_change_meanwhile() {
    let mut herd = Herd::ready(spec(2));
    herd.tell(reload(2));
    herd.boot(id(0, 3));
    let up = herd.tell(Event::Scale(count(3)));
    assert_eq!(
        deeds(&up),
        [start(id(2, 5), 2)],
        "a new slot needs no old generation"
    );
    let down = herd.tell(Event::Scale(count(1)));
    assert_eq!(herd.core.rollout(), Rollout::Soaking, "{down:?}");
    herd.tell(Event::Scale(count(2)));
    // 1#4 was recalled and may still come to exist.
    assert_eq!(
        herd.core.workers().filter(|(w, _)| w.slot.0 == 1).count(),
        2
    );
    let appeared = herd.tell(Event::Spawned { worker: id(1, 4) });
    assert_eq!(spawns(&appeared), [id(1, 6)]);
    herd.boot(id(1, 6));
    herd.wait(10 * SECOND);
    assert_eq!(herd.core.generation(), Generation(2));
}

#[test]
fn recycling_rests_and_its_replacement_makes_way() {
    let mut spec = spec(1);
    spec.recycle.max_requests = std::num::NonZeroU64::new(10);
    let mut herd = Herd::ready(spec);
    let worker = id(0, 1);
    herd.tell(Event::Served { worker, total: 10 });
    herd.tell(Event::Spawned { worker: id(0, 2) });
    let reason = DrainReason::Replaced;
    let actions = herd.tell(reload(2));
    assert_eq!(
        deeds(&actions),
        [
            Action::Drain {
                worker: id(0, 2),
                reason
            },
            start(id(0, 3), 2)
        ]
    );
    herd.boot(id(0, 3));
    let worker = id(0, 3);
    let worn = herd.tell(Event::Served { worker, total: 10 });
    assert_eq!(worn, []);
    let over = herd.wait(10 * SECOND);
    let reason = RecycleReason::Requests;
    assert!(notices(&over).contains(&Notice::Recycling { worker, reason }));
}

#[test]
fn r39_of_many_draining_generations_the_oldest_is_killed() {
    let mut spec = spec(1);
    spec.reload.max_generations = NonZeroU16::new(2).expect("not zero");
    spec.reload.soak = SECOND;
    spec.life.grace = 1_000 * SECOND;
    let mut herd = Herd::ready(spec);
    let mut cut = Vec::new();
    for generation in 2..=4 {
        herd.tell(reload(generation));
        herd.boot(id(0, u64::from(generation)));
        cut.extend(herd.wait(SECOND));
    }
    let (generation, workers) = (Generation(1), 1);
    let notice = Notice::GenerationsCut {
        generation,
        workers,
    };
    let at = cut
        .iter()
        .position(|action| *action == Action::Announce(notice.clone()))
        .expect("three drain, and two may");
    assert_eq!(cut[at + 1], Action::Kill { worker: id(0, 1) });
    assert!(matches!(
        herd.phase(id(0, 2)),
        Some(Phase::Withdrawing { .. })
    ));
}

#[test]
fn who_once_could_speak_must_speak() {
    let mut spec = spec(1);
    spec.life.readiness = herd_guess();
    let mut herd = Herd::new(spec.clone());
    herd.tell(Event::Start);
    herd.tell(Event::Spawned { worker: id(0, 1) });
    herd.wait(SECOND);
    herd.tell(reload(2));
    herd.tell(Event::Spawned { worker: id(0, 2) });
    let guessed = notices(&herd.wait(SECOND));
    assert!(
        matches!(guessed[..], [Notice::Ready { guessed: true, .. }]),
        "nobody has ever said a word"
    );
    // The second one does, late.
    herd.tell(Event::Ready { worker: id(0, 2) });
    herd.wait(10 * SECOND);
    herd.exit(id(0, 1));
    herd.tell(reload(3));
    herd.tell(Event::Spawned { worker: id(0, 3) });
    assert_eq!(herd.wait(59 * SECOND), [], "it says nothing");
    let silent = notices(&herd.wait(SECOND));
    assert!(
        silent
            .iter()
            .any(|it| matches!(it, Notice::RolledBack { .. }))
    );
    // One of a generation that may be silent still may.
    herd.exit(id(0, 2));
    herd.tell(Event::Spawned { worker: id(0, 4) });
    assert_eq!(herd.core.generation_of(id(0, 4)), Some(Generation(2)));
    herd.wait(SECOND);
    assert!(matches!(herd.phase(id(0, 4)), Some(Phase::Ready { .. })));
}

#[test]
fn before_the_start_a_generation_simply_is_the_one() {
    let mut herd = Herd::new(spec(1));
    let actions = herd.tell(reload(2));
    assert_eq!(
        deeds(&actions),
        [Action::Discard {
            generation: Generation(1)
        }]
    );
    assert_eq!(deeds(&herd.tell(Event::Start)), [start(id(0, 1), 2)]);
}

#[test]
fn what_is_not_newer_or_comes_too_late_changes_nothing() {
    let mut herd = Herd::ready(spec(1));
    assert_eq!(herd.tell(reload(1)), []);
    assert_eq!(herd.core.stale_events(), 1);
    herd.tell(Event::Stop);
    let generation = Generation(2);
    assert_eq!(herd.tell(reload(2)), [Action::Discard { generation }]);
}

#[test]
fn without_a_soak_the_old_ones_leave_at_once() {
    let mut spec = spec(1);
    spec.reload.soak = std::time::Duration::ZERO;
    let mut herd = Herd::ready(spec);
    herd.tell(reload(2));
    let actions = herd.boot(id(0, 2));
    assert_eq!(
        deeds(&actions),
        [
            Action::Admit { worker: id(0, 2) },
            Action::Rest { worker: id(0, 1) },
            Action::Withdraw { worker: id(0, 1) },
        ]
    );
    assert_eq!(
        herd.seat(0),
        Seat::Held {
            by: id(0, 2).incarnation
        }
    );
}

#[test]
fn one_that_stands_by_may_die_hang_or_retire_and_nobody_follows() {
    let mut herd = Herd::ready(spec(3));
    herd.tell(reload(2));
    for new in [id(0, 4), id(1, 5), id(2, 6)] {
        herd.boot(new);
    }
    assert_eq!(deeds(&herd.exit(id(0, 1))), []);
    let worker = id(1, 2);
    assert_eq!(
        deeds(&herd.tell(Event::Retire { worker })),
        [Action::Withdraw { worker }]
    );
    let exit = Exit::Code(0);
    assert_eq!(spawns(&herd.tell(Event::Exited { worker, exit })), []);
    herd.wait(10 * SECOND);
    assert_eq!(herd.core.generation(), Generation(2));
}

fn herd_guess() -> herder_core::spec::Readiness {
    herder_core::spec::Readiness::MessageOrAlive(SECOND)
}

fn reload(generation: u32) -> Event {
    Event::Reload {
        generation: Generation(generation),
    }
}

fn start(worker: WorkerId, generation: u32) -> Action {
    Action::Spawn {
        worker,
        generation: Generation(generation),
    }
}
