//! Whose turn it is.

use herder_core::jobs::{JobPicker, JobSpec};

use crate::desk::{Desk, number};

#[test]
fn consecutive_messages_of_one_client_go_to_one_worker_after_the_other() {
    let mut desk = Desk::new(3);
    desk.send(7);
    assert_eq!(desk.dealt(), [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn a_newcomer_joins_the_end_of_the_rotation() {
    let mut desk = Desk::new(2);
    desk.send(1);
    desk.admit(3);
    desk.send(4);
    assert_eq!(desk.dealt(), [1, 2, 3, 1, 2]);
}

#[test]
fn the_rotation_goes_on_where_it_was_when_a_worker_is_gone() {
    let mut desk = Desk::new(4);
    desk.send(2);
    desk.serve(2);
    desk.kill(2);
    desk.send(3);
    assert_eq!(desk.dealt(), [1, 2, 3, 4, 1]);
}

#[test]
fn workers_without_room_are_passed_over() {
    let mut desk = Desk::with(
        2,
        JobSpec {
            worker_window: number(2),
            ..JobSpec::default()
        },
    );
    desk.send(4);
    desk.serve(2);
    desk.serve(2);
    desk.send(2);
    assert_eq!(desk.dealt(), [1, 2, 1, 2, 2, 2]);
}

#[test]
fn least_connections_prefers_who_has_the_fewest_unfinished_jobs() {
    let mut desk = Desk::with(3, least());
    desk.send(3);
    let job = desk.start(1);
    desk.serve(2);
    desk.start(3);
    desk.send(2);
    assert_eq!(
        desk.dealt()[3..],
        [2, 3],
        "then all are equal, and it is the turn of 3"
    );
    desk.finish(1, job);
    desk.send(1);
    assert_eq!(desk.dealt()[5], 1, "it has nothing left");
}

#[test]
fn least_connections_breaks_ties_by_rotation() {
    let mut desk = Desk::with(3, least());
    desk.send(6);
    assert_eq!(desk.dealt(), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn least_connections_waits_for_no_starting_worker() {
    let mut desk = Desk::with(1, least());
    desk.expect(2);
    desk.send(3);
    assert_eq!(desk.dealt(), [1, 1, 1]);
}

fn least() -> JobSpec {
    JobSpec {
        picker: JobPicker::FewestJobs,
        ..JobSpec::default()
    }
}
