//! What becomes of jobs in the link of a worker that does not receive.

use crate::desk::{Desk, millis, worker};

#[test]
fn what_stands_for_50_ms_goes_to_another_that_has_room() {
    let mut desk = Desk::new(2);
    desk.send(3);
    desk.start(2);
    desk.pass(millis(49));
    assert_eq!(desk.taken_back(1), 0);
    desk.pass(millis(1));
    assert_eq!(desk.link(1), []);
    assert_eq!(desk.link(2), [1, 3]);
}

#[test]
fn it_stays_when_nobody_else_has_room() {
    let mut desk = Desk::new(1);
    desk.send(2);
    desk.pass(millis(10_000));
    assert_eq!(desk.link(1), [1, 2]);
    desk.admit(2);
    assert_eq!(desk.link(2), [1, 2], "now somebody has");
}

#[test]
fn whoever_stood_still_gets_nothing_until_it_moves() {
    let mut desk = Desk::new(2);
    desk.send(4);
    desk.start(1);
    desk.start(2);
    desk.start(2);
    desk.pass(millis(50));
    assert_eq!(desk.link(2), [3]);
    desk.send(1);
    assert_eq!(desk.link(1), []);
    // It comes to the end of what kept it.
    desk.finish(1, herder_core::JobId(1));
    desk.send(1);
    assert_eq!(desk.link(1), [6]);
}

#[test]
fn an_idle_worker_that_stood_still_is_tried_with_one_job_ever_more_rarely() {
    let mut desk = Desk::new(2);
    desk.send(2);
    desk.start(2);
    desk.pass(millis(50));
    assert_eq!(desk.taken_back(1), 1);
    desk.serve(2);
    let mut robbed = 1;
    for wait in [100, 200, 400, 800] {
        desk.pass(millis(wait - 1));
        desk.send(2);
        desk.serve(2);
        desk.serve(2);
        assert_eq!(desk.link(1), [], "{wait} ms have not passed");
        desk.pass(millis(1));
        desk.send(3);
        assert_eq!(
            desk.link(1).len(),
            1,
            "one job shows enough, after {wait} ms"
        );
        desk.serve(2);
        desk.serve(2);
        desk.pass(millis(50));
        robbed += 1;
        assert_eq!(desk.taken_back(1), robbed);
        desk.serve(2);
    }
    desk.pass(millis(1_600));
    desk.send(2);
    desk.start(1);
    desk.send(4);
    assert_eq!(desk.link(1).len(), 2, "it is one of them again");
}

#[test]
fn a_job_that_waits_is_a_reason_to_try_again() {
    let mut desk = Desk::new(2);
    desk.send(1);
    desk.pass(millis(50));
    desk.start(2);
    desk.kill(2);
    desk.send(1);
    assert_eq!(desk.dispatcher.waiting(), 1);
    desk.pass(millis(100));
    assert_eq!(desk.link(1), [2]);
}

#[test]
fn an_admission_ends_the_suspicion() {
    let mut desk = Desk::new(2);
    desk.send(1);
    desk.pass(millis(50));
    desk.admit(1);
    desk.send(2);
    assert_eq!(desk.link(1), [2]);
}

#[test]
fn room_in_a_link_that_was_emptied_is_worth_one_job() {
    let mut desk = Desk::new(2);
    desk.send(1);
    desk.pass(millis(50));
    desk.room(1);
    desk.send(4);
    assert_eq!(desk.link(1).len(), 1);
}

#[test]
fn whoever_received_just_in_time_keeps_its_turn() {
    let mut desk = Desk::new(2);
    desk.send(2);
    desk.start(2);
    desk.receive(1);
    desk.pass(millis(50));
    assert_eq!(
        desk.taken_back(1),
        1,
        "nobody had said that it was received"
    );
    desk.send(2);
    assert_eq!(desk.link(1), [3]);
    desk.pass(millis(500));
    assert_eq!(
        desk.dispatcher.unfinished(worker(1)),
        1,
        "the received one is its own"
    );
}

#[test]
fn one_is_emptied_at_a_time() {
    let mut desk = Desk::new(3);
    desk.send(24);
    assert_eq!(desk.dispatcher.waiting(), 0);
    desk.start(3);
    desk.pass(millis(60));
    assert_eq!(desk.taken_back(1) + desk.taken_back(2), 1);
    assert_eq!(desk.link(3).len(), 8);
    assert_eq!(desk.dispatcher.waiting(), 7);
}
