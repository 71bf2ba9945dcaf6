//! The state.

use std::time::Duration;

use herder_rpc::client::StreamItem;
use herder_rpc::client::Subscription;
use herder_rpc::server::Change;
use herder_rpc::{Blob, ErrorKind, Executed};
use herder_services::library::{Entry, LeaseAnswer, SetOptions, StateApiClient};
use serde_json::json;

use crate::herd::{Herd, soon};

fn s() -> String {
    "s".to_owned()
}

fn key(key: &str) -> String {
    key.to_owned()
}

fn blob(text: &str) -> Blob {
    Blob::from(text.as_bytes())
}

#[tokio::test]
async fn what_one_worker_writes_another_reads() {
    let herd = Herd::new().await;
    let one: StateApiClient = herd.worker(0).client();
    let two: StateApiClient = herd.worker(1).client();
    let revision = one
        .set(s(), key("a"), blob("1"), SetOptions::default())
        .await
        .unwrap();
    let entry = two.get(s(), key("a")).await.unwrap().unwrap();
    assert_eq!((entry.value, entry.revision), (blob("1"), revision));
    let options = SetOptions {
        if_revision: Some(revision + 7),
        ttl_ms: None,
    };
    let error = two
        .set(s(), key("a"), blob("2"), options)
        .await
        .unwrap_err();
    assert_eq!(error.code.as_deref(), Some("conflict"));
    assert_eq!(error.data, Some(json!({ "present": revision })));
    assert_eq!(two.increment(s(), key("n"), 5, None).await.unwrap(), 5);
    assert!(two.delete(s(), key("a"), Some(revision)).await.unwrap());
    assert_eq!(one.get_fresh(s(), key("a")).await.unwrap(), None);
    assert!(one.once(s(), key("o"), 60_000).await.unwrap());
    assert!(!two.once(s(), key("o"), 60_000).await.unwrap());
    let page = one.scan(s(), String::new(), None, 1).await.unwrap();
    assert_eq!(
        (page.entries[0].0.as_str(), page.next.as_deref()),
        ("n", Some("n"))
    );
    let admitted = one.limit(s(), key("r"), 1, 60_000).await.unwrap();
    assert!(admitted.allowed);
    let denied = two.limit(s(), key("r"), 1, 60_000).await.unwrap();
    assert!(!denied.allowed && denied.retry_after_ms > 0);
}

#[tokio::test]
async fn by_name_values_are_what_every_language_can_write() {
    let herd = Herd::new().await;
    let agent = herd.worker(0);
    let set = json!(["s", "a", {"$bytes": "aGk="}, {"ttl_ms": 60000}]);
    agent.call("state", "set", set).await.unwrap();
    let entry = agent.call("state", "get", json!(["s", "a"])).await.unwrap();
    assert_eq!(entry["value"], json!({"$bytes": "aGk="}));
    let error = agent
        .call("state", "get", json!(["other", "a"]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::BadArguments, Executed::No)
    );
    assert!(error.message.contains("there is: s"), "{error}");
}

async fn next(stream: &mut Subscription<Change<String, Entry>>) -> Change<String, Entry> {
    loop {
        match soon(stream.next())
            .await
            .expect("it goes on")
            .expect("it is well")
        {
            StreamItem::Item { value, .. } | StreamItem::Snapshot { value } => return value,
            StreamItem::SnapshotEnd => {}
            StreamItem::Gap { reason, .. } => panic!("{reason}"),
        }
    }
}

#[tokio::test]
async fn who_watches_sees_what_is_there_and_what_changes() {
    let herd = Herd::new().await;
    let state: StateApiClient = herd.worker(0).client();
    let set =
        |name: &str, value: &str| state.set(s(), key(name), blob(value), SetOptions::default());
    set("a/1", "x").await.unwrap();
    set("b", "x").await.unwrap();
    let mut watch = state.watch(s(), key("a/"));
    let first = next(&mut watch).await;
    assert_eq!(
        (first.key.as_str(), first.value.unwrap().value),
        ("a/1", blob("x"))
    );
    set("b", "y").await.unwrap();
    set("a/2", "z").await.unwrap();
    assert_eq!(next(&mut watch).await.key, "a/2");
    let brief = SetOptions {
        ttl_ms: Some(10),
        if_revision: None,
    };
    state
        .set(s(), key("a/3"), blob("brief"), brief)
        .await
        .unwrap();
    let mut expired = next(&mut watch).await;
    if expired.value.is_some() {
        assert_eq!(expired.value.unwrap().ttl_ms.map(|ms| ms <= 10), Some(true));
        expired = next(&mut watch).await;
    }
    assert_eq!(
        (expired.key.as_str(), expired.value),
        ("a/3", None),
        "it expired by itself"
    );
}

#[tokio::test]
async fn leases_end_with_their_holders() {
    let herd = Herd::new().await;
    let agent = herd.worker(0);
    let one: StateApiClient = agent.client();
    let two: StateApiClient = herd.worker(1).client();
    let ours = one.acquire(s(), key("l"), 600_000).await.unwrap();
    let LeaseAnswer::Ours { token } = ours else {
        panic!("{ours:?}")
    };
    let next = token + 1;
    let held = two.acquire(s(), key("l"), 600_000).await.unwrap();
    assert!(matches!(held, LeaseAnswer::Held { left_ms } if left_ms > 0));
    one.renew(s(), key("l"), token, 600_000).await.unwrap();
    drop((one, agent));
    soon(async {
        let theirs = LeaseAnswer::Ours { token: next };
        while two.acquire(s(), key("l"), 600_000).await.unwrap() != theirs {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let error = two.renew(s(), key("l"), token, 5).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("not_held"));
    two.release(s(), key("l"), next).await.unwrap();
}

#[tokio::test]
async fn no_revision_or_token_of_a_life_before_means_something_in_the_next() {
    let mut before = (0, 0);
    for _ in 0..2 {
        let herd = Herd::new().await;
        let state: StateApiClient = herd.worker(0).client();
        let revision = state
            .set(s(), key("a"), blob("1"), SetOptions::default())
            .await
            .unwrap();
        let lease = state.acquire(s(), key("l"), 60_000).await.unwrap();
        let LeaseAnswer::Ours { token } = lease else {
            panic!("nobody has it");
        };
        assert!(revision > before.0 && token > before.1, "{before:?}");
        // What every JSON reader keeps exact.
        assert!(revision < 1 << 53 && token < 1 << 53);
        before = (revision, token);
    }
}
