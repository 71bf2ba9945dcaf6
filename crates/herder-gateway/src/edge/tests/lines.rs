//! Line sessions: whole conversations.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::edge::lines::Lines;
use crate::edge::session::Session;
use crate::edge::testing::session;
use crate::hub::loopback::{Answering, Loopback};
use crate::hub::{CloseReason, Kind};

const LIMIT: usize = 10;

fn serve(answering: Answering) -> (DuplexStream, Rc<Loopback>, Session<DuplexStream, Lines>) {
    session(answering, 1 << 16, Lines::new(LIMIT))
}

/// What a client is answered that says this, in pieces of so many, and then no more.
async fn answers(said: &[u8], piece: usize) -> String {
    let (mut client, _, session) = serve(Answering::AtOnce);
    let talk = async {
        for piece in said.chunks(piece) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        answers
    };
    tokio::join!(session.run(), talk).1
}

#[tokio::test]
async fn each_line_is_a_message() {
    for (said, answered) in [
        ("a\nb\r\n\n\r\nc", "a\nb\n\n\nc\n"),
        ("", ""),
        ("\n", "\n"),
        ("last", "last\n"),
        ("last\r", "last\n"),
        ("a\rb\r\r\n", "a\rb\r\n"),
        (
            "0123456789\n0123456789\r\n0123456789",
            "0123456789\n0123456789\n0123456789\n",
        ),
    ] {
        for piece in [1, 3, 100] {
            let got = answers(said.as_bytes(), piece).await;
            assert_eq!(got, answered, "{said:?} by {piece}");
        }
    }
}

#[tokio::test]
async fn a_line_that_is_too_long_ends_the_conversation_after_the_answers() {
    let error = "error: a line is longer than 10 bytes\n";
    for long in [
        "01234567890\nmore\n",
        "01234567890\r\n",
        "01234567890",
        "012345678901",
    ] {
        for piece in [1, 100] {
            let said = format!("fine\n{long}");
            let got = answers(said.as_bytes(), piece).await;
            assert_eq!(got, format!("fine\n{error}"), "{long:?} by {piece}");
        }
    }
}

#[tokio::test]
async fn what_is_no_text_is_bytes() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        client.write_all(b"text\n\xff\n").await.unwrap();
        client.shutdown().await.unwrap();
        while loopback.kept().len() < 2 {
            tokio::task::yield_now().await;
        }
        let kinds: Vec<_> = loopback.kept().iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [Kind::Text, Kind::Bytes]);
        loopback.answer();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        assert_eq!(answers, b"text\n\xff\n");
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_waits_for_answers_no_longer_than_it_may() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let begun = Instant::now();
    let talk = async {
        client.write_all(b"for ever\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        assert_eq!(answers, b"");
    };
    tokio::join!(session.run(), talk);
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(loopback.places().is_empty());
}

#[tokio::test]
async fn the_hub_ends_a_connection_after_what_it_sent() {
    let (mut client, loopback, session) = serve(Answering::OnRequest);
    let talk = async {
        client.write_all(b"last\n").await.unwrap();
        while loopback.kept().is_empty() {
            tokio::task::yield_now().await;
        }
        loopback.answer();
        loopback.places()[0].close(CloseReason::GoingAway);
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        assert_eq!(answers, b"last\n");
        drop(client);
    };
    tokio::join!(session.run(), talk);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_stays() {
    let (mut client, loopback, session) = serve(Answering::AtOnce);
    let talk = async {
        tokio::time::sleep(std::time::Duration::from_secs(100_000)).await;
        assert_eq!(loopback.places().len(), 1);
        client.write_all(b"here\n").await.unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"here\n");
        drop(client);
    };
    tokio::join!(session.run(), talk);
}
