//! Objects of the macro against their clients, over a socket, in both codecs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use herder_rpc::client::{Agent, Client, Endpoint, Identity, RpcError, StreamItem, StreamOptions};
use herder_rpc::server::{Change, EventSource, Feed, Library, SlowReader, StateSource};
use herder_rpc::support::Stream;
use herder_rpc::testing::RunningLibrary;
use herder_rpc::{CallError, Caller, Cx, ErrorKind, Executed, MethodKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, thiserror::Error)]
enum KvError {
    #[error("{key} has revision {revision}")]
    Conflict { key: String, revision: u64 },
    #[error("the store is read-only")]
    ReadOnly,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
struct Entry {
    value: String,
    revision: u64,
    tags: Vec<String>,
    ttl_ms: Option<u32>,
}

/// Values by name.
#[herder_macros::object(name = "kv", crate = herder_rpc)]
trait Kv {
    /// The entry of a key.
    #[herder(idempotent, deadline = "2s")]
    async fn get(&self, key: String) -> Option<Entry>;
    /// Writes an entry if its revision is the next.
    async fn put(&self, cx: &Cx, key: String, entry: Entry) -> Result<u64, KvError>;
    /// How many keys there are.
    #[herder(concurrency = 1, queue = 2)]
    async fn len(&self) -> usize;
    async fn fail(&self, args: String) -> Result<(), CallError>;
    async fn slow(&self);
    #[herder(notify)]
    fn touch(&self, key: String);
    /// Changes of all keys with a prefix.
    #[herder(stream = "state")]
    fn watch(&self, prefix: String) -> Feed<Change<String, u64>>;
    #[herder(stream = "events")]
    async fn feed(&self, cx: &Cx) -> Result<Feed<String>, KvError>;
    #[herder(stream = "events")]
    fn count(&self, from: u32, to: u32) -> impl Stream<Item = u32>;
}

struct Store {
    entries: Mutex<BTreeMap<String, Entry>>,
    revisions: StateSource<String, u64>,
    events: EventSource<String>,
    touched: AtomicU64,
    down: Arc<AtomicU64>,
}

impl Store {
    fn new() -> Self {
        Self {
            entries: Mutex::default(),
            revisions: StateSource::new(),
            events: EventSource::new(16, SlowReader::DropOldest),
            touched: AtomicU64::new(0),
            down: Arc::default(),
        }
    }
}

impl Kv for Store {
    async fn get(&self, key: String) -> Option<Entry> {
        self.entries.lock().unwrap().get(&key).cloned()
    }

    async fn put(&self, cx: &Cx, key: String, entry: Entry) -> Result<u64, KvError> {
        assert!(cx.remaining() > Duration::ZERO && cx.caller.pid == std::process::id());
        if key.starts_with('_') {
            return Err(KvError::ReadOnly);
        }
        let revision = entry.revision;
        let held = self
            .entries
            .lock()
            .unwrap()
            .get(&key)
            .map_or(0, |entry| entry.revision);
        if revision != held + 1 {
            return Err(KvError::Conflict {
                key,
                revision: held,
            });
        }
        self.entries.lock().unwrap().insert(key.clone(), entry);
        self.revisions.set(key.clone(), revision);
        self.events.publish(key).await;
        Ok(revision)
    }

    async fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    async fn fail(&self, args: String) -> Result<(), CallError> {
        Err(CallError::app("asked", args))
    }

    async fn slow(&self) {
        std::future::pending::<()>().await;
    }

    fn touch(&self, _key: String) {
        self.touched.fetch_add(1, Ordering::SeqCst);
        self.events.try_publish("touched".to_owned()).unwrap();
    }

    fn watch(&self, prefix: String) -> Feed<Change<String, u64>> {
        self.revisions
            .feed_where(move |key| key.starts_with(&prefix))
    }

