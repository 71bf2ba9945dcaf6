//! How jobs come.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;

use herder_sys::socket;
use herder_wire::control::{DrainReason, ToMaster, ToWorker};
use herder_wire::gateway::Protocol;
use herder_wire::link::{Body, FromGateway, FromWorker, Kind};

use crate::jobs::testing::{self, Gateway, finished, hello, started};
use crate::worker::testing::{CALM, PATIENCE};
use crate::{Reason, ReplyError};

const DRAIN: ToWorker = ToWorker::Drain {
    reason: DrainReason::Stop,
    grace_millis: 1000,
};

#[test]
fn the_first_word_says_how_many_jobs_were_started() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    worker.handle().link().read();
    assert_eq!(gateway.said(), [hello(0)]);
}

#[test]
fn a_job_is_received_when_it_is_asked_for_and_started_before_it_is_returned() {
    let (mut master, mut gateway, worker) = testing::linked(CALM);
    gateway.give(11, "one");
    gateway.give_bytes(12, b"two");
    worker.handle().link().read();
    assert_eq!(gateway.said(), [hello(0)]);
    let one = worker.next_job().unwrap().unwrap();
    assert_eq!((one.id(), one.client()), (11, 5));
    assert_eq!((one.text(), one.bytes()), (Some("one"), &b"one"[..]));
    assert_eq!(one.protocol(), Protocol::WebSocket);
    assert_eq!(gateway.said(), [started(11)]);
    assert!(gateway.has_unreceived());
    let two = worker.next_job().unwrap().unwrap();
    assert_eq!((two.id(), two.text(), two.bytes()), (12, None, &b"two"[..]));
    assert_eq!(gateway.said(), [started(12)]);
    drop(one);
    two.finish();
    assert_eq!(gateway.said(), [finished(11), finished(12)]);
    master.wait_for(|message| *message == ToMaster::Ready);
}

#[test]
fn the_jobs_of_one_packet_come_one_by_one() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    let text = |text: &str| Body::Inline(text.as_bytes().to_vec());
    let job = |id, body| testing::job_of(Protocol::Lines, id, Kind::Text, body);
    gateway.send(&[job(1, text("a")), job(2, text("b"))], None);
    let first = worker.next_job().unwrap().unwrap();
    assert_eq!(first.text(), Some("a"));
    assert_eq!(gateway.said(), [hello(0), started(1)]);
    let link = worker.handle().link().clone();
    link.end(Reason::Stopped);
    let second = worker.next_job().unwrap().expect("it was received before");
    assert_eq!(second.text(), Some("b"));
    assert!(worker.next_job().unwrap().is_none());
}

#[test]
fn each_job_goes_to_one_of_the_threads() {
    let (master, mut gateway, worker) = testing::linked(CALM);
    for job in 1..=100 {
        gateway.give(job, "x");
    }
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let worker = worker.clone();
            thread::spawn(move || {
                let jobs = worker.jobs().map(|job| job.unwrap().id());
                jobs.collect::<Vec<_>>()
            })
        })
        .collect();
    let mut done = 0;
    while done < 100 {
        let said = gateway.wait_for_any();
        done += said.iter().filter(|word| is_finished(word)).count();
    }
    master.tell(&DRAIN);
    let got: Vec<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    let each: BTreeSet<_> = got.iter().copied().collect();
    assert_eq!((got.len(), each.len()), (100, 100));
}

fn is_finished(word: &FromWorker) -> bool {
    matches!(word, FromWorker::Finished { .. })
}

#[test]
fn what_was_not_received_can_be_taken_back() {
    let (_master, gateway, worker) = testing::linked(CALM);
    for job in 1..=3 {
        gateway.give(job, "x");
    }
    let one = worker.next_job().unwrap().unwrap();
    assert_eq!(gateway.take_back(), [2, 3]);
    gateway.give(4, "y");
    assert_eq!(worker.next_job().unwrap().unwrap().id(), 4);
    drop(one);
}

