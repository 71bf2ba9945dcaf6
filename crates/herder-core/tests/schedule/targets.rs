//! Who runs a job.

use crate::desk::{Desk, SECOND, name, outcomes, plan, start, starts};
use herder_core::schedule::{Event, JobPlan, Outcome, Overlap, ServerId, ServerKind, Target};

fn desk(target: Target) -> Desk {
    Desk::with(JobPlan {
        target,
        overlap: Overlap::Allow,
        timeout: 600 * SECOND,
        ..plan()
    })
}

#[test]
fn the_worker_with_the_least_to_do() {
    let mut desk = desk(Target::Worker);
    for id in 1..=3 {
        desk.worker(id);
    }
    let mut chosen = Vec::new();
    let mut first = None;
    for _ in 0..3 {
        let (run, server, _) = starts(&desk.pass(10 * SECOND))[0];
        first = first.or(Some(run));
        chosen.push(server);
    }
    assert_eq!(chosen, [1, 2, 3]);
    desk.finish(first.expect("a run"));
    assert_eq!(starts(&desk.pass(10 * SECOND))[0].1, 1, "it is free again");
}

#[test]
fn only_those_that_offer_it() {
    let mut desk = desk(Target::Worker);
    let (server, kind) = (ServerId(1), ServerKind::Worker);
    let jobs = vec![name("other")];
    desk.tell(Event::ServerUp { server, kind, jobs });
    desk.server(2, ServerKind::Library);
    desk.worker(3);
    assert_eq!(starts(&desk.pass(10 * SECOND))[0].1, 3);
}

#[test]
fn all_workers_and_no_library() {
    let mut desk = desk(Target::All);
    desk.worker(1);
    desk.worker(2);
    desk.server(3, ServerKind::Library);
    let mut servers: Vec<_> = starts(&desk.pass(10 * SECOND))
        .iter()
        .map(|s| s.1)
        .collect();
    servers.sort_unstable();
    assert_eq!(servers, [1, 2]);
}

#[test]
fn the_library() {
    let mut desk = desk(Target::Library);
    desk.worker(1);
    desk.server(3, ServerKind::Library);
    assert_eq!(starts(&desk.pass(10 * SECOND))[0].1, 3);
}

#[test]
fn it_waits_a_minute_for_somebody() {
    let mut desk = desk(Target::Worker);
    assert_eq!(starts(&desk.pass(10 * SECOND)), []);
    assert_eq!(starts(&desk.worker(1)).len(), 1);
    let run = start(&desk.pass(10 * SECOND));
    desk.tell(Event::ServerDown {
        server: ServerId(1),
    });
    desk.finish(run);

    let mut late = desk_without_workers();
    assert_eq!(outcomes(&late.pass(10 * SECOND)), []);
    let mut all = Vec::new();
    for _ in 0..6 {
        all.extend(outcomes(&late.pass(10 * SECOND)));
    }
    assert_eq!(all, [Outcome::NobodyThere]);
}

fn desk_without_workers() -> Desk {
    desk(Target::Worker)
}
