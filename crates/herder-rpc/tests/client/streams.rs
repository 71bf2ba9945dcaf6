//! Streams over several connections: they go on, or say what is missing.

use std::time::Duration;

use herder_rpc::client::{Agent, StreamItem, StreamOptions, Subscription};
use herder_rpc::{CallError, ErrorKind};
use herder_wire::rpc::{Frame, ItemKind, Position};
use serde_json::{Value, json};

use crate::fake::{Fake, PATIENCE, Peer, signature, until};

fn feed(agent: &Agent) -> Subscription {
    agent.subscribe("kv", "feed", json!([]), StreamOptions::default())
}

async fn next(stream: &mut Subscription) -> Option<StreamItem> {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await;
    next.expect("the stream says something").map(Result::unwrap)
}

fn item(seq: u64, value: Value) -> Option<StreamItem> {
    Some(StreamItem::Item { seq, value })
}

fn is_gap(item: Option<&StreamItem>, about: &str) -> bool {
    matches!(item, Some(StreamItem::Gap { reason, .. }) if reason.contains(about))
}

#[tokio::test]
async fn a_stream_goes_on_after_its_last_item() {
    let fake = Fake::new();
    let agent = fake.agent();
    let mut stream = feed(&agent);
    let mut peer = fake.serve().await;
    let (id, resume, credits) = peer.subscription().await;
    assert_eq!((resume, credits), (Position::default(), 256));
    peer.opened(id, 1, 40).await;
    peer.item(id, 41, ItemKind::Item, &json!("a")).await;
    peer.item(id, 42, ItemKind::Item, &json!("b")).await;
    assert_eq!(next(&mut stream).await, item(41, json!("a")));
    assert_eq!(next(&mut stream).await, item(42, json!("b")));
    drop(peer);
    let mut peer = fake.serve().await;
    let (id, resume, _) = peer.subscription().await;
    assert_eq!(resume, Position { epoch: 1, seq: 42 });
    peer.opened(id, 1, 42).await;
    peer.item(id, 43, ItemKind::Item, &json!("c")).await;
    assert_eq!(
        next(&mut stream).await,
        item(43, json!("c")),
        "nothing is missing, nothing is said"
    );
    peer.send(Frame::End { id }).await;
    assert_eq!(next(&mut stream).await, None);
    assert_eq!(agent.gauges().streams, 0);
}

#[tokio::test]
async fn a_new_incarnation_is_a_gap_told_once() {
    let mut fake = Fake::new();
    let agent = fake.agent();
    let mut stream = feed(&agent);
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 0).await;
    peer.item(id, 1, ItemKind::Item, &json!(1)).await;
    assert_eq!(next(&mut stream).await, item(1, json!(1)));
    drop(peer);
    fake.epoch = 2;
    let mut peer = fake.serve().await;
    let (id, resume, _) = peer.subscription().await;
    assert_eq!(resume, Position { epoch: 1, seq: 1 });
    peer.opened(id, 2, 0).await;
    let told = json!({"reason": "another epoch", "missed": 3});
    peer.item(id, 0, ItemKind::Gap, &told).await;
    peer.item(id, 1, ItemKind::Item, &json!(10)).await;
    peer.item(id, 1, ItemKind::Gap, &told).await;
    assert!(is_gap(next(&mut stream).await.as_ref(), "started again"));
    assert_eq!(
        next(&mut stream).await,
        item(1, json!(10)),
        "one gap is told once"
    );
    let second = StreamItem::Gap {
        reason: "another epoch".to_owned(),
        missed: Some(3),
    };
    assert_eq!(
        next(&mut stream).await,
        Some(second),
        "and the next one again"
    );
}

#[tokio::test]
async fn what_the_library_no_longer_holds_is_a_gap() {
    let fake = Fake::new();
    let agent = fake.agent();
    let mut stream = feed(&agent);
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 5).await;
    stream.opened().await.unwrap();
    drop(peer);
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 900).await;
    assert!(is_gap(next(&mut stream).await.as_ref(), "no longer holds"));
}

