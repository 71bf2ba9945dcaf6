//! Clocks that are set.

use crate::desk::{Desk, SECOND, outcomes, plan, start, starts, wall};
use herder_core::schedule::{Event, Outcome};

#[test]
fn r42_a_clock_set_back_has_its_ticks_before_it_again() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    let run = start(&desk.pass(10 * SECOND));
    desk.finish(run);
    desk.now.wall = wall(1010 - 86_400);
    assert_eq!(desk.tell(Event::Timer), []);
    // Otherwise a job of every ten seconds would be silent for a day.
    assert_eq!(starts(&desk.pass(10 * SECOND)).len(), 1);
}

#[test]
fn r42_a_clock_set_forward_ends_no_run() {
    let mut desk = Desk::with(plan());
    desk.worker(1);
    let run = start(&desk.pass(10 * SECOND));
    desk.now.wall = wall(1013 + 86_400);
    let actions = desk.tell(Event::Timer);
    assert_eq!(outcomes(&actions), [Outcome::Missed, Outcome::Overlapped]);
    assert_eq!(outcomes(&desk.finish(run)), [Outcome::Succeeded]);
}

#[test]
fn the_wall_clock_is_looked_at_every_minute() {
    let mut desk = Desk::new();
    desk.define(plan(), None);
    desk.now.wall = wall(-500);
    desk.tell(Event::Timer);
    let wait = desk.scheduler.poll_timeout(desk.now);
    assert!(wait.is_some_and(|wait| wait <= 60 * SECOND), "{wait:?}");
}
