//! Workers that break the protocol.

use herder_sys::memory;
use herder_wire::control::ToMaster;
use herder_wire::link::{Body, FromWorker, Kind, MAX_FRAME, VERSION};

use super::stage::{Client, Stage, Worker, calm, patient, play};

fn encoded(frame: &FromWorker) -> Vec<u8> {
    let mut packet = Vec::new();
    frame.encode(&mut packet).unwrap();
    packet
}

fn large_reply(kind: Kind, length: u32) -> Vec<u8> {
    let body = Body::Memory { length };
    encoded(&FromWorker::Reply { job: 1, kind, body })
}

/// The master hears what is wrong with a worker: that it has done its last job would be no word of
/// warning, and its successor would come at once, and the next one.
async fn is_given_up(stage: &mut Stage, id: u64) {
    let heard = stage.master.hears().await;
    let ToMaster::Unusable { worker, reason } = heard else {
        panic!("{heard:?}");
    };
    assert_eq!(worker, id);
    assert!(reason.starts_with("it "), "{reason}");
}

/// A worker that has started job 1, received job 2 and not received job 3 does something wrong.
fn breaks_it(wrong: impl Fn(&Worker)) {
    play(patient(), async |mut stage: Stage| {
        let bad = stage.greeted(1).await;
        let client = stage.client();
        for words in ["started", "received", "not received"] {
            client.says(words);
        }
        bad.starts(1).await;
        assert_eq!(bad.job().await.id, 2);
        for job in 1..=3 {
            stage.master.hears_of(job, 1).await;
        }
        wrong(&bad);
        assert_eq!(
            client.hears().await,
            "message 1: worker 1 ended while it worked on this; it may have been carried out"
        );
        // The master replaces it.
        is_given_up(&mut stage, 1).await;
        assert!(bad.hears().await.is_none(), "its link is at its end");
        let heir = stage.greeted(2).await;
        heir.starts(2).await;
        heir.starts(3).await;
        let worker = 1;
        stage.master.hears_of(2, 2).await;
        stage.master.hears_of(3, 2).await;
        stage.shell.withdraw(herder_core::Incarnation(worker));
        assert_eq!(stage.master.hears().await, ToMaster::Withdrawn { worker });
        stage.shell.gone(herder_core::Incarnation(worker));
        heir.finish(2);
        heir.finish(3);
        super::stage::soon(client.idle()).await;
    });
}

#[test]
fn nonsense_ends_the_link() {
    breaks_it(|bad| bad.say_raw(&[0xff; 64], None));
}

#[test]
fn half_a_frame_ends_the_link() {
    let whole = encoded(&FromWorker::Started { job: 1 });
    breaks_it(|bad| bad.say_raw(&whole[..whole.len() - 1], None));
}

#[test]
fn a_frame_of_the_other_direction_ends_the_link() {
    let mut packet = Vec::new();
    let frame = herder_wire::link::FromGateway::Cancel { job: 1 };
    frame.encode(&mut packet).unwrap();
    // Unknown and optional: it is skipped. Unknown and mandatory: it is not.
    packet[2] = 1;
    breaks_it(|bad| bad.say_raw(&packet, None));
}

#[test]
fn a_packet_that_is_too_long_ends_the_link() {
    breaks_it(|bad| bad.say_raw(&vec![0; MAX_FRAME + 1], None));
}

#[test]
fn a_second_hello_ends_the_link() {
    breaks_it(|bad| bad.hello(0));
}

#[test]
fn descriptors_that_nobody_asked_for_end_the_link() {
    let packet = encoded(&FromWorker::Started { job: 99 });
    let gift = herder_sys::fd::null().unwrap();
    breaks_it(|bad| bad.say_raw(&packet, Some(&gift)));
}

#[test]
fn a_large_reply_without_its_memory_ends_the_link() {
    breaks_it(|bad| bad.say_raw(&large_reply(Kind::Bytes, 100), None));
}

#[test]
fn memory_that_is_not_sealed_ends_the_link() {
    let null = herder_sys::fd::null().unwrap();
    breaks_it(|bad| bad.say_raw(&large_reply(Kind::Bytes, 100), Some(&null)));
}