#[tokio::test]
async fn an_interrupted_snapshot_begins_again() {
    let fake = Fake::new();
    let agent = fake.agent();
    let mut stream = agent.subscribe("kv", "watch", json!(["a/"]), StreamOptions::default());
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 7).await;
    peer.item(id, 0, ItemKind::Snapshot, &json!({"k": 1})).await;
    assert_eq!(
        next(&mut stream).await,
        Some(StreamItem::Snapshot {
            value: json!({"k": 1})
        })
    );
    drop(peer);
    let mut peer = fake.serve().await;
    let (id, resume, _) = peer.subscription().await;
    assert_eq!(resume, Position::default(), "from the start");
    peer.opened(id, 1, 7).await;
    peer.item(id, 0, ItemKind::Snapshot, &json!({"k": 2})).await;
    peer.item(id, 9, ItemKind::SnapshotEnd, &json!(null)).await;
    assert!(is_gap(next(&mut stream).await.as_ref(), "interrupted"));
    assert_eq!(
        next(&mut stream).await,
        Some(StreamItem::Snapshot {
            value: json!({"k": 2})
        })
    );
    assert_eq!(next(&mut stream).await, Some(StreamItem::SnapshotEnd));
    drop(peer);
    let mut peer = fake.serve().await;
    assert_eq!(peer.subscription().await.1, Position { epoch: 1, seq: 9 });
}

#[tokio::test]
async fn credit_is_given_as_items_are_taken_and_no_more() {
    let fake = Fake::new();
    let agent = fake.agent();
    let options = StreamOptions::default().credits(4);
    let mut stream = agent.subscribe("kv", "feed", json!([]), options);
    let mut peer = fake.serve().await;
    let (id, _, credits) = peer.subscription().await;
    assert_eq!(credits, 4);
    peer.opened(id, 1, 0).await;
    for seq in 1..=4 {
        peer.item(id, seq, ItemKind::Item, &json!(seq)).await;
    }
    assert_eq!(next(&mut stream).await, item(1, json!(1)));
    assert_eq!(next(&mut stream).await, item(2, json!(2)));
    assert_eq!(peer.next().await, Some(Frame::Credit { id, items: 2 }));
    // Two are waiting here: on a new connection there is room for two.
    drop(peer);
    let mut peer = fake.serve().await;
    let (id, resume, credits) = peer.subscription().await;
    assert_eq!((resume, credits), (Position { epoch: 1, seq: 4 }, 2));
    peer.opened(id, 1, 4).await;
    // A library that ignores credit is no library: the connection ends.
    for seq in 5..=7 {
        peer.item(id, seq, ItemKind::Item, &json!(seq)).await;
    }
    while peer.next().await.is_some() {}
    for seq in 3..=6 {
        assert_eq!(next(&mut stream).await, item(seq, json!(seq)));
    }
}

#[tokio::test]
async fn a_dropped_stream_is_cancelled() {
    let fake = Fake::new();
    let agent = fake.agent();
    let stream = feed(&agent);
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 0).await;
    drop(stream);
    assert_eq!(peer.next().await, Some(Frame::Cancel { id }));
    peer.item(id, 1, ItemKind::Item, &json!("late")).await;
    let library = async {
        let (id, _) = peer.call().await;
        peer.ok(id, &json!(null)).await;
    };
    let (answer, ()) = tokio::join!(agent.call("kv", "get", json!(["a"])), library);
    answer.unwrap();
}

#[tokio::test]
async fn a_thousand_subscriptions_leave_nothing_behind() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    for _ in 0..1_000 {
        let mut stream = feed(&agent);
        let (id, ..) = peer.subscription().await;
        peer.opened(id, 1, 0).await;
        peer.item(id, 1, ItemKind::Item, &json!("x")).await;
        assert_eq!(next(&mut stream).await, item(1, json!("x")));
        drop(stream);
        assert_eq!(peer.next().await, Some(Frame::Cancel { id }));
    }
    assert_eq!(agent.gauges(), Default::default());
}