    async fn feed(&self, cx: &Cx) -> Result<Feed<String>, KvError> {
        match cx.epoch {
            9 => Err(KvError::ReadOnly),
            _ => Ok(self.events.feed()),
        }
    }

    fn count(&self, from: u32, to: u32) -> impl Stream<Item = u32> {
        stream::iter(from..to)
    }

    fn worker_down(&self, _caller: &Caller) {
        self.down.fetch_add(1, Ordering::SeqCst);
    }
}

/// The same object for processes of one executable.
mod binary {
    use super::{Entry, KvError};

    #[herder_macros::object(name = "kv", codec = "postcard", crate = herder_rpc)]
    pub(crate) trait Fast {
        #[herder(idempotent)]
        async fn get(&self, key: String) -> Option<Entry>;
        async fn put(&self, key: String, entry: Entry) -> Result<u64, KvError>;
        async fn codec(&self) -> String;
    }
}

use binary::{Fast, FastClient, FastMock, FastObject};

fn agent(running: &RunningLibrary) -> Agent {
    Agent::connect(Endpoint {
        library: "core".to_owned(),
        path: running.socket().to_owned(),
        herd: running.herd().to_owned(),
        identity: Identity::tool(),
    })
}

fn start(object: impl herder_rpc::server::IntoObject) -> RunningLibrary {
    RunningLibrary::start(Library::new("core").object(object)).unwrap()
}

fn entry(revision: u64) -> Entry {
    Entry {
        value: "v".to_owned(),
        revision,
        tags: vec!["a".to_owned()],
        ttl_ms: Some(5),
    }
}

#[tokio::test]
async fn calls_have_their_types() {
    let running = start(KvObject::new(Store::new()));
    let kv: KvClient = agent(&running).object().await.unwrap();
    assert_eq!(kv.get("a").await.unwrap(), None);
    assert_eq!(kv.put("a", entry(1)).key("k").await.unwrap(), 1);
    assert_eq!(
        kv.get("a").deadline(Duration::from_secs(1)).await.unwrap(),
        Some(entry(1))
    );
    assert_eq!(kv.len().await.unwrap(), 1);
    let conflict = KvError::Conflict {
        key: "a".to_owned(),
        revision: 1,
    };
    assert_eq!(
        kv.put("a", entry(7)).await.unwrap_err(),
        RpcError::App(conflict)
    );
    assert_eq!(
        kv.put("_a", entry(1)).await.unwrap_err(),
        RpcError::App(KvError::ReadOnly)
    );
    let error = kv.fail("please").await.unwrap_err();
    assert_eq!(
        (error.code.as_deref(), error.message.as_str()),
        (Some("asked"), "please")
    );
    let late = kv
        .slow()
        .deadline(Duration::from_millis(30))
        .await
        .unwrap_err();
    assert_eq!(
        (late.kind, late.executed),
        (ErrorKind::Deadline, Executed::Maybe)
    );
    assert_eq!(late.target, "kv.slow");
}

#[tokio::test]
async fn the_same_object_is_called_by_name() {
    let running = start(KvObject::new(Store::new()));
    let agent = agent(&running);
    let entry = json!({"value": "v", "revision": 1, "tags": [], "ttl_ms": null});
    assert_eq!(
        agent.call("kv", "put", json!(["a", entry])).await.unwrap(),
        1
    );
    assert_eq!(agent.call("kv", "get", json!(["a"])).await.unwrap(), entry);
    let error = agent
        .call("kv", "put", json!(["_a", entry]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_deref(), error.data.clone()),
        (Some("ReadOnly"), Some(json!("ReadOnly")))
    );
    let error = agent
        .call("kv", "put", json!(["a", {"value": 3}]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::BadArguments, Executed::No)
    );
}

#[tokio::test]
async fn the_signature_says_what_the_trait_says() {
    let signature = KvClient::signature();
    assert_eq!(signature.doc, "Values by name.");
    let names: Vec<_> = signature.methods.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "count", "fail", "feed", "get", "len", "put", "slow", "touch", "watch"
        ]
    );
    let get = &signature.methods["get"];
    assert_eq!(
        (get.doc.as_str(), get.idempotent),
        ("The entry of a key.", true)
    );
    assert_eq!((get.kind, get.deadline_ms), (MethodKind::Call, Some(2_000)));
    assert_eq!(
        (get.args[0].name.as_str(), &get.args[0].schema["type"]),
        ("key", &json!("string"))
    );
    let put = &signature.methods["put"];
    assert_eq!(put.args.len(), 2, "`cx` is no argument");
    assert!(
        put.errors
            .as_ref()
            .unwrap()
            .to_string()
            .contains("Conflict")
    );
    assert_eq!(signature.methods["touch"].kind, MethodKind::Notify);
    assert_eq!(signature.methods["watch"].kind, MethodKind::State);
    assert_eq!(signature.methods["count"].kind, MethodKind::Events);
    assert_eq!(
        signature.methods["count"].returns.as_ref().unwrap()["type"],
        "integer"
    );
    assert!(signature.layout.is_empty(), "JSON needs no layout");
    let running = start(KvObject::new(Store::new()));
    let offered = agent(&running).signature().await.unwrap();
    assert_eq!(offered.objects["kv"].hash, signature.hash);
}

