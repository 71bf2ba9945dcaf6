//! When a job is due.

use std::time::Duration;

use herder_core::schedule::{Action, Event, JobName, Misfire, Outcome};

use crate::desk::{Desk, NIGHTLY, SECOND, entries, name, outcomes, plan, start, starts, wall};

#[test]
fn it_runs_at_its_ticks_and_not_between() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    assert_eq!(desk.scheduler.poll_timeout(desk.now), Some(10 * SECOND));
    assert_eq!(desk.pass(9 * SECOND), []);
    let actions = desk.pass(SECOND);
    assert_eq!(starts(&actions)[0].2, wall(1010));
    let tick = wall(1010);
    let name = name(NIGHTLY);
    assert_eq!(actions[0], Action::Remember { name, tick });
}

#[test]
fn ticks_follow_from_ticks_and_do_not_drift() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    for tick in 1..=20 {
        // Each time a little late.
        let actions =
            desk.pass(10 * SECOND + Duration::from_millis(if tick == 1 { 300 } else { 0 }));
        let (run, _, at) = starts(&actions)[0];
        assert_eq!(at, wall(1000 + 10 * tick));
        desk.finish(run);
    }
}

#[test]
fn what_was_missed_is_left_out() {
    let mut desk = Desk::new();
    desk.worker(1);
    let actions = desk.define(plan(), Some(wall(900)));
    // Due at 910 … 1000; the last is only just due.
    assert_eq!(
        starts(&actions).iter().map(|s| s.2).collect::<Vec<_>>(),
        [wall(1000)]
    );
    let left_out = entries(&actions);
    assert_eq!((left_out.len(), left_out[0].tick), (1, wall(990)));
    assert_eq!(left_out[0].outcome, Outcome::Missed);
}

#[test]
fn the_last_that_was_missed_is_made_up_for() {
    let mut desk = Desk::new();
    desk.worker(1);
    desk.now.wall = wall(1008);
    let once = herder_core::schedule::JobPlan {
        misfire: Misfire::Once,
        ..plan()
    };
    let actions = desk.define(once, Some(wall(900)));
    assert_eq!(
        starts(&actions).iter().map(|s| s.2).collect::<Vec<_>>(),
        [wall(1000)]
    );
}

#[test]
fn as_many_as_allowed_are_made_up_for_oldest_first() {
    let mut desk = Desk::new();
    desk.worker(1);
    desk.now.wall = wall(1008);
    let plan = herder_core::schedule::JobPlan {
        misfire: Misfire::All(3),
        overlap: herder_core::schedule::Overlap::Allow,
        ..plan()
    };
    let actions = desk.define(plan, Some(wall(900)));
    let ticks: Vec<_> = starts(&actions).iter().map(|s| s.2).collect();
    assert_eq!(ticks, [wall(980), wall(990), wall(1000)]);
}

#[test]
fn a_very_long_outage_costs_little() {
    let mut desk = Desk::new();
    desk.worker(1);
    desk.now.wall = wall(4_000_000_000);
    let actions = desk.define(plan(), Some(wall(0)));
    assert_eq!(starts(&actions).len(), 1, "the one of now");
    assert_eq!(outcomes(&actions), [Outcome::Missed]);
}

#[test]
fn paused_it_is_not_due_and_resumed_it_does_not_make_up() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    desk.tell(Event::Pause {
        name: name(NIGHTLY),
    });
    assert_eq!(desk.scheduler.poll_timeout(desk.now), None);
    assert_eq!(desk.pass(35 * SECOND), []);
    assert_eq!(
        desk.tell(Event::Resume {
            name: name(NIGHTLY)
        }),
        []
    );
    assert_eq!(starts(&desk.pass(5 * SECOND))[0].2, wall(1040));
}

#[test]
fn defined_anew_it_stays_paused_and_does_not_repeat_a_tick() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    let run = start(&desk.pass(10 * SECOND));
    desk.finish(run);
    assert_eq!(
        desk.define(plan(), Some(wall(900))),
        [],
        "1010 was dealt with"
    );
    desk.tell(Event::Pause {
        name: name(NIGHTLY),
    });
    desk.define(plan(), None);
    assert_eq!(desk.pass(30 * SECOND), []);
}

#[test]
fn it_runs_when_asked_beside_its_calendar() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    desk.pass(3 * SECOND);
    let actions = desk.tell(Event::RunNow {
        name: name(NIGHTLY),
    });
    assert_eq!(starts(&actions)[0].2, wall(1003));
    desk.finish(start(&actions));
    assert_eq!(starts(&desk.pass(7 * SECOND))[0].2, wall(1010));
}

#[test]
fn jitter_delays_by_no_more_than_it_may_and_differs() {
    let mut desk = Desk::with(herder_core::schedule::JobPlan {
        jitter: 4 * SECOND,
        ..plan()
    });
    desk.worker(1);
    let mut delays = Vec::new();
    let mut waited = 0_i64;
    while delays.len() < 10 {
        let actions = desk.pass(Duration::from_millis(100));
        waited += 100;
        for (run, _, tick) in starts(&actions) {
            let delay = 1_000_000 + waited - tick.as_millis();
            assert!((0..=4_100).contains(&delay), "{delay}");
            delays.push(delay);
            desk.finish(run);
        }
    }
    delays.dedup();
    assert!(delays.len() > 5, "{delays:?}");
}

#[test]
fn names_are_checked() {
    assert!(JobName::new("a/b:c-1._Z").is_ok());
    for bad in ["", "a b", "ü", &"x".repeat(101)] {
        let error = JobName::new(bad).expect_err("no name");
        assert!(error.to_string().contains("1 to 100 of"), "{error}");
    }
}
