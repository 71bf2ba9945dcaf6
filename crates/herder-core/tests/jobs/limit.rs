//! How many jobs a worker gets in its life.

use herder_core::JobId;
use herder_core::jobs::{Action, Event};

use crate::desk::{Desk, limited, millis, worker};

#[test]
fn the_last_job_of_a_life_is_announced_right_after_its_assignment() {
    let mut desk = Desk::with(1, limited(2));
    desk.send(3);
    let worker = worker(1);
    let expected = [
        Action::Assign {
            job: JobId(1),
            worker,
        },
        Action::Assign {
            job: JobId(2),
            worker,
        },
        Action::Exhausted { worker },
    ];
    assert_eq!(desk.log, expected);
    assert_eq!(desk.dispatcher.waiting(), 1);
}

#[test]
fn an_exhausted_worker_gets_nothing_more_whatever_is_said_of_it() {
    let mut desk = Desk::with(1, limited(1));
    desk.send(2);
    desk.serve(1);
    desk.room(1);
    desk.hold(1);
    desk.admit_after(1, 1);
    assert_eq!(desk.link(1), []);
    assert_eq!(desk.exhausted(1), 1);
}

#[test]
fn what_it_started_before_counts() {
    let mut desk = Desk::with(0, limited(3));
    desk.admit_after(7, 2);
    desk.send(2);
    assert_eq!(desk.link(7), [1]);
    assert_eq!(desk.exhausted(7), 1);
}

#[test]
fn a_worker_whose_life_was_over_before_is_exhausted_at_once() {
    let mut desk = Desk::with(0, limited(3));
    desk.admit_after(7, 3);
    assert_eq!(desk.exhausted(7), 1);
    desk.admit_after(7, 3);
    assert_eq!(desk.exhausted(7), 1);
}

#[test]
fn an_old_count_does_not_make_a_worker_younger() {
    let mut desk = Desk::with(1, limited(3));
    desk.send(2);
    desk.start(1);
    desk.start(1);
    desk.hold(1);
    // The link's first word, as it was.
    desk.admit_after(1, 0);
    desk.send(2);
    assert_eq!(desk.link(1), [3]);
}

#[test]
fn what_is_taken_back_or_refused_does_not_count() {
    let mut desk = Desk::with(1, limited(3));
    desk.send(2);
    desk.hold(1);
    desk.admit(1);
    assert_eq!(desk.link(1), [1, 2]);
    assert_eq!(desk.exhausted(1), 0);
    desk.refusing.insert(worker(1));
    desk.send(1);
    assert_eq!(desk.exhausted(1), 0, "its last job was refused");
    desk.room(1);
    assert_eq!(desk.link(1), [1, 2, 3]);
    assert_eq!(desk.exhausted(1), 1);
}

#[test]
fn the_withdrawal_of_an_exhausted_worker_leaves_it_its_last_job() {
    let mut desk = Desk::with(1, limited(1));
    desk.admit(2);
    desk.send(1);
    desk.withdraw(1);
    assert_eq!(desk.withdrawn(1), 0, "the job is on its way");
    desk.withdraw(1);
    desk.start(1);
    assert_eq!(desk.withdrawn(1), 1);
    assert_eq!(desk.taken_back(1), 0);
}

#[test]
fn an_exhausted_worker_that_stands_still_loses_its_last_job_to_another() {
    let mut desk = Desk::with(1, limited(1));
    desk.send(1);
    desk.withdraw(1);
    desk.pass(millis(1_000));
    assert_eq!(desk.link(1), [1], "nobody else could take it");
    desk.admit(2);
    assert_eq!(desk.link(2), [1]);
    assert_eq!(desk.withdrawn(1), 1);
}

#[test]
fn an_exhausted_worker_that_is_suspected_is_emptied_and_withdrawn_at_once() {
    let mut desk = Desk::with(1, limited(1));
    desk.send(1);
    desk.withdraw(1);
    desk.hold(1);
    assert_eq!(desk.withdrawn(1), 1);
    assert_eq!(desk.dispatcher.waiting(), 1);
}

#[test]
fn workers_that_begin_slowly_do_not_pass_a_job_on_for_ever() {
    let mut desk = Desk::with(0, limited(1));
    let mut id = 1;
    desk.admit(id);
    desk.send(1);
    // Each takes 180 ms from its readiness to its first job; each loss makes a successor.
    for _ in 0..20 {
        if desk.link(id).is_empty() {
            break;
        }
        desk.withdraw(id);
        desk.pass(millis(20));
        desk.admit(id + 1);
        desk.pass(millis(160));
        if !desk.link(id).is_empty() {
            desk.start(id);
            break;
        }
        id += 1;
    }
    assert!(id < 5, "{id} workers were used up by one job");
    assert_eq!(desk.dispatcher.running(worker(id)), 1);
}

#[test]
fn a_stale_refusal_changes_nothing() {
    let mut desk = Desk::with(1, limited(1));
    desk.send(1);
    desk.start(1);
    let before = desk.dispatcher.clone();
    desk.tell(Event::Refused {
        worker: worker(1),
        job: JobId(1),
    });
    assert_eq!(desk.dispatcher, before);
}
