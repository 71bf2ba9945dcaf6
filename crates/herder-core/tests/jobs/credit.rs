//! How much a worker holds.

use herder_core::jobs::{Event, JobSpec};

use crate::desk::{Desk, number, worker};

#[test]
fn r19_a_worker_that_starts_nothing_holds_no_more_than_its_window() {
    let mut desk = Desk::new(1);
    desk.send(20);
    assert_eq!(desk.link(1).len(), 8);
    assert_eq!(desk.dispatcher.waiting(), 12);
    desk.start(1);
    assert_eq!(desk.link(1).len(), 8);
}

#[test]
fn what_was_received_and_not_started_counts() {
    let mut desk = Desk::new(1);
    desk.send(9);
    let received = desk.receive(1);
    desk.hold(1);
    desk.admit(1);
    assert_eq!(desk.link(1), [2, 3, 4, 5, 6, 7, 8], "one is received");
    desk.say_started(1, received);
    assert_eq!(desk.link(1).last(), Some(&9));
}

#[test]
fn a_worker_has_no_more_unfinished_jobs_than_it_may() {
    let spec = JobSpec {
        worker_jobs: number(3),
        ..JobSpec::default()
    };
    let mut desk = Desk::with(1, spec);
    desk.send(4);
    let first = desk.start(1);
    desk.start(1);
    desk.start(1);
    assert_eq!(desk.dispatcher.waiting(), 1);
    desk.finish(1, first);
    assert_eq!(desk.link(1), [4]);
}

#[test]
fn a_refused_job_goes_to_others_first_and_the_link_is_left_alone_until_it_has_room() {
    let mut desk = Desk::new(2);
    desk.refusing.insert(worker(1));
    desk.send(3);
    assert_eq!(desk.dealt(), [1, 2, 2, 2]);
    assert_eq!(desk.link(2), [1, 2, 3]);
    desk.room(1);
    desk.send(1);
    assert_eq!(desk.link(1), [4]);
}

#[test]
fn whoever_starts_something_has_room() {
    let mut desk = Desk::new(1);
    desk.send(1);
    desk.refusing.insert(worker(1));
    desk.send(1);
    desk.refusing.clear();
    desk.start(1);
    assert_eq!(desk.link(1), [2]);
}

#[test]
fn what_came_back_goes_first() {
    let mut desk = Desk::new(1);
    desk.send(10);
    desk.hold(1);
    assert_eq!(desk.dispatcher.waiting(), 10);
    desk.admit(2);
    assert_eq!(desk.link(2), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_job_that_is_finished_without_having_been_started_is_finished() {
    let mut desk = Desk::new(1);
    desk.send(1);
    let job = desk.receive(1);
    desk.finish(1, job);
    assert_eq!(desk.outcomes(1).len(), 1);
    assert_eq!(desk.released(1), 1);
    desk.tell(Event::Started {
        worker: worker(1),
        job,
    });
    assert_eq!(desk.dispatcher.running(worker(1)), 0);
}