#[test]
fn memory_of_another_length_ends_the_link() {
    let memory = memory::sealed(&[b'x'; 99]).unwrap();
    breaks_it(|bad| bad.say_raw(&large_reply(Kind::Bytes, 100), Some(&memory)));
}

#[test]
fn memory_that_is_no_text_ends_the_link() {
    let memory = memory::sealed(&[0xff; 100]).unwrap();
    breaks_it(|bad| bad.say_raw(&large_reply(Kind::Text, 100), Some(&memory)));
}

#[test]
fn a_large_reply_that_shares_its_packet_ends_the_link() {
    let memory = memory::sealed(&[b'x'; 100]).unwrap();
    let mut packet = encoded(&FromWorker::Started { job: 2 });
    packet.extend(large_reply(Kind::Text, 100));
    play(patient(), async |stage: Stage| {
        let bad = stage.greeted(1).await;
        bad.say_raw(&packet, Some(&memory));
        assert!(bad.hears().await.is_none());
    });
}

#[test]
fn an_empty_packet_is_the_end_of_the_link() {
    breaks_it(|bad| bad.say_raw(&[], None));
}

#[test]
fn whoever_speaks_before_hello_or_another_version_is_not_listened_to() {
    let version = VERSION + 1;
    for first in [
        FromWorker::Started { job: 1 },
        FromWorker::Hello {
            version,
            started: 0,
        },
    ] {
        play(patient(), async |mut stage: Stage| {
            stage.expect(1);
            let bad = stage.tie(1);
            bad.is_greeted().await;
            bad.say(&first);
            assert!(bad.hears().await.is_none());
            is_given_up(&mut stage, 1).await;
        });
    }
}

#[test]
fn what_is_said_before_the_fault_counts() {
    play(patient(), async |stage: Stage| {
        let bad = stage.greeted(1).await;
        let client = stage.client();
        client.says("hello");
        assert_eq!(bad.job().await.id, 1);
        let (job, kind) = (1, Kind::Text);
        let body = Body::Inline(b"done".to_vec());
        let mut packet = encoded(&FromWorker::Started { job });
        packet.extend(encoded(&FromWorker::Reply { job, kind, body }));
        packet.extend(encoded(&FromWorker::Finished { job }));
        packet.extend([0xff; 9]);
        bad.say_raw(&packet, None);
        assert_eq!(client.hears().await, "done");
        calm().await;
        assert!(client.is_idle());
    });
}

#[test]
fn a_worker_that_leaves_may_end_its_link() {
    play(patient(), async |mut stage: Stage| {
        let worker = stage.greeted(1).await;
        stage.shell.withdraw(herder_core::Incarnation(1));
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Withdrawn { worker: 1 }
        );
        worker.say_raw(&[], None);
        assert!(worker.hears().await.is_none());
        stage.expect(2);
        let other = stage.tie(2);
        other.hello(0);
        let client = stage.client();
        client.says("hello");
        stage.shell.admit(herder_core::Incarnation(2));
        stage.master.hears_of(1, 2).await;
    });
}

#[test]
fn a_loud_worker_does_not_keep_others_from_being_heard() {
    play(patient(), async |stage: Stage| {
        let (loud, quiet) = (stage.greeted(1).await, stage.greeted(2).await);
        let client = stage.client();
        client.says("a");
        client.says("b");
        loud.starts(1).await;
        quiet.starts(2).await;
        let shouting = tokio::task::spawn_local(async move {
            loop {
                while loud.try_reply(99, "noise").is_ok() {}
                tokio::task::yield_now().await;
            }
        });
        quiet.reply(2, "quiet");
        assert_eq!(client.hears().await, "quiet");
        shouting.abort();
    });
}

#[test]
fn a_worker_that_can_receive_nothing_more_has_broken_its_link() {
    play(patient(), async |mut stage: Stage| {
        let bad = stage.greeted(1).await;
        bad.stops_receiving();
        let client = stage.client();
        client.says("hello");
        stage.master.hears_of(1, 1).await;
        is_given_up(&mut stage, 1).await;
        let heir = stage.greeted(2).await;
        heir.starts(1).await;
    });
}
