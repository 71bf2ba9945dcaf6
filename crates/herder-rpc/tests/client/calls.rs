//! Calls by name: what is checked here, what is sent, what comes back.

use std::time::Duration;

use herder_rpc::client::CallOptions;
use herder_rpc::{CallError, ErrorKind, Executed};
use herder_wire::rpc::{Delivery, Frame};
use serde_json::json;

use crate::fake::{Fake, until};

#[tokio::test]
async fn a_call_carries_its_numbers_its_time_and_its_key() {
    let fake = Fake::new();
    let agent = fake.agent();
    let options = CallOptions::default()
        .deadline(Duration::from_millis(700))
        .key("k1");
    let library = async {
        let (mut peer, hello) = fake.greet().await;
        let Some(Frame::Call {
            id,
            target,
            deadline_ms,
            key,
            delivery,
            args,
            ..
        }) = peer.next().await
        else {
            panic!("a call")
        };
        let (expected, _) = fake.signature.find("kv", "put").unwrap();
        assert_eq!((target, delivery), (expected, Delivery::Answered));
        assert!((600..=700).contains(&deadline_ms), "{deadline_ms} ms");
        assert_eq!((&*key, &*args), (&b"k1"[..], &b"[\"a\",{\"b\":1}]"[..]));
        peer.ok(id, &json!({"rev": 7})).await;
        (peer, hello)
    };
    let call = agent.call_with("kv", "put", json!(["a", {"b": 1}]), options);
    let (answer, (_peer, hello)) = tokio::join!(call, library);
    assert_eq!(answer.unwrap(), json!({"rev": 7}));
    assert_eq!(
        (hello.herd.as_str(), hello.pid),
        ("00ff", std::process::id())
    );
}

#[tokio::test]
async fn a_methods_deadline_holds_unless_the_caller_says_otherwise() {
    let fake = Fake::new();
    let agent = fake.agent();
    let library = async {
        let mut peer = fake.serve().await;
        let mut told = Vec::new();
        for _ in 0..2 {
            let Some(Frame::Call { deadline_ms, .. }) = peer.next().await else {
                panic!("a call")
            };
            let Some(Frame::Cancel { .. }) = peer.next().await else {
                panic!("a cancel")
            };
            told.push(deadline_ms);
        }
        told
    };
    let caller = async {
        let error = agent.call("kv", "slow", json!([])).await.unwrap_err();
        assert_eq!(
            (error.kind, error.executed),
            (ErrorKind::Deadline, Executed::Maybe)
        );
        let options = CallOptions::default().deadline(Duration::from_millis(20));
        agent
            .call_with("kv", "slow", json!([]), options)
            .await
            .unwrap_err();
    };
    let ((), told) = tokio::join!(caller, library);
    assert!(told[0] <= 80 && told[0] > 20 && told[1] <= 20, "{told:?}");
}

#[tokio::test]
async fn what_the_signature_refuses_is_not_sent() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let cases = [
        (
            "cache",
            "get",
            json!([1]),
            ErrorKind::NoObject,
            "core has no object cache",
        ),
        (
            "kv",
            "fetch",
            json!([1]),
            ErrorKind::NoMethod,
            "kv has no method fetch",
        ),
        (
            "kv",
            "put",
            json!([1]),
            ErrorKind::BadArguments,
            "2 are expected (key, value)",
        ),
        (
            "kv",
            "get",
            json!({"key": 1}),
            ErrorKind::BadArguments,
            "arguments are an array",
        ),
        (
            "kv",
            "watch",
            json!(["a"]),
            ErrorKind::BadArguments,
            "it is a stream",
        ),
    ];
    for (object, method, args, kind, message) in cases {
        let error = agent.call(object, method, args).await.unwrap_err();
        assert_eq!(
            (error.kind, error.executed, error.epoch),
            (kind, Executed::No, error.epoch)
        );
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.target, format!("{object}.{method}"));
    }
    drop(agent);
    assert!(peer.next().await.is_none(), "nothing was sent");
}

#[tokio::test]
async fn errors_of_the_method_come_back_whole() {
    let fake = Fake::new();
    let agent = fake.agent();
    let library = async {
        let mut peer = fake.serve().await;
        let (id, _) = peer.call().await;
        let error = CallError::app("taken", "the key is taken").with_data(json!({"by": 3}));
        peer.send(Frame::Error {
            id,
            error: error.to_json(),
        })
        .await;
        peer
    };
    let (answer, _peer) = tokio::join!(agent.call("kv", "put", json!(["a", 1])), library);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::App, Executed::Yes)
    );
    assert_eq!(error.code.as_deref(), Some("taken"));
    assert_eq!(
        (error.data.clone(), error.epoch),
        (Some(json!({"by": 3})), 1)
    );
    assert_eq!(
        error.to_string(),
        "kv.put failed: the key is taken (code taken)"
    );
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_its_late_answer_is_nobodys() {
    let fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let dropped = tokio::spawn({
        let agent = agent.clone();
        async move { agent.call("kv", "put", json!(["a", 1])).await }
    });
    let (old, _) = peer.call().await;
    dropped.abort();
    assert_eq!(peer.next().await, Some(Frame::Cancel { id: old }));
    let library = async {
        let (id, _) = peer.call().await;
        assert_ne!(id, old);
        peer.ok(old, &json!("late")).await;
        peer.ok(id, &json!("mine")).await;
    };
    let (answer, ()) = tokio::join!(agent.call("kv", "put", json!(["a", 2])), library);
    assert_eq!(answer.unwrap(), "mine");
    until("nothing is left", || agent.gauges() == Default::default()).await;
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let fake = Fake::new();
    let agent = fake.agent();
    let library = async {
        let mut peer = fake.serve().await;
        let mut calls = Vec::new();
        for _ in 0..200 {
            calls.push(peer.call().await);
        }
        for (id, args) in calls.into_iter().rev() {
            peer.ok(id, &args[0]).await;
        }
        peer
    };
    let calls: Vec<_> = (0..200)
        .map(|key| {
            let agent = agent.clone();
            tokio::spawn(async move { (key, agent.call("kv", "get", json!([key])).await) })
        })
        .collect();
    let _peer = library.await;
    for call in calls {
        let (key, answer) = call.await.unwrap();
        assert_eq!(answer.unwrap(), key);
    }
}

#[tokio::test]
async fn one_way_calls_are_on_their_way_when_notify_returns() {
    let fake = Fake::new();
    let agent = fake.agent();
    let library = async {
        let mut peer = fake.serve().await;
        for expected in ["touch", "put", "touch"] {
            let Some(Frame::Call {
                target, delivery, ..
            }) = peer.next().await
            else {
                panic!("a call")
            };
            assert_eq!(delivery, Delivery::OneWay);
            assert_eq!(target, fake.signature.find("kv", expected).unwrap().0);
        }
    };
    let caller = async {
        agent.notify("kv", "touch", json!(["a"])).await.unwrap();
        agent.notify("kv", "put", json!(["a", 1])).await.unwrap();
        // What is never answered is not waited for.
        assert_eq!(
            agent.call("kv", "touch", json!(["a"])).await.unwrap(),
            json!(null)
        );
    };
    tokio::join!(caller, library);
    assert_eq!(agent.gauges(), Default::default());
}
