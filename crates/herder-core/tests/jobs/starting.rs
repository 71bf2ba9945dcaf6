//! Turns of workers that are being started.

use herder_core::jobs::{Event, JobOutcome, JobSpec};

use crate::desk::{CLIENT, Desk, limited, millis, number, worker};

#[test]
fn a_job_whose_turn_falls_on_a_starting_worker_waits_for_it() {
    let mut desk = Desk::new(1);
    desk.expect(2);
    desk.send(3);
    assert_eq!(desk.dealt(), [1, 1], "the second waits, the third goes on");
    desk.start(1);
    desk.start(1);
    desk.pass(millis(249));
    desk.admit(2);
    assert_eq!(desk.link(2), [2]);
}

#[test]
fn after_the_wait_it_goes_to_the_next_who_can_take_it() {
    let mut desk = Desk::new(1);
    desk.expect(2);
    desk.expect(3);
    desk.send(2);
    desk.start(1);
    desk.pass(millis(249));
    assert_eq!(desk.link(1), []);
    desk.pass(millis(1));
    assert_eq!(
        desk.link(1),
        [2],
        "worker 3, which is being started too, is not waited for"
    );
}

#[test]
fn a_job_that_waited_in_vain_goes_to_whoever_is_admitted_first() {
    let mut desk = Desk::new(0);
    desk.expect(1);
    desk.send(1);
    desk.pass(millis(300));
    assert_eq!(desk.dispatcher.waiting(), 1);
    desk.expect(2);
    desk.admit(2);
    assert_eq!(desk.link(2), [1]);
}

#[test]
fn a_death_of_the_starting_worker_ends_the_wait() {
    let mut desk = Desk::new(1);
    desk.expect(2);
    desk.send(2);
    desk.kill(2);
    assert_eq!(desk.link(1), [1, 2]);
}

#[test]
fn held_and_withdrawn_before_they_were_ready_they_are_not_waited_for() {
    for news in [
        Event::Held { worker: worker(2) },
        Event::Withdraw { worker: worker(2) },
    ] {
        let mut desk = Desk::new(1);
        desk.expect(2);
        desk.send(2);
        desk.tell(news);
        assert_eq!(desk.link(1), [1, 2]);
        assert_eq!(desk.taken_back(2), 0, "nothing was sent to it");
    }
}

#[test]
fn nothing_more_is_reserved_than_the_worker_may_get_in_its_life() {
    let mut desk = Desk::with(0, limited(2));
    desk.expect(1);
    desk.expect(2);
    desk.send(5);
    desk.admit(1);
    assert_eq!(desk.link(1), [1, 3]);
    desk.admit(2);
    assert_eq!(desk.link(2), [2, 4]);
    assert_eq!(desk.dispatcher.waiting(), 1);
    assert_eq!([desk.exhausted(1), desk.exhausted(2)], [1, 1]);
}

#[test]
fn a_worker_that_turns_out_to_be_worn_gets_only_the_rest_of_its_life() {
    let mut desk = Desk::with(1, limited(3));
    desk.expect(2);
    desk.send(4);
    desk.admit_after(2, 2);
    assert_eq!(desk.link(2), [2]);
    assert_eq!(desk.exhausted(2), 1);
    assert_eq!(desk.link(1), [1, 3, 4]);
}

#[test]
fn nothing_more_is_reserved_than_the_window() {
    let mut desk = Desk::with(
        0,
        JobSpec {
            worker_window: number(2),
            ..JobSpec::default()
        },
    );
    desk.expect(1);
    desk.send(3);
    desk.pass(millis(100));
    desk.expect(2);
    desk.send(1);
    desk.admit(2);
    assert_eq!(desk.link(2), [3, 4]);
    desk.admit(1);
    assert_eq!(desk.link(1), [1, 2]);
}

#[test]
fn a_job_reserved_for_a_worker_is_given_up_like_any_other_that_waits() {
    let mut desk = Desk::with(
        0,
        JobSpec {
            starting_wait: millis(5_000),
            pending_timeout: millis(1_000),
            ..JobSpec::default()
        },
    );
    desk.expect(1);
    desk.send(1);
    desk.pass(millis(1_000));
    assert_eq!(desk.outcomes(1), [JobOutcome::Unserved]);
    desk.admit(1);
    assert_eq!(desk.dealt(), []);
    assert_eq!(desk.dispatcher.outstanding(CLIENT), 0);
}

#[test]
fn a_refusal_by_a_fresh_worker_frees_what_was_reserved_for_it() {
    let mut desk = Desk::new(1);
    desk.expect(2);
    desk.send(5);
    desk.refusing.insert(worker(2));
    desk.admit(2);
    assert_eq!(desk.dealt().iter().filter(|id| **id == 2).count(), 1);
    assert_eq!(desk.link(1), [1, 3, 5, 2, 4]);
}