#[tokio::test]
async fn a_stream_that_fails_says_why_after_what_came_before() {
    let fake = Fake::new();
    let agent = fake.agent();
    let mut stream = feed(&agent);
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 0).await;
    peer.item(id, 1, ItemKind::Item, &json!(1)).await;
    let error = CallError::app("upstream", "the upstream is gone");
    peer.send(Frame::Error {
        id,
        error: error.to_json(),
    })
    .await;
    assert_eq!(next(&mut stream).await, item(1, json!(1)));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.target.as_str()),
        (ErrorKind::App, "kv.feed")
    );
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_is_not_opened_in_time_fails() {
    let fake = Fake::new();
    let agent = fake.agent();
    let options = StreamOptions::default().deadline(Duration::from_millis(50));
    let mut stream = agent.subscribe("kv", "feed", json!([]), options);
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    let error = stream.opened().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Deadline, "{error}");
    assert_eq!(peer.next().await, Some(Frame::Cancel { id }));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_said_here() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, _peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let cases = [
        ("cache", "feed", json!([]), ErrorKind::NoObject),
        ("kv", "follow", json!([]), ErrorKind::NoMethod),
        ("kv", "get", json!(["a"]), ErrorKind::BadArguments),
        ("kv", "watch", json!([]), ErrorKind::BadArguments),
    ];
    for (object, method, args, kind) in cases {
        let mut stream = agent.subscribe(object, method, args, StreamOptions::default());
        assert_eq!(
            stream.opened().await.unwrap_err().kind,
            kind,
            "{object}.{method}"
        );
        assert_eq!(stream.next().await.unwrap().unwrap_err().kind, kind);
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_library_without_the_method_ends_the_stream_with_its_name() {
    let mut fake = Fake::new();
    fake.signature = signature(&[(
        "extra",
        crate::fake::method(herder_rpc::MethodKind::Events, &[]),
    )]);
    let agent = fake.agent();
    let mut stream = agent.subscribe("kv", "extra", json!([]), StreamOptions::default());
    let mut peer = fake.serve().await;
    let (id, ..) = peer.subscription().await;
    peer.opened(id, 1, 0).await;
    stream.opened().await.unwrap();
    drop(peer);
    fake.signature = signature(&[]);
    let _peer = fake.serve().await;
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoMethod);
    assert!(
        error.to_string().contains("kv has no method extra"),
        "{error}"
    );
}

#[tokio::test]
async fn streams_follow_a_library_that_leaves() {
    let mut fake = Fake::new();
    let agent = fake.agent();
    let mut stream = feed(&agent);
    let mut old = fake.serve().await;
    let (id, ..) = old.subscription().await;
    old.opened(id, 1, 0).await;
    old.item(id, 1, ItemKind::Item, &json!(1)).await;
    assert_eq!(next(&mut stream).await, item(1, json!(1)));
    go_away(&mut old).await;
    fake.epoch = 2;
    let mut new = fake.serve().await;
    let (moved, resume, _) = new.subscription().await;
    assert_eq!(resume, Position { epoch: 1, seq: 1 });
    assert_eq!(old.next().await, Some(Frame::Cancel { id }));
    assert_eq!(old.next().await, None);
    new.opened(moved, 2, 0).await;
    assert!(is_gap(next(&mut stream).await.as_ref(), "started again"));
    drop((stream, agent));
    assert!(matches!(
        new.next().await,
        Some(Frame::Cancel { .. }) | None
    ));
    until("the agent is gone", || true).await;
}

async fn go_away(peer: &mut Peer) {
    let body = bytes::Bytes::from_static(b"{\"reason\":\"stop\"}");
    peer.send(Frame::GoAway(body)).await;
}
