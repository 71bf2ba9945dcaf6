//! Workers that decide promptly may hold more than others.

use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::spec::{DispatchSpec, Recall};

use crate::desk::{Desk, worker};

const CAUTIOUS: NonZeroU32 = NonZeroU32::new(2).expect("2 is not zero");
const WIDE: NonZeroU32 = NonZeroU32::new(5).expect("5 is not zero");
const CAUTION: usize = CAUTIOUS.get() as usize;
const WINDOW: usize = WIDE.get() as usize;
const PROMPT: Duration = Duration::from_millis(5);

fn desk() -> Desk {
    let spec = DispatchSpec {
        recall: Recall::Verdict,
        window: WIDE,
        cautious_window: CAUTIOUS,
        ..DispatchSpec::default()
    };
    Desk::with(1, &spec)
}

/// A worker that may hold all that any worker may; `count` connections, some ten of which it has taken.
fn trusted(count: usize) -> Desk {
    let mut desk = desk();
    desk.accept(count);
    for _ in 0..10 {
        desk.take(worker(0), 1);
    }
    desk
}

#[test]
fn each_prompt_verdict_of_a_full_worker_widens_its_window_by_one() {
    let mut desk = desk();
    desk.accept(100);
    for expected in [2, 3, 4, 5, 5] {
        assert_eq!(desk.channel(worker(0)).len(), expected);
        desk.pass(Duration::from_millis(1));
        desk.take(worker(0), 1);
    }
}

#[test]
fn who_is_never_full_is_not_known_to_manage_more() {
    let mut desk = desk();
    for _ in 0..20 {
        desk.accept(1);
        desk.take(worker(0), 1);
    }
    desk.accept(100);
    assert_eq!(desk.channel(worker(0)).len(), CAUTION);
}

#[test]
fn one_late_verdict_makes_it_narrow_again() {
    let mut desk = trusted(100);
    assert_eq!(desk.channel(worker(0)).len(), WINDOW);
    desk.pass(PROMPT + Duration::from_micros(1));
    desk.take(worker(0), 1);
    assert_eq!(desk.channel(worker(0)).len(), WINDOW - 1, "nothing more");
    desk.take(worker(0), 2);
    assert_eq!(desk.channel(worker(0)).len(), CAUTION);
    desk.take(worker(0), 1);
    assert_eq!(desk.channel(worker(0)).len(), CAUTION);
}

#[test]
fn a_worker_that_falls_silent_is_narrow_at_once() {
    const HELD: usize = CAUTION + 1;
    let mut desk = trusted(10 + HELD);
    assert_eq!(desk.dispatcher.accept_budget(), WINDOW - HELD);
    desk.pass(PROMPT);
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)).len(), HELD + 1);
    desk.pass(Duration::from_micros(1));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)).len(), HELD + 1);
    assert_eq!(desk.dispatcher.accept_budget(), 0);
}

#[test]
fn who_gives_connections_back_is_narrow_again() {
    let mut desk = trusted(100);
    desk.reject(worker(0), 1);
    desk.take(worker(0), WINDOW - 1 - CAUTION);
    assert_eq!(desk.channel(worker(0)).len(), CAUTION);
}
