//! How runs end.

use crate::desk::{Desk, NIGHTLY, SECOND, entries, name, outcomes, plan, start, starts};
use herder_core::schedule::{Action, Event, Fate, JobPlan, Outcome, ServerId};

fn desk(retries: u8) -> Desk {
    let mut desk = Desk::with(JobPlan { retries, ..plan() });
    desk.worker(1);
    desk.worker(2);
    desk
}

#[test]
fn what_failed_is_recorded_with_its_reason() {
    let mut desk = desk(0);
    let run = start(&desk.pass(10 * SECOND));
    desk.pass(2 * SECOND);
    let entry = entries(&desk.fail(run)).remove(0);
    assert_eq!(entry.outcome, Outcome::Failed("no".to_owned()));
    assert_eq!((entry.attempt, entry.fate), (1, Fate::Over));
    assert_eq!(entry.started.map(|at| entry.at.since(at)), Some(2 * SECOND));
}

#[test]
fn what_failed_is_tried_again_with_rests_that_grow() {
    let mut desk = desk(2);
    let run = start(&desk.pass(10 * SECOND));
    assert_eq!(entries(&desk.fail(run))[0].fate, Fate::Retried);
    let second = start(&desk.pass(SECOND));
    assert_ne!(second, run);
    desk.fail(second);
    assert_eq!(starts(&desk.pass(SECOND)), []);
    let third = start(&desk.pass(SECOND));
    let last = entries(&desk.fail(third)).remove(0);
    assert_eq!((last.attempt, last.fate), (3, Fate::Over));
    assert_eq!(starts(&desk.pass(3 * SECOND)), []);
}

#[test]
fn attempts_are_counted_up_to_the_last_that_can_be() {
    let mut desk = desk(u8::MAX);
    let mut run = start(&desk.pass(10 * SECOND));
    for attempt in 1..=u8::MAX {
        let entry = entries(&desk.fail(run)).remove(0);
        assert_eq!(entry.attempt, attempt);
        if entry.fate == Fate::Over {
            assert_eq!(attempt, u8::MAX);
            return;
        }
        run = start(&desk.pass(60 * SECOND));
    }
    panic!("it is tried for ever");
}

#[test]
fn what_is_lost_with_its_server_is_tried_by_another() {
    let mut desk = desk(1);
    let (run, server, _) = starts(&desk.pass(10 * SECOND))[0];
    let server = ServerId(server);
    assert_eq!(
        outcomes(&desk.tell(Event::ServerDown { server })),
        [Outcome::Lost]
    );
    let (_, other, _) = starts(&desk.pass(SECOND))[0];
    assert_ne!(other, server.0);
    assert_eq!(desk.finish(run), [], "news of a lost run change nothing");
}

#[test]
fn what_takes_too_long_is_cancelled() {
    let mut desk = desk(0);
    let (run, server, _) = starts(&desk.pass(10 * SECOND))[0];
    // The next tick comes at the same moment: the run is over before it.
    desk.tell(Event::Pause {
        name: name(NIGHTLY),
    });
    let actions = desk.pass(10 * SECOND);
    let server = ServerId(server);
    assert_eq!(actions[0], Action::Cancel { run, server });
    assert_eq!(outcomes(&actions), [Outcome::TimedOut]);
    assert_eq!(desk.finish(run), []);
}

#[test]
fn a_removed_job_ends_its_run_and_begins_no_other() {
    let mut desk = desk(3);
    let run = start(&desk.pass(10 * SECOND));
    desk.tell(Event::Remove {
        name: name(NIGHTLY),
    });
    assert_eq!(entries(&desk.fail(run))[0].fate, Fate::Over);
    assert_eq!(desk.pass(100 * SECOND), []);
    assert_eq!(desk.scheduler.jobs().count(), 0);
}
