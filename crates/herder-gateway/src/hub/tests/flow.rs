//! Many jobs, large ones, and those who are slow.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use herder_core::Incarnation;
use herder_wire::control::ToMaster;
use herder_wire::gateway::GatewayConfig;
use herder_wire::link::{FromGateway, Kind, MAX_INLINE};
use tokio::task::spawn_local;

use super::stage::{Client, Stage, Worker, calm, patient, play, play_with, soon, text};
use crate::hub::shell::Settings;
use crate::hub::{Message, Outgoing, Seat};

#[test]
fn every_message_has_its_two_replies_once() {
    const MESSAGES: u64 = 200;
    let config = GatewayConfig::default();
    play(config, async |stage: Stage| {
        for id in 1..=3 {
            spawn_local(answer_twice(stage.greeted(id).await));
        }
        let left = Rc::new(Cell::new(5));
        for _ in 0..left.get() {
            let (client, left) = (stage.client(), Rc::clone(&left));
            spawn_local(async move {
                converse(&client, MESSAGES).await;
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            tokio::task::yield_now().await;
        }
    });
}

async fn answer_twice(worker: Worker) {
    loop {
        let job = worker.job().await;
        let words = String::from_utf8(job.bytes).unwrap();
        worker.start(job.id);
        worker.reply(job.id, &format!("{words} first"));
        worker.reply(job.id, &format!("{words} second"));
        worker.finish(job.id);
    }
}

async fn converse(client: &Seat, messages: u64) {
    let mut awaited = BTreeSet::new();
    let mut sent = 0;
    while sent < messages || !awaited.is_empty() {
        tokio::select! {
            () = client.room(), if sent < messages => {
                client.says(&sent.to_string());
                awaited.insert(format!("{sent} first"));
                awaited.insert(format!("{sent} second"));
                sent += 1;
            }
            heard = client.hears() => assert!(awaited.remove(&heard), "{heard}"),
        }
    }
    soon(client.idle()).await;
}

#[test]
fn messages_of_any_length_pass_both_ways() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        for (job, length) in (1..).zip([0, 1, MAX_INLINE, MAX_INLINE + 1, 16 << 20]) {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            let kind = Kind::Bytes;
            client.submit(Message {
                kind,
                bytes: Bytes::from(bytes.clone()),
            });
            let got = worker.job().await;
            assert_eq!((got.id, got.client, got.kind), (job, client.id().0, kind));
            assert!(got.bytes == bytes, "{length} bytes");
            worker.start(job);
            worker.reply_with(job, kind, &bytes);
            worker.finish(job);
            let Outgoing::Message(reply) = soon(client.next()).await else {
                panic!("closed");
            };
            assert!(reply.kind == kind && reply.bytes == bytes, "{length} bytes");
        }
        let long = "é".repeat(MAX_INLINE);
        client.says(&long);
        assert!(worker.job().await.kind == Kind::Text);
        worker.start(6);
        worker.reply(6, &long);
        assert!(client.hears().await == long);
    });
}

#[test]
fn nothing_more_is_read_from_a_client_with_a_full_window() {
    let config = GatewayConfig {
        client_window: 2,
        ..patient()
    };
    play(config, async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let (client, other) = (stage.client(), stage.client());
        client.says("one");
        assert!(client.has_room());
        client.says("two");
        assert!(!client.has_room());
        assert!(other.has_room(), "it concerns nobody else");
        assert_eq!(client.outstanding(), 2);
        worker.starts(1).await;
        worker.finish(1);
        soon(client.room()).await;
        client.says("three");
        assert!(!client.has_room());
    });
}

#[test]
fn nothing_more_is_read_from_those_who_send_when_too_many_jobs_wait() {
    let config = GatewayConfig {
        pending: 2,
        ..patient()
    };
    play(config, async |stage: Stage| {
        let client = stage.client();
        client.says("one");
        client.says("two");
        assert!(!client.has_room());
        let worker = stage.greeted(1).await;
        soon(client.room()).await;
        worker.starts(1).await;
        worker.starts(2).await;
    });
}

#[test]
fn nothing_more_is_read_from_those_who_send_when_too_many_bytes_wait() {
    let settings = Settings {
        max_held: 1000,
        ..Settings::new(&patient(), 1)
    };
    play_with(settings, async |stage: Stage| {
        let (client, other) = (stage.client(), stage.client());
        client.says(&"x".repeat(600));
        assert!(client.has_room());
        client.says(&"y".repeat(600));
        assert!(!client.has_room());
        assert!(other.has_room(), "it has not said anything");
        other.says("z");
        assert!(!other.has_room());
        let worker = stage.greeted(1).await;
        worker.starts(1).await;
        assert_eq!(worker.job().await.id, 2);
        calm().await;
        assert!(!client.has_room(), "more than half of it may be sent again");
        worker.start(2);
        soon(client.room()).await;
        soon(other.room()).await;
        // What a client that left has said does not count for ever.
        let third = stage.client();
        stage.shell.hold(Incarnation(1));
        third.says(&"x".repeat(2000));
        assert!(!third.has_room());
        drop(third);
        client.says("there is room");
        assert!(client.has_room());
    });
}

