//! A worker of jobs on its way out.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use herder_wire::control::{DrainReason, ToMaster, ToWorker};

use crate::jobs::testing::{self, Gateway, finished, started};
use crate::worker::blocking::Worker;
use crate::worker::finish;
use crate::worker::link::Timing;
use crate::worker::testing::{CALM, Master};
use crate::{JobWorker, Reason};

const EXHAUSTED: ToWorker = ToWorker::Drain {
    reason: DrainReason::Exhausted,
    grace_millis: 1000,
};

/// A worker whose function is run by [`finish::run`].
fn linked(timing: Timing) -> (Master, Gateway, Worker) {
    let (master, worker) = crate::worker::testing::pass(timing);
    worker.handle().link().take_jobs().unwrap();
    let gateway = Gateway::join(&master);
    (master, gateway, worker)
}

fn jobs_of(worker: Worker) -> JobWorker {
    worker.into_job_worker().unwrap()
}

fn count(said: &[ToMaster], wanted: &ToMaster) -> usize {
    said.iter().filter(|message| *message == wanted).count()
}

#[test]
fn that_the_last_job_is_done_is_said_once_and_after_its_end() {
    let (mut master, mut gateway, worker) = linked(CALM);
    gateway.give(1, "x");
    gateway.give(2, "x");
    let running = thread::spawn(move || {
        finish::run(worker, |worker| {
            let worker = jobs_of(worker);
            let (one, two) = (worker.next_job().unwrap(), worker.next_job().unwrap());
            drop(one);
            // It is finished in a thread, when the function is over.
            let handle = worker.handle();
            thread::spawn(move || {
                while !handle.draining().is_draining() {
                    thread::yield_now();
                }
                drop(two);
            });
            assert!(worker.next_job().unwrap().is_none());
            Ok(())
        })
    });
    gateway.wait_for(&finished(1));
    assert_eq!(count(&master.said(), &ToMaster::Spent), 0);
    master.tell(&EXHAUSTED);
    let said = master.wait_for(|message| *message == ToMaster::Spent);
    assert_eq!(gateway.said(), [finished(2)], "it was sent before");
    assert_eq!(running.join().unwrap(), 0);
    assert_eq!(count(&said, &ToMaster::Spent), 1);
    assert_eq!(count(&master.said(), &ToMaster::Spent), 0);
}

#[test]
fn it_is_said_even_when_the_word_comes_after_the_function_is_over() {
    let (mut master, gateway, worker) = linked(CALM);
    gateway.give(1, "x");
    let master_says = Mutex::new(Some(()));
    let status = finish::run(worker, |worker| {
        drop(jobs_of(worker).next_job().unwrap());
        if master_says.lock().unwrap().take().is_some() {
            master.tell(&EXHAUSTED);
        }
        Ok(())
    });
    assert_eq!(status, 0);
    assert_eq!(count(&master.said(), &ToMaster::Spent), 1);
}

#[test]
fn a_worker_that_leaves_for_another_reason_says_nothing_of_it() {
    let (mut master, gateway, worker) = linked(CALM);
    gateway.give(1, "x");
    let status = finish::run(worker, |worker| {
        let worker = jobs_of(worker);
        drop(worker.next_job().unwrap());
        worker.retire("tired");
        assert!(worker.next_job().unwrap().is_none());
        Ok(())
    });
    assert_eq!(status, 0);
    assert_eq!(count(&master.said(), &ToMaster::Spent), 0);
}

#[test]
fn a_job_that_is_cut_off_is_not_finished_and_the_worker_not_spent() {
    let timing = Timing {
        grace: Duration::from_millis(100),
        ..CALM
    };
    let (mut master, mut gateway, worker) = linked(timing);
    gateway.give(1, "x");
    let kept = Mutex::new(None);
    let status = finish::run(worker, |worker| {
        let worker = jobs_of(worker);
        *kept.lock().unwrap() = worker.next_job().unwrap();
        master.tell(&EXHAUSTED);
        assert!(worker.next_job().unwrap().is_none());
        Ok(())
    });
    assert_eq!(status, finish::FAILED);
    drop(kept);
    assert_eq!(gateway.said()[1..], [started(1)]);
    assert_eq!(count(&master.said(), &ToMaster::Spent), 0);
}

#[test]
fn jobs_are_counted_like_connections() {
    let (mut master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    gateway.give(2, "x");
    let one = worker.next_job().unwrap().unwrap();
    assert_eq!(
        (worker.counters().open(), worker.counters().served()),
        (1, 0)
    );
    drop(worker.next_job().unwrap());
    assert_eq!(
        (worker.counters().open(), worker.counters().served()),
        (1, 1)
    );
    drop(one);
    worker.retire("enough");
    assert!(worker.next_job().unwrap().is_none());
    let link = worker.handle().link().clone();
    let last = |message: &ToMaster| {
        matches!(
            message,
            ToMaster::Counters {
                open: 0,
                served: 2,
                ..
            }
        )
    };
    let (until, mut said) = (
        std::time::Instant::now() + Duration::from_secs(5),
        Vec::new(),
    );
    while !said.iter().any(last) && std::time::Instant::now() < until {
        link.tick(std::time::Instant::now());
        said.extend(master.said());
    }
    assert!(said.iter().any(last), "{said:?}");
}

#[test]
fn what_the_function_left_in_its_hand_is_offered_again_after_a_panic() {
    let (_master, mut gateway, worker) = linked(CALM);
    let body = |text: &str| herder_wire::link::Body::Inline(text.as_bytes().to_vec());
    let job = |id| {
        let (protocol, kind) = (crate::Protocol::WebSocket, herder_wire::link::Kind::Text);
        testing::job_of(protocol, id, kind, body("x"))
    };
    // A gateway does not do this, but a packet may hold several.
    gateway.send(&[job(1), job(2), job(3)], None);
    let status = finish::run(worker, |worker| {
        let worker = jobs_of(worker);
        while let Some(job) = worker.next_job().unwrap() {
            assert_ne!(job.id(), 1, "as asked");
        }
        Ok(())
    });
    assert_eq!(status, finish::FAILED);
    let said = gateway.said();
    for end in [testing::failed(1, "panicked"), finished(2), finished(3)] {
        assert!(said.contains(&end), "{said:?}");
    }
}

#[test]
fn without_a_master_no_job_is_taken_any_more() {
    let (master, mut gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = worker.next_job().unwrap().unwrap();
    gateway.give(2, "x");
    drop(master);
    worker.handle().link().read();
    assert!(worker.next_job().unwrap().is_none());
    assert_eq!(worker.draining().reason(), Some(Reason::MasterGone));
    job.finish_with("still possible").unwrap();
    assert!(gateway.said().contains(&finished(1)));
    assert_eq!(gateway.take_back(), [2]);
}
