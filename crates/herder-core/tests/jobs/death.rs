//! What becomes of a dead worker's jobs.

use herder_core::jobs::{JobOutcome, JobSpec, Retry};

use crate::desk::{Desk, worker};

#[test]
fn r23_what_a_dead_worker_had_not_started_goes_to_others_oldest_first() {
    let mut desk = Desk::new(2);
    desk.send(6);
    desk.start(1);
    desk.kill(1);
    assert_eq!(desk.link(2), [2, 4, 6, 3, 5]);
}

#[test]
fn r24_what_it_had_started_is_lost_and_its_client_is_told() {
    let mut desk = Desk::new(2);
    desk.send(1);
    desk.start(1);
    assert_eq!(desk.released(1), 1, "it will not be sent again");
    desk.kill(1);
    assert_eq!(desk.outcomes(1), [JobOutcome::Lost { worker: worker(1) }]);
    assert_eq!(desk.dealt(), [1]);
    assert_eq!(desk.released(1), 1);
}

#[test]
fn what_it_had_started_goes_to_another_when_that_does_no_harm() {
    let mut desk = Desk::with(2, idempotent());
    desk.send(1);
    desk.start(1);
    assert_eq!(desk.released(1), 0);
    desk.kill(1);
    desk.serve(2);
    assert_eq!(desk.outcomes(1), [JobOutcome::Finished]);
    assert_eq!(desk.released(1), 1);
}

#[test]
fn r23_a_job_that_met_three_deaths_is_given_up() {
    for spec in [JobSpec::default(), idempotent()] {
        let starts = spec.retry == Retry::Idempotent;
        let mut desk = Desk::with(0, spec);
        desk.send(1);
        for id in 1..=3 {
            desk.admit(id);
            assert_eq!(desk.link(id), [1]);
            if starts {
                desk.start(id);
            }
            desk.kill(id);
        }
        assert_eq!(desk.outcomes(1), [JobOutcome::Poisoned]);
        assert_eq!(desk.released(1), 1);
        assert_eq!(desk.dispatcher.waiting(), 0);
    }
}

#[test]
fn a_poisonous_job_ends_also_when_each_worker_gets_only_one() {
    let mut desk = Desk::with(
        0,
        JobSpec {
            max_jobs: Some(crate::desk::number(1)),
            ..idempotent()
        },
    );
    desk.send(1);
    for id in 1..=3 {
        desk.admit(id);
        desk.withdraw(id);
        desk.start(id);
        desk.kill(id);
    }
    assert_eq!(desk.outcomes(1), [JobOutcome::Poisoned]);
}

#[test]
fn r23_only_deaths_count_as_deaths() {
    let mut desk = Desk::new(1);
    desk.send(1);
    for _ in 0..10 {
        desk.hold(1);
        desk.admit(1);
    }
    assert_eq!(desk.link(1), [1]);
    assert_eq!(desk.outcomes(1), []);
}

#[test]
fn a_handler_that_failed_is_not_asked_again() {
    let mut desk = Desk::with(2, idempotent());
    desk.send(1);
    let job = desk.start(1);
    desk.tell(herder_core::jobs::Event::Failed {
        worker: worker(1),
        job,
    });
    assert_eq!(desk.outcomes(1), [JobOutcome::Failed { worker: worker(1) }]);
    assert_eq!(desk.dealt(), [1]);
}

#[test]
fn nothing_is_asked_of_a_dead_worker() {
    let mut desk = Desk::new(1);
    desk.send(3);
    let now = desk.now;
    let held = herder_core::jobs::Event::Held { worker: worker(1) };
    desk.dispatcher.handle(held, now);
    desk.kill(1);
    assert_eq!(desk.taken_back(1), 0);
    assert_eq!(desk.dispatcher.waiting(), 3);
}

fn idempotent() -> JobSpec {
    JobSpec {
        retry: Retry::Idempotent,
        ..JobSpec::default()
    }
}
