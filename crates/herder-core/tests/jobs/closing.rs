//! The herd stops.

use herder_core::jobs::{Action, Event, JobOutcome};

use crate::desk::{Desk, limited, millis};

fn close(desk: &mut Desk, within: u64) {
    let within = millis(within);
    desk.tell(Event::Closing { within });
}

#[test]
fn with_nothing_to_wait_for_it_is_empty_at_once_and_only_once() {
    let mut desk = Desk::new(1);
    close(&mut desk, 1_000);
    close(&mut desk, 500);
    desk.pass(millis(2_000));
    assert_eq!(desk.count(Action::Empty), 1);
    desk.withdraw(1);
    assert_eq!(desk.withdrawn(1), 1);
}

#[test]
fn a_withdrawal_waits_until_every_job_is_being_worked_on() {
    let mut desk = Desk::new(1);
    desk.send(10);
    close(&mut desk, 20_000);
    desk.withdraw(1);
    let mut jobs = Vec::new();
    for _ in 0..10 {
        assert_eq!([desk.count(Action::Empty), desk.withdrawn(1)], [0, 0]);
        jobs.push(desk.start(1));
    }
    assert_eq!([desk.count(Action::Empty), desk.withdrawn(1)], [1, 1]);
    assert_eq!(desk.taken_back(1), 0);
    for job in jobs {
        desk.finish(1, job);
        assert_eq!(desk.outcomes(job.0), [JobOutcome::Finished]);
    }
}

#[test]
fn it_waits_no_longer_than_it_may_and_then_gives_up_what_nobody_can_take() {
    let mut desk = Desk::new(1);
    desk.send(9);
    desk.start(1);
    close(&mut desk, 1_000);
    desk.withdraw(1);
    desk.pass(millis(999));
    assert_eq!([desk.count(Action::Empty), desk.withdrawn(1)], [0, 0]);
    desk.pass(millis(1));
    assert_eq!([desk.count(Action::Empty), desk.withdrawn(1)], [1, 1]);
    assert_eq!(desk.outcomes(1), [], "it is worked on");
    for job in 2..=9 {
        assert_eq!(desk.outcomes(job), [JobOutcome::Unserved]);
    }
}

#[test]
fn a_second_word_can_only_shorten_the_wait() {
    let mut desk = Desk::new(1);
    desk.send(1);
    close(&mut desk, 1_000);
    close(&mut desk, 5_000);
    close(&mut desk, 300);
    desk.pass(millis(299));
    assert_eq!(desk.count(Action::Empty), 0);
    desk.pass(millis(1));
    assert_eq!(desk.count(Action::Empty), 1);
}

#[test]
fn those_that_were_withdrawn_go_on_working_for_those_that_wait() {
    let mut desk = Desk::new(2);
    desk.send(16);
    desk.send(2);
    close(&mut desk, 5_000);
    desk.withdraw(1);
    desk.withdraw(2);
    desk.start(1);
    assert_eq!(desk.link(1).last(), Some(&17));
}

#[test]
fn a_suspect_is_not_waited_for() {
    let mut desk = Desk::new(2);
    desk.send(2);
    close(&mut desk, 5_000);
    desk.withdraw(1);
    desk.hold(1);
    assert_eq!(desk.withdrawn(1), 1);
    assert_eq!(desk.link(2), [2, 1]);
}

#[test]
fn when_nobody_is_left_the_clients_are_told_at_once() {
    let mut desk = Desk::with(1, limited(1));
    desk.send(3);
    desk.start(1);
    close(&mut desk, 5_000);
    for job in [2, 3] {
        assert_eq!(desk.outcomes(job), [JobOutcome::Unserved]);
    }
    assert_eq!(desk.count(Action::Empty), 1);
}

#[test]
fn what_a_dying_worker_leaves_behind_after_the_end_is_given_up() {
    let mut desk = Desk::new(1);
    desk.send(2);
    let received = desk.receive(1);
    close(&mut desk, 100);
    desk.withdraw(1);
    desk.pass(millis(100));
    assert_eq!(desk.outcomes(2), [JobOutcome::Unserved]);
    desk.kill(1);
    assert_eq!(desk.outcomes(received.0), [JobOutcome::Unserved]);
}
