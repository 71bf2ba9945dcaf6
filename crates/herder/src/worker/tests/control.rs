//! What a worker and its master say to each other.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use herder_wire::control::{DrainReason, ToMaster, ToWorker};

use crate::Reason;
use crate::worker::link::Timing;
use crate::worker::testing::{self, CALM, PATIENCE};

#[test]
fn a_worker_knows_who_it_is() {
    let (_master, worker) = testing::pass(CALM);
    assert_eq!((worker.app(), worker.slot(), worker.id()), ("test", 3, 7));
    assert_eq!((worker.master_pid(), worker.pid()), (1, std::process::id()));
}

#[test]
fn r7_the_heartbeat_comes_from_the_wait_for_connections_and_from_nowhere_else() {
    let beat = Some(Duration::from_millis(5));
    let (mut master, worker) = testing::pass(Timing { beat, ..CALM });
    assert!(master.said().is_empty(), "nobody waits yet");
    let waiting = thread::spawn({
        let worker = worker.clone();
        move || worker.accept().map(|connection| connection.is_none())
    });
    for _ in 0..3 {
        master.wait_for(|message| *message == ToMaster::Beat);
    }
    worker.retire("enough");
    assert!(waiting.join().unwrap().unwrap());
    master.said();
    worker.beat();
    assert_eq!(master.said(), [ToMaster::Beat]);
}

#[test]
fn ready_is_said_once() {
    let (mut master, worker) = testing::pass(CALM);
    worker.extend_boot(Duration::from_secs(2));
    worker.ready();
    let _client = master.pass(1);
    worker.accept().unwrap();
    let said = master.wait_for(|message| *message == ToMaster::Ready);
    assert_eq!(said[0], ToMaster::BootExtend { millis: 2000 });
    assert_eq!(
        said.iter()
            .filter(|message| **message == ToMaster::Ready)
            .count(),
        1
    );
}

#[test]
fn the_counters_are_sent_on_change_at_most_every_10_ms() {
    let (mut master, worker) = testing::pass(CALM);
    let clients: Vec<_> = (0..100).flat_map(|_| master.pass(1)).collect();
    let began = Instant::now();
    for _ in &clients {
        drop(worker.accept().unwrap().unwrap());
    }
    // The wait for the next connection sends what is still to be said.
    let waiting = thread::spawn({
        let worker = worker.clone();
        move || worker.accept().map(|connection| connection.is_none())
    });
    let last = |message: &ToMaster| {
        matches!(
            message,
            ToMaster::Counters {
                open: 0,
                served: 100,
                ..
            }
        )
    };
    let said = master.wait_for(last);
    let reports = said
        .iter()
        .filter(|message| matches!(message, ToMaster::Counters { .. }));
    let most = began.elapsed().as_millis() / 10 + 2;
    assert!(reports.count() as u128 <= most, "{said:?}");
    worker.retire("enough");
    waiting.join().unwrap().unwrap();
}

#[test]
fn what_one_thread_closes_is_told_while_another_waits() {
    let (mut master, worker) = testing::pass(CALM);
    let _clients = master.pass(2);
    let first = worker.accept().unwrap().unwrap();
    let (say, second) = mpsc::channel();
    let waiting = thread::spawn({
        let worker = worker.clone();
        move || {
            say.send(worker.accept().unwrap().unwrap()).unwrap();
            worker.accept().map(|connection| connection.is_none())
        }
    });
    let second = second.recv_timeout(PATIENCE).expect("it accepts");
    for (connection, done) in [(first, 1), (second, 2)] {
        drop(connection);
        master.wait_for(|message| {
            matches!(message, ToMaster::Counters { open, served, .. }
                if (u64::from(*open), *served) == (2 - done, done))
        });
    }
    worker.retire("enough");
    waiting.join().unwrap().unwrap();
}

#[test]
fn a_program_that_counts_requests_is_measured_by_them() {
    let (master, worker) = testing::pass(CALM);
    let _client = master.pass(1);
    let connection = worker.accept().unwrap().unwrap();
    let counters = worker.counters();
    drop(counters.request());
    drop(counters.request());
    drop(connection);
    assert_eq!((counters.served(), counters.open()), (2, 0));
    assert!(counters.busy() <= 1000);
}

#[test]
fn draining_is_seen_by_who_does_not_wait_for_connections() {
    let (master, worker) = testing::pass(CALM);
    let draining = worker.draining();
    assert!(!draining.is_draining());
    master.tell(&ToWorker::Drain {
        reason: DrainReason::Recycle,
        grace_millis: 1,
    });
    let deadline = Instant::now() + PATIENCE;
    while !draining.is_draining() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    assert_eq!(draining.reason(), Some(Reason::Recycled));
}

#[test]
fn a_late_panic_changes_the_status_and_nothing_else() {
    let (mut master, worker) = testing::pass(CALM);
    let link = worker.handle().link().clone();
    link.end(Reason::MasterGone);
    link.panicked("late".to_owned());
    assert!(
        master.said().is_empty(),
        "a worker that leaves already needs no replacement"
    );
    assert!(link.ending().panicked(), "but its status is 1");
}
