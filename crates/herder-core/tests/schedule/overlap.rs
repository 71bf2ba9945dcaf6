//! A job that is due while it runs.

use crate::desk::{Desk, SECOND, outcomes, plan, start, starts, wall};
use herder_core::schedule::{JobPlan, Outcome, Overlap};

fn desk(overlap: Overlap) -> Desk {
    let mut desk = Desk::with(JobPlan {
        overlap,
        timeout: 600 * SECOND,
        ..plan()
    });
    desk.worker(1);
    desk
}

#[test]
fn the_tick_is_left_out() {
    let mut desk = desk(Overlap::Skip);
    let run = start(&desk.pass(10 * SECOND));
    let actions = desk.pass(10 * SECOND);
    assert_eq!(
        (starts(&actions), outcomes(&actions)),
        (vec![], vec![Outcome::Overlapped])
    );
    desk.finish(run);
    assert_eq!(starts(&desk.pass(10 * SECOND)).len(), 1);
}

#[test]
fn it_runs_beside_itself() {
    let mut desk = desk(Overlap::Allow);
    start(&desk.pass(10 * SECOND));
    start(&desk.pass(10 * SECOND));
    assert_eq!(desk.scheduler.jobs().next().map(|job| job.running), Some(2));
}

#[test]
fn it_waits_for_itself_and_then_runs_in_order() {
    let mut desk = desk(Overlap::Queue);
    let mut run = start(&desk.pass(10 * SECOND));
    assert_eq!(starts(&desk.pass(10 * SECOND)), []);
    assert_eq!(starts(&desk.pass(10 * SECOND)), []);
    for tick in [1020, 1030] {
        let next = starts(&desk.finish(run));
        assert_eq!(next[0].2, wall(tick));
        run = next[0].0;
    }
    assert_eq!(starts(&desk.finish(run)), []);
}

#[test]
fn not_more_than_sixteen_wait() {
    let mut desk = desk(Overlap::Queue);
    start(&desk.pass(10 * SECOND));
    let mut left_out = Vec::new();
    for _ in 0..20 {
        left_out.extend(outcomes(&desk.pass(10 * SECOND)));
    }
    assert_eq!(left_out, vec![Outcome::Overlapped; 4]);
}