#[tokio::test]
async fn one_way_calls_and_events_arrive() {
    let running = start(KvObject::new(Store::new()));
    let kv: KvClient = agent(&running).object().await.unwrap();
    let mut feed = kv.feed();
    feed.opened().await.unwrap();
    kv.touch("a").await.unwrap();
    let item = feed.next().await.unwrap().unwrap();
    assert_eq!(
        item,
        StreamItem::Item {
            seq: 1,
            value: "touched".to_owned()
        }
    );
}

#[tokio::test]
async fn streams_end_and_are_as_wide_as_their_credit() {
    let running = start(KvObject::new(Store::new()));
    let kv: KvClient = agent(&running).object().await.unwrap();
    let mut count = kv.count_with(&StreamOptions::default().credits(3), 10, 1_010);
    for expected in 10..1_010 {
        let item = count.next().await.unwrap().unwrap();
        assert_eq!(item.into_value(), Some(expected));
    }
    assert!(count.next().await.is_none());
}

#[tokio::test]
async fn state_is_a_snapshot_then_changes_and_again_after_a_crash() {
    let mut running = start(KvObject::new(Store::new()));
    let kv: KvClient = agent(&running).object().await.unwrap();
    kv.put("a/1", entry(1)).await.unwrap();
    kv.put("b/1", entry(1)).await.unwrap();
    let mut watch = kv.watch("a/");
    let change = |key: &str, value| Change {
        key: key.to_owned(),
        value,
    };
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(
        first,
        StreamItem::Snapshot {
            value: change("a/1", Some(1))
        }
    );
    assert_eq!(
        watch.next().await.unwrap().unwrap(),
        StreamItem::SnapshotEnd
    );
    kv.put("a/2", entry(1)).await.unwrap();
    let item = watch.next().await.unwrap().unwrap();
    assert_eq!(item.into_value(), Some(change("a/2", Some(1))));
    let next = Library::new("core").object(KvObject::new(Store::new()));
    running.replace(next, 2).await.unwrap();
    let gap = watch.next().await.unwrap().unwrap();
    assert!(
        matches!(&gap, StreamItem::Gap { reason, .. } if reason.contains("again")),
        "{gap:?}"
    );
    assert_eq!(
        watch.next().await.unwrap().unwrap(),
        StreamItem::SnapshotEnd,
        "it is empty now"
    );
    kv.put("a/9", entry(1)).await.unwrap();
    let item = watch.next().await.unwrap().unwrap();
    assert_eq!(item.into_value(), Some(change("a/9", Some(1))));
}

