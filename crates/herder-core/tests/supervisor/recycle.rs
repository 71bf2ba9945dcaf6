//! Healthy workers are replaced, one at a time, the replacement ready first.

use std::num::{NonZeroU16, NonZeroU64};
use std::time::Duration;

use herder_core::Exit;
use herder_core::supervisor::{
    Action, Cause, DrainReason, Event, Notice, Phase, RecycleReason, Seat,
};

use crate::harness::{Herd, SECOND, count, deeds, id, notices, spawn, spawns, spec};

#[test]
fn a_worker_that_served_enough_serves_on_until_its_replacement_is_ready() {
    let mut herd = worn_out(2);
    let (worker, new) = (id(0, 1), id(0, 3));
    let actions = herd.tell(Event::Served {
        worker,
        total: 1_000,
    });
    let reason = RecycleReason::Requests;
    let begun = Action::Announce(Notice::Recycling { worker, reason });
    assert_eq!(actions, [begun, spawn(new)]);
    assert_eq!(herd.core.ready_count(), 2);
    let reason = DrainReason::Recycle(reason);
    let actions = herd.boot(new);
    assert_eq!(
        deeds(&actions),
        [Action::Admit { worker: new }, Action::Withdraw { worker }]
    );
    assert!(notices(&actions).contains(&Notice::Stopping { worker, reason }));
    assert_eq!(
        herd.tell(Event::Withdrawn { worker }),
        [Action::Drain { worker, reason }]
    );
    let exit = Exit::Code(0);
    let actions = herd.tell(Event::Exited { worker, exit });
    let cause = Cause::Planned(reason);
    assert_eq!(
        actions,
        [Action::Announce(Notice::Exited {
            worker,
            exit,
            cause
        })]
    );
}

#[test]
fn one_worker_at_a_time_the_longest_waiting_first() {
    let mut herd = worn_out(3);
    herd.tell(Event::Served {
        worker: id(1, 2),
        total: 1_000,
    });
    herd.leap(SECOND);
    assert_eq!(
        herd.tell(Event::Served {
            worker: id(2, 3),
            total: 1_000
        }),
        []
    );
    herd.leap(SECOND);
    assert_eq!(
        herd.tell(Event::Served {
            worker: id(0, 1),
            total: 1_000
        }),
        []
    );
    assert_eq!(spawns(&herd.boot(id(1, 4))), [id(2, 5)]);
    assert_eq!(spawns(&herd.boot(id(2, 5))), [id(0, 6)]);
    assert_eq!(spawns(&herd.boot(id(0, 6))), []);
}

#[test]
fn each_limit_is_shortened_for_each_worker_by_up_to_a_tenth() {
    let herd = worn_out(64);
    let limits: Vec<u64> = herd
        .core
        .workers()
        .filter_map(|(_, phase)| {
            let Phase::Ready { tenure } = phase else {
                return None;
            };
            tenure.limits.requests
        })
        .collect();
    assert_eq!(limits.len(), 64);
    assert!(
        limits.iter().all(|limit| (900..=1_000).contains(limit)),
        "{limits:?}"
    );
    let different: std::collections::BTreeSet<_> = limits.iter().collect();
    assert!(
        different.len() > 20,
        "they do not leave together: {limits:?}"
    );
}

#[test]
fn age_and_memory_are_limits_too() {
    let mut aged = spec(1);
    aged.recycle.max_lifetime = Some(1_000 * SECOND);
    let mut herd = Herd::ready(aged);
    assert_eq!(herd.wait(899 * SECOND), []);
    let actions = herd.wait(101 * SECOND);
    let reason = RecycleReason::Lifetime;
    assert_eq!(
        notices(&actions),
        [Notice::Recycling {
            worker: id(0, 1),
            reason
        }]
    );

    let mut fat = spec(1);
    fat.recycle.max_memory = NonZeroU64::new(1_000_000);
    let mut herd = Herd::ready(fat);
    let worker = id(0, 1);
    assert_eq!(
        herd.tell(Event::Memory {
            worker,
            bytes: 899_999
        }),
        []
    );
    let actions = herd.tell(Event::Memory {
        worker,
        bytes: 1_000_001,
    });
    let reason = RecycleReason::Memory;
    assert_eq!(notices(&actions), [Notice::Recycling { worker, reason }]);
}

#[test]
fn a_replacement_that_fails_leaves_the_old_one_in_service_and_is_tried_again() {
    let mut herd = worn_out(1);
    let old = id(0, 1);
    herd.tell(Event::Served {
        worker: old,
        total: 1_000,
    });
    let mut last = Duration::ZERO;
    for n in 2..10 {
        let actions = herd.exit(id(0, n));
        let Some(Notice::RestartDelayed {
            delay, failures, ..
        }) = notices(&actions).pop()
        else {
            panic!("{actions:?}");
        };
        assert_eq!(u64::from(failures), n - 1);
        assert!(delay > last, "{delay:?} after {last:?}");
        last = delay;
        assert_eq!(deeds(&herd.wait(delay)), [spawn(id(0, n + 1))]);
        assert_eq!(
            herd.seat(0),
            Seat::Held {
                by: old.incarnation
            }
        );
    }
    assert_eq!(
        deeds(&herd.boot(id(0, 10)))[1],
        Action::Withdraw { worker: old }
    );
}

