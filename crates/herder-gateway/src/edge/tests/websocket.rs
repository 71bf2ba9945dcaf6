//! WebSocket sessions: whole conversations.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::edge::session::Session;
use crate::edge::testing::{BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, frame, part, session};
use crate::edge::websocket::WebSocket;
use crate::hub::CloseReason;
use crate::hub::loopback::{Answering, Loopback};

const LIMIT: usize = 1 << 20;

type Peer = WebSocketStream<DuplexStream>;

fn serve(
    answering: Answering,
) -> (
    DuplexStream,
    std::rc::Rc<Loopback>,
    Session<DuplexStream, WebSocket>,
) {
    session(answering, 1 << 16, WebSocket::new(LIMIT))
}

async fn peer(stream: DuplexStream) -> Peer {
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

fn bye(code: CloseCode, reason: &str) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}

/// Everything that the client is sent until the end.
async fn rest(client: &mut DuplexStream) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    rest
}

/// Waits for what another task of the same thread does soon, without a clock.
async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn messages_are_jobs_and_answers_are_messages() {
    let (client, loopback, session) = serve(Answering::AtOnce);
    let talk = async {
        let mut peer = peer(client).await;
        let large = vec![7_u8; 300_000];
        for message in [
            Message::text("hello €"),
            Message::text(""),
            Message::binary(large),
            Message::binary(vec![]),
        ] {
            peer.send(message.clone()).await.unwrap();
            assert_eq!(peer.next().await.unwrap().unwrap(), message);
        }
        peer.close(None).await.unwrap();
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::Close(None));
        assert!(peer.next().await.is_none());
    };
    tokio::join!(session.run(), talk);
    assert!(loopback.places().is_empty());
}

#[tokio::test]
async fn a_ping_is_answered_while_a_job_waits() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        let ask = [
            frame(TEXT, b"job"),
            part(TEXT, b"an"),
            frame(PING, b"?"),
            frame(CONTINUE, b"d"),
        ];
        client.write_all(&ask.concat()).await.unwrap();
        let mut pong = [0; 3];
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"\x8a\x01?");
        assert_eq!(loopback.kept().len(), 2);
        assert_eq!(&loopback.kept()[1].bytes[..], b"and");
        drop(client);
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test]
async fn a_close_is_answered_after_the_answers_and_nothing_after_it_is_a_job() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        let close = frame(CLOSE, b"\x0f\xa0so long");
        let ask = [
            frame(TEXT, b"1"),
            frame(BINARY, b"2"),
            close,
            frame(TEXT, b"3"),
        ];
        client.write_all(&ask.concat()).await.unwrap();
        until(|| loopback.kept().len() == 2).await;
        let mut nothing = [0; 1];
        tokio::select! {
            biased;
            _ = client.read(&mut nothing) => panic!("it is answered too soon"),
            () = until_idle() => {}
        }
        loopback.answer();
        assert_eq!(
            rest(&mut client).await,
            b"\x81\x011\x82\x012\x88\x02\x0f\xa0"
        );
    };
    tokio::join!(session.run(), talk);
    assert!(loopback.kept().is_empty());
    assert!(loopback.places().is_empty());
}

/// Gives other tasks many turns.
async fn until_idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_answers_no_longer_than_it_may() {
    let (client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        let begun = Instant::now();
        let mut peer = peer(client).await;
        peer.send(Message::text("for ever")).await.unwrap();
        peer.close(Some(CloseFrame {
            code: CloseCode::Away,
            reason: "".into(),
        }))
        .await
        .unwrap();
        assert_eq!(
            peer.next().await.unwrap().unwrap(),
            bye(CloseCode::Away, "")
        );
        assert_eq!(begun.elapsed().as_secs(), 5);
        assert!(
            loopback.places().is_empty(),
            "the job has no client any more"
        );
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test(start_paused = true)]
async fn the_hub_ends_a_connection_after_what_it_sent() {
    let (client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        let mut peer = peer(client).await;
        peer.send(Message::text("last")).await.unwrap();
        until(|| !loopback.kept().is_empty()).await;
        loopback.answer();
        loopback.places()[0].close(CloseReason::GoingAway);
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::text("last"));
        let bye = bye(CloseCode::Away, "going away");
        assert_eq!(peer.next().await.unwrap().unwrap(), bye);
        assert!(peer.next().await.is_none());
    };
    let begun = Instant::now();
    tokio::join!(session.run(), talk);
    assert_eq!(begun.elapsed(), Duration::ZERO, "the client has answered");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_goodbye_is_left() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let begun = Instant::now();
    let talk = async {
        loopback.places()[0].close(CloseReason::GoingAway);
        client.write_all(&frame(TEXT, b"no job")).await.unwrap();
        assert_eq!(rest(&mut client).await, b"\x88\x0c\x03\xe9going away");
        client
    };
    let ((), _client) = tokio::join!(session.run(), talk);
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert!(loopback.kept().is_empty());
}

#[tokio::test]
async fn a_client_against_the_rules_gets_its_answers_and_the_reason() {
    for (bad, code) in [
        (frame(CONTINUE, b""), 1002_u16),
        (frame(TEXT, b"\xff"), 1007),
        (part(BINARY, &vec![0; LIMIT + 1])[..14].to_vec(), 1009),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 1002),
    ] {
        let (mut client, loopback, session) = serve(Answering::OnRequest);
        let talk = async {
            let ask = [frame(TEXT, b"1"), bad, frame(TEXT, b"2")].concat();
            client.write_all(&ask).await.unwrap();
            until(|| !loopback.kept().is_empty()).await;
            loopback.answer();
            let said = rest(&mut client).await;
            assert_eq!(&said[..3], b"\x81\x011");
            assert_eq!(said[5..7], code.to_be_bytes());
            drop(client);
        };
        tokio::join!(session.run(), talk);
        assert!(loopback.kept().is_empty());
    }
}

#[tokio::test]
async fn a_client_that_vanishes_has_no_seat_any_more() {
    for last in [
        vec![],
        frame(TEXT, b"job"),
        part(TEXT, b"half")[..3].to_vec(),
    ] {
        let (mut client, loopback, session) = serve(Answering::OnRequest);
        let talk = async {
            client.write_all(&last).await.unwrap();
            drop(client);
        };
        tokio::join!(session.run(), talk);
        assert!(loopback.places().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_asked_and_then_gone() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let begun = Instant::now();
    let talk = async {
        for round in 1..=3 {
            let mut ping = [0; 2];
            client.read_exact(&mut ping).await.unwrap();
            assert_eq!(&ping, b"\x89\x00");
            assert_eq!(begun.elapsed().as_secs(), 30 * round);
            if round < 3 {
                client.write_all(&frame(PONG, b"")).await.unwrap();
            }
        }
        assert_eq!(rest(&mut client).await, b"");
        assert_eq!(begun.elapsed().as_secs(), 120);
    };
    tokio::join!(session.run(), talk);
    assert!(loopback.places().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_read_is_not_taken_for_dead() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        loopback.places()[0].pause();
        client.write_all(&frame(TEXT, b"job")).await.unwrap();
        sleep(Duration::from_secs(1000)).await;
        assert!(loopback.kept().is_empty());
        loopback.places()[0].resume();
        until(|| !loopback.kept().is_empty()).await;
        drop(client);
    };
    tokio::join!(session.run(), talk);
}
