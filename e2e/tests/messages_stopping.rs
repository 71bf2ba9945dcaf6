//! What clients see of a herd that stops.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::jobs::started;
use herder_e2e::message::{Chat, Door, Heard};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Clients that have each said `each` messages, and know that the gateway has read them.
fn talkers(
    door: &Door,
    clients: usize,
    each: usize,
    command: &str,
) -> Vec<(Chat, BTreeSet<String>)> {
    let talker = |client| {
        let mut chat = Chat::open(door);
        let mut unanswered = BTreeSet::new();
        for number in 0..each {
            let id = format!("{client}.{number}");
            chat.say(&format!("{command} {id}"));
            unanswered.insert(id);
        }
        chat.ping();
        loop {
            let heard = chat.hear();
            if heard == Heard::Pong {
                return (chat, unanswered);
            }
            answered(&mut unanswered, &heard);
        }
    };
    (0..clients).map(talker).collect()
}

fn answered(unanswered: &mut BTreeSet<String>, heard: &Heard) {
    let Heard::Text(text) = heard else {
        panic!("{heard:?} while {unanswered:?} have no answer");
    };
    let id = text.split(' ').next().unwrap();
    assert!(unanswered.remove(id), "{text}");
}

fn all_are_answered_at_the_stop(name: &str, options: &[&str]) {
    let scene = Scene::new(name);
    let (herd, door) = started(&scene, &[&["--workers", "2"], options].concat());
    wait_for(&herd, 0, 2, "ready", BOOT);
    // Many of them wait for a worker when the stop comes.
    let talkers = talkers(&door, 10, 6, "slow/20");
    herd.signal(Signal::TERM);
    for (mut chat, mut unanswered) in talkers {
        while !unanswered.is_empty() {
            answered(&mut unanswered, &chat.hear());
        }
        assert_eq!(chat.hear(), Heard::Closed(1001));
    }
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
}

#[test]
fn r13_what_was_said_before_the_stop_is_answered() {
    all_are_answered_at_the_stop("jobs_stop", &[]);
}

#[test]
fn r13_what_was_said_before_the_stop_is_answered_by_blocking_workers() {
    all_are_answered_at_the_stop("jobs_stop_b", &["--blocking"]);
}

#[test]
fn r13_what_no_worker_is_left_for_at_the_stop_is_told() {
    let scene = Scene::new("jobs_stop_m");
    // Two workers that may have three jobs each, and no successors any more.
    let options = ["--workers", "2", "--blocking", "--max-jobs", "3"];
    let (herd, door) = started(&scene, &options);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let talkers = talkers(&door, 10, 6, "slow/20");
    herd.signal(Signal::TERM);
    for (mut chat, mut unanswered) in talkers {
        let mut told = BTreeSet::new();
        while unanswered.len() > told.len() {
            let heard = chat.hear();
            if let Heard::Text(text) = &heard
                && text.starts_with("message ")
            {
                let end = ": no worker could take it; it was not carried out";
                assert!(text.ends_with(end), "{text}");
                assert!(told.insert(text.clone()), "{text}");
            } else {
                answered(&mut unanswered, &heard);
            }
        }
        assert_eq!(chat.hear(), Heard::Closed(1001));
    }
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
}

#[test]
fn timed_an_idle_herd_stops_at_once() {
    wait::timed(Duration::from_secs(3), || {
        let scene = Scene::new("jobs_idle");
        let (herd, door) = started(&scene, &["--grace", "10000"]);
        wait_for(&herd, 0, 2, "ready", BOOT);
        let mut chat = Chat::open(&door);
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        assert_eq!(chat.hear(), Heard::Closed(1001));
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
        begun.elapsed()
    });
}

#[test]
fn r13_timed_jobs_that_never_end_cost_no_more_than_the_grace() {
    wait::timed(Duration::from_secs(6), || {
        let scene = Scene::new("jobs_grace");
        let (herd, door) = started(&scene, &["--grace", "2000"]);
        wait_for(&herd, 0, 2, "ready", BOOT);
        let _talkers = talkers(&door, 4, 1, "slow/600000");
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        herd.wait_for_exit(BOOT);
        begun.elapsed()
    });
}

#[test]
fn r13_timed_a_second_signal_ends_all_at_once() {
    wait::timed(Duration::from_secs(6), || {
        let scene = Scene::new("jobs_fast");
        let (herd, door) = started(&scene, &["--grace", "20000"]);
        wait_for(&herd, 0, 2, "ready", BOOT);
        let mut talkers = talkers(&door, 4, 1, "slow/600000");
        let mark = herd.mark();
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        herd.wait_for_line_after(mark, "the stop", BOOT, |line| {
            line.contains("SIGTERM").then_some(())
        });
        // Another one, because the same again might be its echo.
        herd.signal(Signal::INT);
        for (chat, _) in &mut talkers {
            // Told or not, as the signal finds the gateway.
            while !matches!(chat.hear(), Heard::Closed(1001) | Heard::Ended) {}
        }
        herd.wait_for_exit(BOOT);
        begun.elapsed()
    });
}

#[test]
fn r28_nothing_outlives_a_killed_master() {
    let scene = Scene::new("jobs_master");
    let (herd, door) = started(&scene, &["--grace", "2000"]);
    wait_for(&herd, 0, 2, "ready", BOOT);
    let mut talkers = talkers(&door, 4, 2, "slow/600000");
    let master = herd.master().expect("a master");
    // Without an end that was asked for, another master would follow.
    herd.signal_to(master.pid, Signal::STOP);
    herd.signal(Signal::TERM);
    herd.signal_to(master.pid, Signal::KILL);
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70));
    assert_eq!(herd.descendants(), []);
    for (chat, _) in &mut talkers {
        while !matches!(chat.hear(), Heard::Closed(_) | Heard::Ended) {}
    }
}
