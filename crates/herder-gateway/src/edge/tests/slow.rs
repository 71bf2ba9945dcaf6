//! Clients that take less than they are sent, and hubs that take less than they are sent.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::edge::lines::Lines;
use crate::edge::session::{Language, Session};
use crate::edge::testing::{TEXT, frame, session};
use crate::edge::websocket::WebSocket;
use crate::hub::loopback::{Answering, Loopback};
use crate::hub::{Kind, Message};

const LIMIT: usize = 1 << 20;
const MEBIBYTE: usize = 1 << 20;

fn serve(
    answering: Answering,
    held: usize,
) -> (DuplexStream, Rc<Loopback>, Session<DuplexStream, WebSocket>) {
    session(answering, held, WebSocket::new(LIMIT))
}

fn send(loopback: &Loopback, length: usize) {
    let bytes = Bytes::from(vec![b'x'; length]);
    let kind = Kind::Text;
    loopback.places()[0].send(Message { kind, bytes });
}

/// Gives the other side so many turns that it has done whatever it can.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_more_is_read_than_the_hub_has_room_for() {
    let (mut client, loopback, session) = serve(Answering::OnRequest, 1 << 16);
    let talk = async {
        let place = loopback.places()[0].clone();
        client.write_all(&frame(TEXT, b"1")).await.unwrap();
        settle().await;
        place.pause();
        client.write_all(&frame(TEXT, b"2")).await.unwrap();
        client.write_all(&frame(TEXT, b"3")).await.unwrap();
        settle().await;
        assert_eq!(loopback.kept().len(), 1);
        place.resume();
        settle().await;
        assert_eq!(loopback.kept().len(), 3);
        place.stop_reading();
        client.write_all(&frame(TEXT, b"4")).await.unwrap();
        settle().await;
        place.resume();
        settle().await;
        assert_eq!(loopback.kept().len(), 3, "it was for good");
        loopback.answer();
        let mut answers = [0; 9];
        client.read_exact(&mut answers).await.unwrap();
        assert_eq!(&answers, b"\x81\x011\x81\x012\x81\x013");
        place.close(crate::hub::CloseReason::GoingAway);
        drop(client);
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read() {
    let (mut client, loopback, session) = serve(Answering::OnRequest, 1 << 12);
    let talk = async {
        send(&loopback, MEBIBYTE + 8192);
        settle().await;
        client.write_all(&frame(TEXT, b"job")).await.unwrap();
        settle().await;
        assert!(loopback.kept().is_empty());
        let mut some = vec![0; 16 * 1024];
        client.read_exact(&mut some).await.unwrap();
        settle().await;
        assert_eq!(loopback.kept().len(), 1);
        drop(client);
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_too_slow_is_told_after_the_message_that_was_begun() {
    let (mut client, loopback, session) = serve(Answering::OnRequest, 1 << 12);
    let talk = async {
        for _ in 0..18 {
            assert_eq!(loopback.places().len(), 1);
            send(&loopback, MEBIBYTE);
            settle().await;
        }
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        let message = 10 + MEBIBYTE;
        assert_eq!(all.len(), message + 2 + 2 + 8);
        assert_eq!(&all[message..], b"\x88\x0a\x03\xf0too slow");
    };
    tokio::join!(session.run(), talk);
    assert!(loopback.places().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_kept_for_a_client_that_is_too_slow() {
    let (client, loopback, session) = serve(Answering::OnRequest, 1 << 12);
    let talk = async {
        for _ in 0..18 {
            send(&loopback, MEBIBYTE);
            settle().await;
        }
        // It has read nothing of its goodbye yet.
        assert!(loopback.places().is_empty());
        drop(client);
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_given_up() {
    let (client, loopback, session) = session(Answering::OnRequest, 1 << 12, Lines::new(LIMIT));
    let begun = Instant::now();
    let talk = async {
        for _ in 0..18 {
            send(&loopback, MEBIBYTE);
        }
    };
    tokio::join!(session.run(), talk);
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(loopback.places().is_empty());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_what_waits_for_it_does_not_keep_it_for_ever() {
    takes_nothing(session(
        Answering::OnRequest,
        1 << 12,
        WebSocket::new(LIMIT),
    ))
    .await;
    takes_nothing(session(Answering::OnRequest, 1 << 12, Lines::new(LIMIT))).await;
}

async fn takes_nothing<L: Language>(
    (mut client, loopback, session): (DuplexStream, Rc<Loopback>, Session<DuplexStream, L>),
) {
    let begun = Instant::now();
    let talk = async {
        send(&loopback, 2 * MEBIBYTE);
        for _ in 0..10 {
            // Little by little is not nothing.
            tokio::time::sleep(Duration::from_secs(29)).await;
            client.read_exact(&mut [0; 5000]).await.unwrap();
        }
    };
    tokio::join!(session.run(), talk);
    let stayed = begun.elapsed().as_secs();
    assert!((290 + 60..290 + 120).contains(&stayed), "{stayed} s");
    assert!(loopback.places().is_empty());
}

#[tokio::test]
async fn many_answers_are_few_writes() {
    let (mut client, loopback, session) = serve(Answering::OnRequest, 1 << 16);
    let talk = async {
        for _ in 0..1000 {
            send(&loopback, 1);
        }
        // What the stream has after one turn of the session is what it wrote at once.
        tokio::task::yield_now().await;
        let mut all = vec![0; 1 << 16];
        assert_eq!(client.read(&mut all).await.unwrap(), 3000);
        drop(client);
    };
    tokio::join!(session.run(), talk);
}
