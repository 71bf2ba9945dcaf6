//! What is answered, and what a job's end says.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use herder_wire::gateway::Protocol;
use herder_wire::link::{FromWorker, Kind, MAX_INLINE, MAX_MESSAGE};

use crate::jobs::testing::{self, failed, finished, hello, replied, replied_bytes, started};
use crate::worker::testing::{CALM, PATIENCE};
use crate::{Job, JobWorker, Reply, ReplyError};

fn next(worker: &JobWorker) -> Job {
    worker.next_job().unwrap().unwrap()
}

#[test]
fn a_job_can_be_answered_several_times() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = next(&worker);
    job.reply("text").unwrap();
    job.reply(String::from("owned")).unwrap();
    job.reply(&b"bytes"[..]).unwrap();
    job.reply(vec![0, 255]).unwrap();
    job.reply(Reply::text("")).unwrap();
    drop(job);
    let expected = [
        hello(0),
        started(1),
        replied(1, "text"),
        replied(1, "owned"),
        replied_bytes(1, b"bytes"),
        replied_bytes(1, &[0, 255]),
        replied(1, ""),
        finished(1),
    ];
    assert_eq!(gateway.said(), expected);
}

#[test]
fn the_last_reply_and_the_end_share_a_packet() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = next(&worker);
    gateway.said();
    let before = gateway.packets;
    let longest = "x".repeat(MAX_INLINE);
    job.finish_with(longest.as_str()).unwrap();
    assert_eq!(gateway.said(), [replied(1, &longest), finished(1)]);
    assert_eq!(gateway.packets, before + 1);
}

#[test]
fn large_messages_travel_as_memory_both_ways() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    let text = "é".repeat(MAX_INLINE);
    let bytes = vec![7; MAX_MESSAGE];
    gateway.give_memory(1, Kind::Text, text.as_bytes());
    gateway.give_memory(2, Kind::Bytes, &bytes);
    let (one, two) = (next(&worker), next(&worker));
    assert_eq!(one.text(), Some(text.as_str()));
    assert_eq!((two.text(), two.bytes()), (None, bytes.as_slice()));
    one.reply(text.as_str()).unwrap();
    two.finish_with(bytes.as_slice()).unwrap();
    drop(one);
    let said = gateway.said();
    assert_eq!(said[0..3], [hello(0), started(1), started(2)]);
    assert!(said[3] == replied(1, &text) && said[4] == replied_bytes(2, &bytes));
    assert_eq!(said[5..], [finished(2), finished(1)]);
}

#[test]
fn what_is_too_long_or_no_line_is_refused_and_the_job_goes_on() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    gateway.give_to(Protocol::Lines, 1, "x");
    gateway.give(2, "x");
    let (lines, other) = (next(&worker), next(&worker));
    assert_eq!(lines.protocol(), Protocol::Lines);
    assert!(matches!(lines.reply("a\nb"), Err(ReplyError::NotALine)));
    assert!(matches!(lines.reply(b"\n"), Err(ReplyError::NotALine)));
    let length = MAX_MESSAGE + 1;
    match other.reply(vec![0; length]) {
        Err(ReplyError::TooLong { length: said }) => assert_eq!(said, length),
        answer => panic!("{answer:?}"),
    }
    lines.reply("a line").unwrap();
    other.reply("two\nlines").unwrap();
    gateway.said();
    assert!(lines.finish_with("a\nb").is_err());
    assert_eq!(gateway.said(), [finished(1)], "it is done all the same");
}

#[test]
fn a_message_that_cannot_be_read_fails_and_the_next_one_comes() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    gateway.give_memory(1, Kind::Text, &[255; 10]);
    let body = herder_wire::link::Body::Memory { length: 10 };
    let lost = testing::job_of(Protocol::WebSocket, 2, Kind::Text, body.clone());
    gateway.send(&[lost], None);
    let short = herder_sys::memory::sealed(b"short").unwrap();
    let wrong = testing::job_of(Protocol::WebSocket, 3, Kind::Text, body);
    gateway.send(&[wrong], Some(short));
    gateway.give(4, "fine");
    assert_eq!(next(&worker).id(), 4);
    let said = gateway.said();
    let problems = said.iter().filter_map(|message| {
        if let FromWorker::Failed { job, error } = message {
            Some((*job, error.as_str()))
        } else {
            None
        }
    });
    let problems: Vec<_> = problems.collect();
    assert_eq!(problems.len(), 3, "{said:?}");
    assert!(problems[0].1.starts_with("a text message that is no text"));
    assert!(problems[1].1.contains("no descriptor left"));
    assert!(problems[2].1.contains("not as long as it says"));
}

