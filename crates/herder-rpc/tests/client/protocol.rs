//! Greetings, and libraries that do not keep to the protocol.

use herder_rpc::client::{Agents, Connection};
use herder_rpc::{CallError, ErrorKind, Executed};
use herder_wire::rpc::{Frame, MethodKind};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::fake::{Fake, method, signature};

#[tokio::test]
async fn the_signature_is_asked_for_when_it_changed_and_only_then() {
    let mut fake = Fake::new();
    let agent = fake.agent();
    let (first, (peer, hello)) = tokio::join!(agent.signature(), fake.greet());
    assert_eq!(
        (first.unwrap().hash.as_str(), hello.hash.as_str()),
        (&*fake.signature.hash, "")
    );
    drop(peer);
    let (peer, hello) = fake.greet().await;
    assert_eq!(hello.hash, fake.signature.hash);
    drop(peer);
    // `answer` comes first in the order of names: `put` has another number now.
    let old = fake.signature.find("kv", "put").unwrap().0;
    fake.signature = signature(&[("answer", method(MethodKind::Call, &[]))]);
    let (mut peer, _) = fake.greet().await;
    let library = async {
        let Some(Frame::Call { id, target, .. }) = peer.next().await else {
            panic!("a call")
        };
        assert_eq!(target, fake.signature.find("kv", "put").unwrap().0);
        assert_ne!(target, old);
        peer.ok(id, &json!(1)).await;
    };
    let (answer, ()) = tokio::join!(agent.call("kv", "put", json!(["a", 1])), library);
    answer.unwrap();
}

#[tokio::test]
async fn garbage_ends_the_connection_and_what_is_in_flight_at_once() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let unexpected = Frame::SignatureAsk { id: 4 };
    let mut sent = bytes::BytesMut::new();
    unexpected.encode(1_000, &mut sent).unwrap();
    let garbage: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xFF; 64],
        &[0; 64],
        &sent,
    ];
    for bytes in garbage {
        let call = tokio::spawn({
            let agent = agent.clone();
            async move { agent.call("kv", "put", json!(["a", 1])).await }
        });
        peer.call().await;
        peer.socket.write_all(bytes).await.unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.executed),
            (ErrorKind::Unavailable, Executed::Maybe)
        );
        assert!(
            peer.next().await.is_none(),
            "the agent closed the connection"
        );
        peer = fake.serve().await;
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read_are_errors_of_their_call_only() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let call = agent.call("kv", "put", json!(["a", 1]));
    let library = async {
        let (id, _) = peer.call().await;
        let (codec, value) = (
            herder_rpc::Codec::Json,
            bytes::Bytes::from_static(b"{\"a\":"),
        );
        peer.send(Frame::Ok { id, codec, value }).await;
    };
    let (answer, ()) = tokio::join!(call, library);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Codec, Executed::Yes)
    );
    assert_eq!(
        (error.target.as_str(), agent.connection()),
        ("kv.put", Connection::Up(1))
    );
}

#[tokio::test]
async fn a_refusal_is_told_to_every_call_until_the_library_changes_its_mind() {
    let fake = Fake::new();
    let agent = fake.agent();
    let library = async {
        let mut peer = fake.accept().await;
        peer.next().await.unwrap();
        let error = CallError::new(ErrorKind::Refused, Executed::No, "another herd");
        peer.send(Frame::Refused(error.to_json())).await;
        assert!(peer.next().await.is_none());
    };
    let (answer, ()) = tokio::join!(agent.call("kv", "get", json!(["a"])), library);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Refused, Executed::No)
    );
    assert_eq!(error.message, "another herd");
    let mut peer = fake.serve().await;
    let library = async {
        let (id, _) = peer.call().await;
        peer.ok(id, &json!(1)).await;
    };
    crate::fake::until("it is welcome", || agent.connection() == Connection::Up(1)).await;
    let (answer, ()) = tokio::join!(agent.call("kv", "get", json!(["a"])), library);
    answer.unwrap();
}

#[tokio::test]
async fn a_greeting_out_of_order_is_tried_again() {
    let fake = Fake::new();
    let agent = fake.agent();
    let library = async {
        for frame in [
            Frame::GoAway(bytes::Bytes::from_static(b"{}")),
            Frame::Welcome(bytes::Bytes::from_static(b"{\"version\":1}")),
            Frame::Pong { id: 0, lag_us: 0 },
        ] {
            let mut peer = fake.accept().await;
            peer.next().await.unwrap();
            peer.send(frame).await;
            assert!(peer.next().await.is_none());
        }
        fake.serve().await
    };
    let (ready, _peer) = tokio::join!(agent.ready(), library);
    ready.unwrap();
}

#[tokio::test]
async fn pings_are_answered() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    peer.send(Frame::Ping { id: 77 }).await;
    assert!(matches!(
        peer.next().await,
        Some(Frame::Pong { id: 77, .. })
    ));
}

#[tokio::test]
async fn objects_are_found_in_any_library() {
    let (core, mut feeds) = (Fake::new(), Fake::new());
    let prices = herder_rpc::ObjectSignature::new(
        "",
        [("latest".to_owned(), method(MethodKind::Call, &[]))],
    );
    feeds.signature = herder_rpc::Signature::new("feeds", [("prices".to_owned(), prices)]);
    let mut second = feeds.endpoint();
    second.library = "feeds".to_owned();
    let agents = Agents::new([core.endpoint(), second]);
    let libraries = async {
        let (mut kv, mut prices) = tokio::join!(core.serve(), feeds.serve());
        let (id, _) = prices.call().await;
        prices.ok(id, &json!(3)).await;
        let (id, _) = kv.call().await;
        kv.ok(id, &json!(4)).await;
        (kv, prices)
    };
    let calls = async {
        assert_eq!(agents.call("prices", "latest", json!([])).await.unwrap(), 3);
        assert_eq!(agents.call("kv", "get", json!(["a"])).await.unwrap(), 4);
        let error = agents
            .call("nothing", "at_all", json!([]))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.target.as_str()),
            (ErrorKind::NoObject, "nothing.at_all")
        );
    };
    tokio::join!(libraries, calls);
    assert_eq!(agents.library("feeds").unwrap().library(), "feeds");
}