#[test]
fn a_worker_that_drains_leaves_the_rest_to_others() {
    let (master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    gateway.give(2, "x");
    let _one = worker.next_job().unwrap().unwrap();
    master.tell(&DRAIN);
    worker.handle().link().read();
    assert!(worker.next_job().unwrap().is_none());
    assert_eq!(gateway.take_back(), [2]);
    assert_eq!(worker.draining().reason(), Some(Reason::Stopped));
}

#[test]
fn the_wait_for_a_job_ends_when_the_worker_drains() {
    let (master, _gateway, worker) = testing::linked(CALM);
    let (said, heard) = mpsc::channel();
    let waiting = thread::spawn(move || {
        worker.ready();
        said.send(()).unwrap();
        worker.next_job().map(|job| job.is_none())
    });
    heard.recv_timeout(PATIENCE).unwrap();
    master.tell(&DRAIN);
    assert!(waiting.join().unwrap().unwrap());
}

#[test]
fn the_end_of_a_link_cancels_its_jobs_and_the_next_link_continues() {
    let (master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = worker.next_job().unwrap().unwrap();
    assert!(!job.is_cancelled());
    gateway.give(2, "dies with its gateway");
    drop(gateway);
    let mut gateway = Gateway::join(&master);
    gateway.give(1, "y");
    let next = worker.next_job().unwrap().unwrap();
    assert_eq!((next.id(), next.text()), (1, Some("y")));
    assert!(job.is_cancelled());
    assert!(matches!(job.reply("late"), Err(ReplyError::Gone)));
    drop(job);
    assert!(!next.is_cancelled());
    next.reply("here").unwrap();
    drop(next);
    let said = gateway.said();
    assert_eq!(said[0], hello(1), "two would be one too many: {said:?}");
    assert_eq!(said[1], started(1));
    assert_eq!(said[2], testing::replied(1, "here"));
    assert_eq!(said[3..], [finished(1)]);
    let _third = Gateway::join(&master);
    worker.handle().link().read();
    assert_eq!(worker.counters().served(), 2);
}

#[test]
fn the_end_of_a_link_is_seen_by_a_job_and_by_the_wait_for_one() {
    let (master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = worker.next_job().unwrap().unwrap();
    drop(gateway);
    assert!(job.is_cancelled());
    let waiting = thread::spawn(move || worker.next_job().unwrap().map(|job| job.id()));
    let gateway = Gateway::join(&master);
    gateway.give(7, "x");
    assert_eq!(waiting.join().unwrap(), Some(7));
}

#[test]
fn a_cancellation_is_heard_without_receiving_a_job() {
    let (_master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    gateway.give(2, "x");
    let (one, two) = (worker.next_job().unwrap(), worker.next_job().unwrap());
    let (one, two) = (one.unwrap(), two.unwrap());
    gateway.cancel(2);
    gateway.give(3, "x");
    gateway.cancel(1);
    assert!(!one.is_cancelled(), "it lies behind a job");
    assert!(two.is_cancelled());
    assert!(matches!(two.reply("?"), Err(ReplyError::Gone)));
    let three = worker.next_job().unwrap().unwrap();
    assert!(one.is_cancelled() && !three.is_cancelled());
    gateway.cancel(99);
    assert!(!three.is_cancelled());
}

#[test]
fn several_cancellations_may_share_a_packet() {
    let (_master, gateway, worker) = testing::linked(CALM);
    for job in 1..=40 {
        gateway.give(job, "x");
    }
    let jobs: Vec<_> = (0..40)
        .map(|_| worker.next_job().unwrap().unwrap())
        .collect();
    for chunk in jobs.chunks(20) {
        let cancel = |job: &crate::Job| FromGateway::Cancel { job: job.id() };
        gateway.send(&chunk.iter().map(cancel).collect::<Vec<_>>(), None);
    }
    assert!(jobs.iter().all(crate::Job::is_cancelled));
}

#[test]
fn a_descriptor_that_belongs_to_no_link_is_closed() {
    let (master, mut gateway, worker) = testing::linked(CALM);
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let theirs = [std::os::fd::AsFd::as_fd(&theirs)];
    master.tell_with(&ToWorker::User(Vec::new()), &theirs);
    worker.handle().link().read();
    assert_eq!(gateway.said(), [hello(0)]);
    drop(ours);
}

#[test]
fn a_link_that_is_lost_ends_the_worker() {
    let (mut master, _gateway, worker) = testing::linked(CALM);
    master.tell(&ToWorker::Link { gateway: 2 });
    assert!(worker.next_job().unwrap().is_none());
    let said = master.wait_for(|message| matches!(message, ToMaster::Retire { .. }));
    let reason = "no link to the gateway: no descriptor left".to_owned();
    assert!(said.contains(&ToMaster::Retire { reason }), "{said:?}");
}

#[test]
fn what_is_no_message_ends_the_worker_with_an_error() {
    let (master, _gateway, worker) = testing::linked(CALM);
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let theirs = [std::os::fd::AsFd::as_fd(&theirs)];
    master.tell_with(&ToWorker::Link { gateway: 2 }, &theirs);
    socket::send(std::os::fd::AsFd::as_fd(&ours), b"nonsense", &[]).unwrap();
    assert!(worker.next_job().is_err());
}