#[test]
fn r04_recycling_does_not_count_as_restarting() {
    let mut herd = worn_out(1);
    for n in 1..100 {
        let worker = id(0, n);
        assert_eq!(
            spawns(&herd.tell(Event::Served {
                worker,
                total: 1_000
            })),
            [id(0, n + 1)]
        );
        herd.boot(id(0, n + 1));
        herd.tell(Event::Withdrawn { worker });
        herd.exit(worker);
    }
    herd.exit(id(0, 100));
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
}

#[test]
fn r03_a_death_during_recycling_hands_the_slot_to_the_replacement() {
    let (old, new) = (id(0, 1), id(0, 2));
    for end in [
        Event::Exited {
            worker: old,
            exit: Exit::Signal(11),
        },
        Event::Misbehaved { worker: old },
        Event::Retire { worker: old },
    ] {
        let mut herd = worn_out(1);
        herd.tell(Event::Served {
            worker: old,
            total: 1_000,
        });
        let actions = herd.tell(end.clone());
        assert_eq!(spawns(&actions), [], "{end:?}");
        assert_eq!(
            herd.seat(0),
            Seat::Held {
                by: new.incarnation
            },
            "{end:?}"
        );
        herd.exit(old);
        herd.boot(new);
        assert_eq!(herd.alive(), [new]);
        herd.exit(new);
        assert!(
            matches!(herd.seat(0), Seat::Backoff { .. }),
            "an ordinary worker now"
        );
    }
}

#[test]
fn a_worker_that_hangs_during_recycling_makes_room_for_its_replacement() {
    let mut herd = worn_out(1);
    let (old, new) = (id(0, 1), id(0, 2));
    herd.tell(Event::Served {
        worker: old,
        total: 1_000,
    });
    herd.tell(Event::Spawned { worker: new });
    herd.silent.insert(old);
    herd.wait(22 * SECOND);
    assert_eq!(
        herd.seat(0),
        Seat::Held {
            by: new.incarnation
        }
    );
    assert_eq!(spawns(&herd.exit(old)), []);
    assert_eq!(
        deeds(&herd.tell(Event::Ready { worker: new })),
        [Action::Admit { worker: new }]
    );
}

#[test]
fn a_death_while_a_recycling_waits_is_an_ordinary_one() {
    let mut herd = worn_out(1);
    herd.tell(Event::Served {
        worker: id(0, 1),
        total: 1_000,
    });
    herd.exit(id(0, 2));
    herd.exit(id(0, 1));
    assert!(matches!(herd.seat(0), Seat::Backoff { failures: 1, .. }));
    assert_eq!(spawns(&herd.wait(SECOND)), [id(0, 3)], "one, not two");
}

#[test]
fn scaling_a_slot_away_ends_its_recycling_and_the_next_one_may_begin() {
    let mut herd = worn_out(2);
    herd.tell(Event::Served {
        worker: id(1, 2),
        total: 1_000,
    });
    herd.tell(Event::Spawned { worker: id(1, 3) });
    herd.tell(Event::Served {
        worker: id(0, 1),
        total: 1_000,
    });
    let actions = herd.tell(Event::Scale(count(1)));
    let reason = DrainReason::ScaledDown;
    let expected = [
        Action::Withdraw { worker: id(1, 2) },
        Action::Drain {
            worker: id(1, 3),
            reason,
        },
        spawn(id(0, 4)),
    ];
    assert_eq!(deeds(&actions), expected);
}

#[test]
fn a_stop_ends_the_recycling() {
    let mut herd = worn_out(1);
    herd.tell(Event::Served {
        worker: id(0, 1),
        total: 1_000,
    });
    herd.tell(Event::Spawned { worker: id(0, 2) });
    let reason = DrainReason::Stop;
    let expected = [
        Action::Withdraw { worker: id(0, 1) },
        Action::Drain {
            worker: id(0, 2),
            reason,
        },
    ];
    assert_eq!(deeds(&herd.tell(Event::Stop)), expected);
}

#[test]
fn recycling_waits_while_as_many_drain_as_may() {
    let mut spec = spec(2);
    spec.recycle.max_requests = NonZeroU64::new(1_000);
    spec.life.max_draining = NonZeroU16::new(1).expect("not zero");
    let mut herd = Herd::ready(spec);
    herd.tell(Event::Retire { worker: id(0, 1) });
    let worker = id(1, 2);
    assert_eq!(
        herd.tell(Event::Served {
            worker,
            total: 1_000
        }),
        []
    );
    assert_eq!(spawns(&herd.exit(id(0, 1))), [id(1, 4)]);
}

/// Ready workers that are to be recycled after 900 to 1,000 requests.
fn worn_out(workers: usize) -> Herd {
    let mut spec = spec(workers);
    spec.recycle.max_requests = NonZeroU64::new(1_000);
    Herd::ready(spec)
}