#[test]
fn a_job_says_how_it_ended() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    for job in 1..=3 {
        gateway.give(job, "x");
    }
    next(&worker).fail("no such thing");
    let second = next(&worker);
    let panicking = thread::spawn(move || {
        let _mine = second;
        panic!("as asked");
    });
    assert!(panicking.join().is_err());
    drop(next(&worker));
    let said = gateway.said();
    let ends: Vec<_> = said.iter().filter(|word| is_end(word)).collect();
    let expected = [
        failed(1, "no such thing"),
        failed(2, "panicked"),
        finished(3),
    ];
    assert!(ends.into_iter().eq(&expected), "{said:?}");
}

fn is_end(message: &FromWorker) -> bool {
    matches!(
        message,
        FromWorker::Finished { .. } | FromWorker::Failed { .. }
    )
}

#[test]
fn while_the_link_is_full_everything_waits_and_nothing_is_lost() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    for job in 1..=3 {
        gateway.give(job, "x");
    }
    let (one, two) = (next(&worker), next(&worker));
    let (said, heard) = mpsc::channel();
    let writing = thread::spawn(move || {
        for number in 0..1000 {
            one.reply(vec![0; 10_000]).unwrap();
            said.send(number).unwrap();
        }
    });
    let mut last = 0;
    while let Ok(number) = heard.recv_timeout(Duration::from_millis(300)) {
        last = number;
    }
    assert!(last < 999, "nobody has read anything");
    let ending = thread::spawn(move || two.finish());
    let waiting = thread::spawn(move || worker.next_job().unwrap().unwrap().id());
    let (mut said, mut ends) = (Vec::new(), 0);
    while ends < 3 {
        let new = gateway.wait_for_any();
        assert!(!new.is_empty(), "{ends} have ended");
        ends += new.iter().filter(|word| is_end(word)).count();
        said.extend(new);
    }
    writing.join().unwrap();
    ending.join().unwrap();
    assert_eq!(waiting.join().unwrap(), 3);
    let replies = said.iter();
    let replies = replies.filter(|word| **word == replied_bytes(1, &[0; 10_000]));
    assert_eq!(replies.count(), 1000);
}

#[test]
fn a_panic_does_not_wait_and_what_it_says_leaves_later() {
    let (_master, mut gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    gateway.give(2, "x");
    let job = next(&worker);
    let panicking = thread::spawn(move || {
        job.fill_the_link();
        panic!("as asked");
    });
    assert!(panicking.join().is_err());
    let waiting = thread::spawn(move || next(&worker).id());
    let mut said = gateway.wait_for(&failed(1, "panicked"));
    assert_eq!(waiting.join().unwrap(), 2);
    said.extend(gateway.said());
    let place = |wanted| said.iter().position(|word| *word == wanted);
    assert!(
        place(failed(1, "panicked")) < place(started(2)),
        "what waits goes first"
    );
}

#[test]
fn a_reply_that_waits_ends_with_the_link() {
    let (_master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = next(&worker);
    let (said, heard) = mpsc::channel();
    let writing = thread::spawn(move || {
        let error = loop {
            match job.reply(vec![0; 10_000]) {
                Ok(()) => said.send(()).unwrap(),
                Err(error) => break error,
            }
        };
        (error, job.is_cancelled())
    });
    while heard.recv_timeout(Duration::from_millis(300)).is_ok() {}
    drop(gateway);
    let (error, cancelled) = writing.join().unwrap();
    assert!(matches!(error, ReplyError::Gone), "{error}");
    assert!(cancelled);
}

#[test]
fn a_reply_that_waits_shows_that_the_worker_lives() {
    let timing = crate::worker::link::Timing {
        beat: Some(Duration::from_millis(50)),
        ..CALM
    };
    let (mut master, gateway, worker) = testing::linked(timing);
    gateway.give(1, "x");
    let job = next(&worker);
    let writing = thread::spawn(move || while job.reply(vec![0; 10_000]).is_ok() {});
    for _ in 0..5 {
        master.wait_for(|message| *message == herder_wire::control::ToMaster::Beat);
    }
    drop(gateway);
    writing.join().unwrap();
}

#[test]
fn a_reply_does_not_wait_beyond_the_end_of_the_worker() {
    let (_master, gateway, worker) = testing::linked(CALM);
    gateway.give(1, "x");
    let job = next(&worker);
    let (ended, end) = mpsc::channel();
    worker.handle().link().finish_by(Duration::from_millis(200));
    let writing = thread::spawn(move || {
        while job.reply(vec![0; 10_000]).is_ok() {}
        ended.send(()).unwrap();
    });
    end.recv_timeout(PATIENCE).expect("it gives up");
    writing.join().unwrap();
    drop(gateway);
}