#[tokio::test]
async fn a_stream_that_the_method_refuses_has_its_error() {
    let mut running = start(KvObject::new(Store::new()));
    let library = Library::new("core").object(KvObject::new(Store::new()));
    running.replace(library, 9).await.unwrap();
    let kv: KvClient = agent(&running).object().await.unwrap();
    let error = kv.feed().opened().await.unwrap_err();
    assert_eq!(
        RpcError::<KvError>::from(error),
        RpcError::App(KvError::ReadOnly)
    );
}

#[tokio::test]
async fn an_object_is_told_that_its_caller_is_gone() {
    let store = Arc::new(Store::new());
    let running = start(KvObject::shared(Arc::clone(&store)));
    let kv: KvClient = agent(&running).object().await.unwrap();
    kv.len().await.unwrap();
    drop(kv);
    let told = async {
        while store.down.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .unwrap();
}

#[tokio::test]
async fn processes_of_one_executable_speak_postcard() {
    struct Held(Mutex<BTreeMap<String, Entry>>);
    impl Fast for Held {
        async fn get(&self, key: String) -> Option<Entry> {
            self.0.lock().unwrap().get(&key).cloned()
        }

        async fn put(&self, key: String, entry: Entry) -> Result<u64, KvError> {
            match entry.revision {
                0 => Err(KvError::Conflict { key, revision: 0 }),
                revision => {
                    self.0.lock().unwrap().insert(key, entry);
                    Ok(revision)
                }
            }
        }

        async fn codec(&self) -> String {
            "either".to_owned()
        }
    }
    let layout = &FastClient::signature().layout;
    assert!(!layout.is_empty(), "both sides run this executable");
    let running = start(FastObject::new(Held(Mutex::default())));
    let fast: FastClient = agent(&running).object().await.unwrap();
    assert_eq!(fast.put("a", entry(4)).await.unwrap(), 4);
    assert_eq!(fast.get("a").await.unwrap(), Some(entry(4)));
    assert_eq!(fast.codec().await.unwrap(), "either");
    let conflict = KvError::Conflict {
        key: "a".to_owned(),
        revision: 0,
    };
    assert_eq!(
        fast.put("a", entry(0)).await.unwrap_err(),
        RpcError::App(conflict)
    );
    // Whoever was not compiled with the types speaks JSON to the same object.
    let by_name = agent(&running)
        .call("kv", "get", json!(["a"]))
        .await
        .unwrap();
    assert_eq!(by_name["revision"], 4);
}

#[tokio::test]
async fn a_mock_answers_with_closures() {
    let mock = FastMock::new()
        .on_get(|key| async move { (key == "a").then(|| entry(3)) })
        .on_put(|key, _entry| async move { Err(KvError::Conflict { key, revision: 1 }) });
    assert_eq!(mock.get("a".to_owned()).await, Some(entry(3)));
    let running = start(FastObject::new(mock));
    let fast: FastClient = agent(&running).object().await.unwrap();
    assert_eq!(fast.get("b").await.unwrap(), None);
    fast.put("a", entry(1)).await.unwrap_err();
    let error = fast.codec().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Panicked);
    assert!(
        error.message.contains("FastMock::codec was called"),
        "{error}"
    );
    let mock = KvMock::new()
        .on_count(|from, to| stream::iter(from..to))
        .on_touch(|_key| {})
        .on_feed(|| async { Ok(Feed::from_stream(stream::iter(["x".to_owned()]))) });
    let running = start(KvObject::new(mock));
    let kv: KvClient = agent(&running).object().await.unwrap();
    let mut count = kv.count(1, 2);
    assert_eq!(count.next().await.unwrap().unwrap().into_value(), Some(1));
    assert!(count.next().await.is_none());
    let mut feed = kv.feed();
    assert_eq!(
        feed.next().await.unwrap().unwrap().into_value(),
        Some("x".to_owned())
    );
}
