//! What a master learns of the time before it.

use herder_core::supervisor::{Action, DrainReason, Event, Supervisor};
use herder_core::{Generation, WorkerId};

use crate::harness::{Herd, SECOND, deeds, id, spawn, spawns, spec};

/// The state is written down, and another master reads it.
fn restored(herd: &Herd) -> Herd {
    let text = serde_json::to_vec(&herd.core).expect("it can be written");
    let core: Supervisor = serde_json::from_slice(&text).expect("it can be read");
    assert_eq!(core, herd.core);
    Herd {
        core,
        now: herd.now,
        silent: herd.silent.clone(),
    }
}

#[test]
fn r27_a_restored_supervisor_asks_for_nothing_by_itself() {
    let mut herd = Herd::ready(spec(3));
    herd.tell(reload(2));
    herd.boot(id(0, 4));
    let mut herd = restored(&herd);
    assert_eq!(herd.core.poll_action(), None);
    assert_eq!(herd.tell(Event::Timer), []);
    herd.boot(id(1, 5));
    let mut herd = restored(&herd);
    herd.boot(id(2, 6));
    let mut herd = restored(&herd);
    herd.wait(10 * SECOND);
    assert_eq!(herd.core.generation(), Generation(2));
}

#[test]
fn r27_a_process_that_was_never_started_is_started_and_nobody_failed() {
    let mut herd = Herd::new(spec(1));
    herd.tell(Event::Start);
    let mut herd = restored(&herd);
    for n in 1..20 {
        let worker = id(0, n);
        let actions = herd.tell(Event::Unborn { worker });
        assert_eq!(actions, [spawn(id(0, n + 1))], "uncounted, without delay");
    }
    herd.tell(Event::Spawned { worker: id(0, 20) });
    let worker = id(0, 20);
    let actions = herd.tell(Event::Unborn { worker });
    assert_eq!(actions, [spawn(id(0, 21))], "it never got its plan");
    herd.boot(id(0, 21));
    let worker = id(0, 21);
    assert_eq!(
        herd.tell(Event::Unborn { worker }),
        [],
        "it has served: it was born"
    );
}

#[test]
fn r27_what_was_never_started_for_a_reload_is_no_failure_of_it() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(reload(2));
    let mut herd = restored(&herd);
    let worker = id(0, 2);
    let generation = Generation(2);
    let again = Action::Spawn {
        worker: id(0, 3),
        generation,
    };
    assert_eq!(herd.tell(Event::Unborn { worker }), [again]);
    assert_eq!(
        deeds(&herd.boot(id(0, 3))),
        [
            Action::Admit { worker: id(0, 3) },
            Action::Rest { worker: id(0, 1) }
        ]
    );
}

#[test]
fn r27_so_is_a_recycled_workers_replacement() {
    let mut spec = spec(1);
    spec.recycle.max_requests = std::num::NonZeroU64::new(10);
    let mut herd = Herd::ready(spec);
    let worker = id(0, 1);
    herd.tell(Event::Served { worker, total: 10 });
    let mut herd = restored(&herd);
    let worker = id(0, 2);
    assert_eq!(spawns(&herd.tell(Event::Unborn { worker })), [id(0, 3)]);
    let actions = herd.boot(id(0, 3));
    assert!(actions.contains(&Action::Withdraw { worker: id(0, 1) }));
}

#[test]
fn r27_a_worker_that_drains_and_nobody_remembers_is_followed_at_once() {
    let mut herd = restored(&Herd::ready(spec(2)));
    let reason = DrainReason::Retired;
    for n in 0..10 {
        let worker = match n {
            0 => id(0, 1),
            n => id(0, n + 2),
        };
        let actions = herd.tell(Event::Draining { worker });
        assert_eq!(
            deeds(&actions),
            [spawn(id(0, n + 3)), Action::Withdraw { worker }],
            "uncounted"
        );
        herd.tell(Event::Withdrawn { worker });
        herd.exit(worker);
        herd.boot(id(0, n + 3));
    }
    herd.exit(id(1, 2));
    herd.wait(SECOND);
    let worker: WorkerId = id(1, 13);
    herd.tell(Event::Spawned { worker });
    let actions = herd.tell(Event::Draining { worker });
    assert_eq!(
        deeds(&actions),
        [spawn(id(1, 14)), Action::Drain { worker, reason }],
        "it was told so before it was ready"
    );
}

#[test]
fn the_soak_is_not_over_because_nobody_looked() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(reload(2));
    herd.boot(id(0, 2));
    herd.wait(2 * SECOND);
    herd.leap(300 * SECOND);
    assert_eq!(herd.tell(Event::Timer), []);
    assert_eq!(herd.wait(4 * SECOND), [], "half of it is seen at least");
    herd.wait(SECOND);
    assert_eq!(herd.core.generation(), Generation(2));
}

#[test]
fn r30_the_time_without_a_master_is_no_part_of_a_soak() {
    let mut herd = Herd::ready(spec(1));
    herd.tell(reload(2));
    herd.boot(id(0, 2));
    herd.wait(8 * SECOND);
    herd.leap(300 * SECOND);
    let lasted = 300 * SECOND;
    assert_eq!(herd.tell(Event::StoodStill { lasted }), []);
    assert_eq!(herd.wait(4 * SECOND), [], "half of it is seen at least");
    herd.wait(SECOND);
    assert_eq!(herd.core.generation(), Generation(2));
}

fn reload(generation: u32) -> Event {
    Event::Reload {
        generation: Generation(generation),
    }
}