#[test]
fn a_full_link_refuses_and_takes_the_rest_when_the_worker_receives() {
    const JOBS: u64 = 30;
    let config = GatewayConfig {
        client_window: 64,
        worker_window: 64,
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        for job in 0..JOBS {
            let byte = u8::try_from(job).unwrap();
            client.submit(Message {
                kind: Kind::Bytes,
                bytes: Bytes::from(vec![byte; MAX_INLINE]),
            });
        }
        stage.master.hears_of(1, 1).await;
        calm().await;
        let unread = worker.unread();
        assert!(unread < 10 * MAX_INLINE, "{unread} bytes in the link");
        for job in 1..=JOBS {
            let got = worker.job().await;
            let byte = u8::try_from(job - 1).unwrap();
            assert_eq!((got.id, got.bytes[0]), (job, byte), "in order");
            worker.start(job);
            worker.finish(job);
        }
        soon(client.idle()).await;
        for job in 2..=JOBS {
            stage.master.hears_of(job, 1).await;
        }
    });
}

#[test]
fn jobs_wait_with_their_reports_for_a_master_that_does_not_read() {
    play(patient(), async |mut stage: Stage| {
        let worker = stage.greeted(1).await;
        while stage.channel.say(&ToMaster::Beat).is_ok() {}
        let client = stage.client();
        client.says("one");
        client.says("two");
        calm().await;
        assert_eq!(worker.has(), None, "the master has not heard of it");
        stage.master.hears_of(1, 1).await;
        stage.master.hears_of(2, 1).await;
        worker.starts(1).await;
        worker.starts(2).await;
    });
}

#[test]
fn what_waits_with_its_report_can_go_elsewhere() {
    play(patient(), async |mut stage: Stage| {
        let first = stage.greeted(1).await;
        while stage.channel.say(&ToMaster::Beat).is_ok() {}
        let client = stage.client();
        client.says("one");
        calm().await;
        let second = stage.greeted(2).await;
        stage.gone(first);
        stage.master.hears_of(1, 2).await;
        second.starts(1).await;
    });
}

#[test]
fn the_worker_hears_that_a_client_is_gone() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let (client, other) = (stage.client(), stage.client());
        client.says("long work");
        worker.starts(1).await;
        drop(client);
        let heard = worker.hears().await.map(|(frame, _)| frame);
        assert_eq!(heard, Some(FromGateway::Cancel { job: 1 }));
        // It may go on, to nobody's harm.
        worker.reply(1, "to nobody");
        worker.finish(1);
        other.says("next");
        worker.starts(2).await;
        worker.reply(2, "two");
        assert_eq!(other.hears().await, "two");
    });
}

#[test]
fn a_cancellation_that_is_taken_back_is_sent_again() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let (client, other) = (stage.client(), stage.client());
        client.says("long work");
        worker.starts(1).await;
        drop(client);
        other.says("un-received");
        calm().await;
        stage.shell.hold(Incarnation(1));
        assert_eq!(worker.has(), Some(FromGateway::Cancel { job: 1 }));
        assert_eq!(worker.has(), None);
    });
}

#[test]
fn words_about_jobs_that_are_not_ones_own_are_ignored() {
    play(patient(), async |stage: Stage| {
        let (one, two) = (stage.greeted(1).await, stage.greeted(2).await);
        let client = stage.client();
        client.says("a");
        one.starts(1).await;
        two.does(1, "mine!");
        two.does(77, "who?");
        one.reply(1, "a");
        assert_eq!(client.hears().await, "a");
        assert_eq!(client.outstanding(), 1);
    });
}

#[test]
fn sending_never_waits_for_a_client() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let (slow, quick) = (stage.client(), stage.client());
        slow.submit(text("flood me"));
        worker.starts(1).await;
        let long = "x".repeat(MAX_INLINE);
        let mut replies = 0;
        while replies < 500 {
            match worker.try_reply(1, &long) {
                Ok(()) => replies += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => calm().await,
                Err(error) => panic!("{error}"),
            }
        }
        quick.says("hello");
        assert_eq!(worker.job().await.id, 2);
        loop {
            match worker.try_reply(2, "hi") {
                Ok(()) => break,
                Err(_) => calm().await,
            }
        }
        assert_eq!(quick.hears().await, "hi");
    });
}

#[test]
fn a_worker_whose_packet_the_kernel_had_no_means_for_gets_jobs_again() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        // Nothing lies in its link, so no news of the kernel's tells that it has room.
        calm().await;
        stage.shell.lacks_means_for(Incarnation(1));
        let client = stage.client();
        client.says("one");
        worker.starts(1).await;
    });
}

#[test]
fn a_client_reads_large_replies_while_more_of_them_come() {
    const LENGTH: usize = 4 << 20;
    const REPLIES: usize = 16;
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        client.says("one");
        worker.starts(1).await;
        for _ in 0..REPLIES {
            worker.reply_with(1, Kind::Bytes, &[b'x'; LENGTH]);
        }
        for _ in 0..REPLIES {
            let Outgoing::Message(reply) = soon(client.next()).await else {
                panic!("closed");
            };
            assert_eq!(reply.bytes.len(), LENGTH);
            assert!(client.try_next().is_none(), "not all at once");
        }
    });
}
