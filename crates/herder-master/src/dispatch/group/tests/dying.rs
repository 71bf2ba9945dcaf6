//! Workers that die, or stop, with connections that wait for them.

use std::time::Duration;

use herder_core::rotation::{Relief, RotationSpec, Steering};
use herder_sys::signal::Signal;

use super::super::{GroupSpec, Notice};
use super::in_both;
use super::stage::{Stage, spec, worker};

fn migrates_by_itself() -> bool {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    setting.is_ok_and(|text| text.trim() != "0")
}

#[test]
fn r23_who_waits_at_a_worker_that_is_killed_is_served_by_others() {
    let Some(mut stage) = Stage::with(4, &spec(Steering::Program)) else {
        return;
    };
    assert!(!migrates_by_itself(), "the default");
    let all = [worker(0, 1), worker(1, 2), worker(2, 3), worker(3, 4)];
    all.iter().for_each(|worker| stage.stop(*worker));
    stage.connect(400);
    stage.until("all wait", |stage| stage.waiting() == 400);
    assert_eq!(stage.waiting_at(all[1]), 100);
    stage.kill(all[1]);
    for worker in [all[0], all[2], all[3]] {
        stage.signal(worker, Signal::Continue);
    }
    stage.all_answered(400);
    let migrated = stage.group.counts().expect("a program").migrated;
    assert_eq!(migrated, 100);
}

/// Twenty times, with two hundred clients each.
#[test]
fn r25c_a_worker_killed_with_a_full_queue_loses_nobody() {
    in_both(|steering| {
        let Some(mut stage) = Stage::with(2, &spec(steering)) else {
            return;
        };
        for round in 0..20 {
            let (victim, survivor) = (worker(0, 1 + 10 * round), worker(1, 2));
            stage.stop(victim);
            stage.stop(survivor);
            stage.connect(200);
            stage.until("all wait", |stage| stage.waiting() == 200);
            assert!(stage.waiting_at(victim) > 0);
            stage.kill(victim);
            stage.signal(survivor, Signal::Continue);
            let replacement = worker(0, 11 + 10 * round);
            stage.start(replacement);
            stage.admit(replacement);
            stage.all_answered(200);
            stage.forget_answers();
        }
    });
}

#[test]
fn r25c_the_queue_of_the_only_worker_waits_for_its_replacement() {
    in_both(|steering| {
        let Some(mut stage) = Stage::with(1, &spec(steering)) else {
            return;
        };
        stage.stop(worker(0, 1));
        stage.connect(100);
        stage.until("all wait", |stage| stage.waiting() == 100);
        stage.kill(worker(0, 1));
        stage.connect(100);
        stage.start(worker(0, 2));
        stage.admit(worker(0, 2));
        stage.all_answered(200);
        assert_eq!(stage.heard(worker(0, 2)), 200);
    });
}

fn impatient(steering: Steering) -> GroupSpec {
    let mut spec = spec(steering);
    spec.rotation = RotationSpec {
        hang: Some(Duration::from_millis(300)),
        rescue_after: Duration::from_millis(100),
        ..spec.rotation
    };
    spec
}

#[test]
fn a_stopped_worker_is_seen_from_outside_and_left_out() {
    let Some(mut stage) = Stage::with(2, &spec(Steering::Program)) else {
        return;
    };
    let stopped = worker(1, 2);
    stage.stop(stopped);
    stage.connect(40);
    let is_left_out = |stage: &Stage| {
        let excluded =
            |it: &Notice| matches!(it, Notice::Excluded { worker, .. } if *worker == stopped);
        stage.notices.iter().any(excluded)
    };
    stage.until("it is left out", is_left_out);
    let waiting = stage.waiting_at(stopped);
    stage.connect(40);
    assert_eq!(stage.waiting_at(stopped), waiting, "nobody else goes there");
    stage.signal(stopped, Signal::Continue);
    stage.all_answered(80);
    stage.until("it is back", |stage| {
        stage.notices.contains(&Notice::Readmitted(stopped))
    });
}

#[test]
fn who_waits_at_a_hung_worker_is_served_by_others() {
    in_both(|steering| {
        let Some(mut stage) = Stage::with(4, &impatient(steering)) else {
            return;
        };
        let hung = worker(1, 2);
        stage.stop(hung);
        stage.connect(400);
        stage.until("it is found hung", |stage| {
            stage.notices.contains(&Notice::Hung(hung))
        });
        stage.kill(hung);
        // Without a program its queue waits for the replacement.
        stage.start(worker(1, 5));
        stage.admit(worker(1, 5));
        stage.all_answered(400);
    });
}

/// Also from a socket that blocks, and without the worker's death.
#[test]
fn who_waits_at_a_hung_worker_is_rescued() {
    in_both(|steering| {
        let Some(mut stage) = Stage::at("127.0.0.1", &impatient(steering)) else {
            return;
        };
        stage.relief = Relief::HandOver;
        stage.start_all(4);
        let hung = worker(1, 2);
        stage.stop(hung);
        stage.connect(400);
        stage.all_answered(400);
        assert!(stage.heard["rescued"] > 0);
        assert_eq!(stage.heard(hung), 0);
        stage.forget_answers();
        // And it has its turns again when it is well.
        stage.signal(hung, Signal::Continue);
        stage.until("it is tried again", |stage| stage.waiting_at(hung) == 0);
        let mut count = 0;
        while stage.heard(hung) == 0 {
            stage.connect(4);
            count += 4;
            stage.all_answered(count);
        }
    });
}
