//! What clients are told, and when they are not read from.

use herder_core::jobs::{Action, Event, JobOutcome, JobSpec};
use herder_core::{ClientId, JobId};

use crate::desk::{CLIENT, Desk, number, worker};

const OTHER: ClientId = ClientId(2);

fn paused(desk: &Desk, client: ClientId) -> [usize; 2] {
    [
        desk.count(Action::Pause { client }),
        desk.count(Action::Resume { client }),
    ]
}

#[test]
fn a_client_with_a_full_window_is_not_read_from_until_a_job_is_over() {
    let mut desk = Desk::with(
        1,
        JobSpec {
            client_window: number(2),
            ..JobSpec::default()
        },
    );
    desk.send(1);
    assert_eq!(paused(&desk, CLIENT), [0, 0]);
    desk.send(1);
    assert_eq!(paused(&desk, CLIENT), [1, 0]);
    desk.send_from(OTHER);
    assert_eq!(paused(&desk, OTHER), [0, 0]);
    desk.serve(1);
    assert_eq!(paused(&desk, CLIENT), [1, 1]);
    desk.send(1);
    assert_eq!(paused(&desk, CLIENT), [2, 1]);
}

#[test]
fn whoever_sends_while_too_much_waits_is_stopped_until_half_has_gone() {
    let mut desk = Desk::with(
        0,
        JobSpec {
            pending: number(4),
            ..JobSpec::default()
        },
    );
    desk.send(3);
    desk.send_from(OTHER);
    assert_eq!(paused(&desk, OTHER), [1, 0], "the fourth job filled it");
    assert_eq!(
        paused(&desk, CLIENT),
        [0, 0],
        "who says nothing needs no pause"
    );
    desk.send(1);
    assert_eq!(paused(&desk, CLIENT), [1, 0]);
    desk.admit(1);
    assert_eq!(desk.dispatcher.waiting(), 0);
    assert_eq!(paused(&desk, CLIENT), [1, 1]);
    assert_eq!(paused(&desk, OTHER), [1, 1]);
}

#[test]
fn both_reasons_must_have_gone() {
    let mut desk = Desk::with(
        0,
        JobSpec {
            client_window: number(2),
            pending: number(2),
            ..JobSpec::default()
        },
    );
    desk.send(2);
    desk.admit(1);
    assert_eq!(paused(&desk, CLIENT), [1, 0], "its window is full still");
    desk.serve(1);
    assert_eq!(paused(&desk, CLIENT), [1, 1]);
}

#[test]
fn nothing_is_done_for_a_client_that_is_gone() {
    let mut desk = Desk::new(1);
    desk.send(10);
    let started = desk.start(1);
    desk.tell(Event::ClientGone { client: CLIENT });
    assert_eq!(desk.dispatcher.waiting(), 0);
    for job in 1..=10 {
        assert_eq!(desk.released(job), 1);
    }
    let cancelled = |job| {
        desk.count(Action::Cancel {
            job: JobId(job),
            worker: worker(1),
        })
    };
    assert_eq!((1..=10).map(cancelled).sum::<usize>(), 9);
    assert_eq!(
        desk.dispatcher.unfinished(worker(1)),
        9,
        "they still take up room"
    );
    desk.finish(1, started);
    desk.kill(1);
    desk.admit(2);
    assert_eq!(desk.link(2), []);
    assert!((1..=10).all(|job| desk.outcomes(job).is_empty()));
}

#[test]
fn nothing_is_said_to_a_client_that_is_gone() {
    let mut desk = Desk::with(
        1,
        JobSpec {
            client_window: number(1),
            ..JobSpec::default()
        },
    );
    desk.send(1);
    let job = desk.start(1);
    let now = desk.now;
    let finished = Event::Finished {
        worker: worker(1),
        job,
    };
    desk.dispatcher.handle(finished, now);
    desk.tell(Event::ClientGone { client: CLIENT });
    assert_eq!(desk.outcomes(1), []);
    assert_eq!(paused(&desk, CLIENT), [1, 0]);
}

#[test]
fn a_refused_or_taken_back_job_of_a_client_that_is_gone_goes_nowhere() {
    let mut desk = Desk::new(2);
    desk.send(1);
    desk.tell(Event::ClientGone { client: CLIENT });
    desk.hold(1);
    assert_eq!(desk.link(2), []);
    assert_eq!(desk.dispatcher.waiting(), 0);
    assert_eq!(desk.released(1), 1);
}

#[test]
fn each_job_is_over_once() {
    let mut desk = Desk::new(1);
    desk.send(1);
    let job = desk.serve(1);
    desk.finish(1, job);
    desk.kill(1);
    assert_eq!(desk.outcomes(1), [JobOutcome::Finished]);
    assert_eq!(desk.dispatcher.outstanding(CLIENT), 0);
}
