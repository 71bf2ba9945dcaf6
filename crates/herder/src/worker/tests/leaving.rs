//! What becomes of a worker whose function is over, or whose master is.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use herder_wire::control::ToMaster;

use crate::Reason;
use crate::worker::finish;
use crate::worker::link::Timing;
use crate::worker::testing::{self, CALM, PATIENCE};

/// How often a worker that only waits may wake up in [`MOMENT`].
const FEW: u32 = 10;
const MOMENT: Duration = Duration::from_millis(200);

#[test]
fn r28_a_worker_without_a_master_waits_quietly() {
    let (master, worker) = testing::pass(CALM);
    let client = master.pass(1);
    let connection = worker.accept().unwrap().unwrap();
    drop(master);
    let link = Arc::clone(worker.handle().link());
    let (until, mut turns) = (Instant::now() + MOMENT, 0);
    while Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        let due = link.tick(Instant::now()).unwrap_or(left);
        link.wait(due.min(left)).unwrap();
        turns += 1;
    }
    assert_eq!(worker.draining().reason(), Some(Reason::MasterGone));
    assert!(turns <= FEW, "woken {turns} times");
    drop((connection, client));
}

#[test]
fn a_function_that_returns_ends_the_worker_although_another_thread_waits_for_connections() {
    for outcome in [Ok(()), Err("as asked".to_owned())] {
        let (_master, worker) = testing::pass(CALM);
        let (ended, end) = mpsc::channel();
        let running = thread::spawn(move || {
            let (waits, waiting) = mpsc::channel();
            let status = finish::run(worker, |worker| {
                let waits = waits.clone();
                thread::spawn(move || {
                    waits.send(()).unwrap();
                    worker.accept().map(|connection| connection.is_none())
                });
                waiting.recv().unwrap();
                outcome.clone()
            });
            ended.send(status).unwrap();
        });
        end.recv_timeout(PATIENCE).expect("the worker ends");
        running.join().unwrap();
    }
}

#[test]
fn no_limit_is_too_long() {
    let (mut master, worker) = testing::pass(Timing {
        grace: Duration::MAX,
        close_timeout: Duration::MAX,
        ..CALM
    });
    worker.handle().link().panicked("as asked".to_owned());
    master.wait_for(|message| matches!(message, ToMaster::Retire { .. }));
    assert_eq!(finish::run(worker, |_| Ok(())), finish::FAILED);
}

#[test]
fn who_asks_whether_the_worker_drains_does_not_silence_what_is_meant_for_its_loop() {
    let (_master, worker) = testing::pass(CALM);
    let link = Arc::clone(worker.handle().link());
    // Asked often enough to look for the master's word.
    let looked_before = Instant::now();
    while looked_before.elapsed() < Duration::from_millis(20) {
        thread::yield_now();
    }
    link.nudge();
    assert!(!worker.draining().is_draining());
    let asked = Instant::now();
    link.wait(PATIENCE).unwrap();
    assert!(asked.elapsed() < PATIENCE, "the bell still rings");
}
