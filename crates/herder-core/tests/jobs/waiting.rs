//! Jobs that nobody can take.

use herder_core::jobs::{JobOutcome, JobSpec};

use crate::desk::{Desk, millis, number, worker};

#[test]
fn what_nobody_could_take_for_10_seconds_is_given_up() {
    let mut desk = Desk::new(0);
    desk.send(1);
    desk.pass(millis(5_000));
    desk.send(1);
    desk.pass(millis(4_999));
    assert_eq!(desk.outcomes(1), []);
    desk.pass(millis(1));
    assert_eq!(desk.outcomes(1), [JobOutcome::Unserved]);
    assert_eq!(desk.released(1), 1);
    assert_eq!(desk.dispatcher.waiting(), 1);
}

#[test]
fn what_comes_back_begins_to_wait_anew() {
    let mut desk = Desk::new(1);
    desk.send(1);
    desk.pass(millis(9_000));
    desk.hold(1);
    desk.pass(millis(9_000));
    assert_eq!(desk.outcomes(1), []);
    desk.pass(millis(1_000));
    assert_eq!(desk.outcomes(1), [JobOutcome::Unserved]);
}

#[test]
fn a_refusal_does_not_begin_the_wait_anew() {
    let mut desk = Desk::new(0);
    desk.send(1);
    desk.pass(millis(9_000));
    desk.refusing.insert(worker(1));
    desk.admit(1);
    desk.pass(millis(1_000));
    assert_eq!(desk.outcomes(1), [JobOutcome::Unserved]);
}

#[test]
fn whoever_can_be_served_is_not_late() {
    let mut desk = Desk::new(0);
    desk.send(1);
    desk.now = desk.now.after(millis(20_000));
    desk.admit(1);
    assert_eq!(desk.link(1), [1]);
    assert_eq!(desk.outcomes(1), []);
}

#[test]
fn no_wish_to_be_woken_without_a_reason() {
    let mut desk = Desk::new(2);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
    desk.send(2);
    desk.start(1);
    desk.start(2);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
}

#[test]
fn thousands_of_jobs_and_hundreds_of_workers() {
    let spec = JobSpec {
        client_window: number(100_000),
        pending: number(100_000),
        ..JobSpec::default()
    };
    let mut desk = Desk::with(300, spec);
    desk.send(5_000);
    assert_eq!(desk.dispatcher.waiting(), 5_000 - 300 * 8);
    let mut served = 0;
    while served < 5_000 {
        for id in 1..=300 {
            if !desk.link(id).is_empty() {
                desk.serve(id);
                served += 1;
            }
        }
    }
    let shares = desk.dealt();
    assert!((1..=300).all(|id| shares.iter().filter(|to| **to == id).count() >= 16));
}
