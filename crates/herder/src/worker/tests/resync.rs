//! A worker whose master is away for a while, and then another one.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use herder_wire::control::{Course, DrainReason, ToMaster, ToWorker};

use crate::worker::blocking::Worker;
use crate::worker::link::Timing;
use crate::worker::outlet::Sent;
use crate::worker::testing::{self, CALM, Master};

/// Asks where the worker is, and returns what it says from then on, without its heartbeat.
fn resync(master: &mut Master, worker: &Worker) -> Vec<ToMaster> {
    master.said();
    master.tell(&ToWorker::Resync);
    worker.handle().link().read();
    let mut said = master.wait_for(|message| matches!(message, ToMaster::State { .. }));
    said.retain(|message| !matches!(message, ToMaster::Beat | ToMaster::Counters { .. }));
    said
}

fn course(said: &[ToMaster]) -> Option<Course> {
    let mut courses = said.iter().filter_map(|message| {
        let ToMaster::State { course, .. } = message else {
            return None;
        };
        Some(*course)
    });
    courses.next()
}

#[test]
fn r32_a_worker_says_to_another_master_where_it_is() {
    let (mut master, worker) = testing::pass(CALM);
    let said = resync(&mut master, &worker);
    assert_eq!(course(&said), Some(Course::Starting));

    let _clients = master.pass(2);
    let first = worker.accept().unwrap();
    drop(worker.accept().unwrap());
    let said = resync(&mut master, &worker);
    let ToMaster::State {
        version,
        course,
        open,
        served,
        ..
    } = said[0]
    else {
        panic!("{said:?}");
    };
    assert_eq!((version, course), (1, Course::Ready));
    assert_eq!((open, served), (1, 1));
    assert_eq!(said.len(), 1, "nothing else: {said:?}");
    drop(first);
}

#[test]
fn r32_a_worker_that_wanted_to_leave_says_so_again() {
    let (mut master, worker) = testing::pass(CALM);
    worker.ready();
    worker.retire("tired");
    worker.retire("tired again");
    for _ in 0..2 {
        let said = resync(&mut master, &worker);
        let reason = "tired".to_owned();
        assert_eq!(said[0], ToMaster::Retire { reason });
        assert_eq!(course(&said[1..]), Some(Course::Draining));
        assert_eq!(said.len(), 2, "{said:?}");
    }
}

#[test]
fn r32_a_worker_that_was_told_to_leave_does_not_ask_for_another() {
    let (mut master, worker) = testing::pass(CALM);
    worker.ready();
    master.tell(&ToWorker::Drain {
        reason: DrainReason::Replaced,
        grace_millis: 1000,
    });
    let said = resync(&mut master, &worker);
    assert_eq!(course(&said), Some(Course::Draining));
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(worker.draining().reason(), Some(crate::Reason::Replaced));
}

/// The channel is full, and the worker goes on: it serves, it counts, and the one that reads in the
/// end hears what matters.
#[test]
fn r32_a_master_that_does_not_read_stops_nothing() {
    let beat = Some(Duration::from_millis(1));
    let (mut master, worker) = testing::pass(Timing { beat, ..CALM });
    let serving = thread::spawn({
        let worker = worker.clone();
        move || {
            while let Some(mut connection) = worker.accept().unwrap() {
                let mut question = [0];
                if connection.read_exact(&mut question).is_ok() {
                    connection.write_all(&question).unwrap();
                }
            }
        }
    });
    let link = Arc::clone(worker.handle().link());
    while link.outlet.send(ToMaster::Beat).unwrap() == Sent::Now {}
    let (began, mut served) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_millis(300) {
        for mut client in master.pass(4) {
            client.set_read_timeout(Some(testing::PATIENCE)).unwrap();
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
            served += 1;
        }
    }
    worker.handle().retire("enough");
    serving.join().unwrap();
    // It may have said that it is ready before the channel was full.
    let mut said = master.said();
    link.tick(Instant::now());
    said.extend(master.wait_for(|message| matches!(message, ToMaster::Retire { .. })));
    assert!(said.contains(&ToMaster::Ready), "{said:?}");
    let said = resync(&mut master, &worker);
    let counted = said.iter().any(
        |message| matches!(message, ToMaster::State { open: 0, served: it, .. } if *it == served),
    );
    assert!(counted, "{said:?}");
}
