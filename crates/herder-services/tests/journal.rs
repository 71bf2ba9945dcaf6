//! Namespaces that outlive the process that holds them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use herder_services::clock::Clock;
use herder_services::state::{
    Acquired, Condition, Durability, Journal, Local, Put, Refusal, StateError,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A directory of a test's own, gone with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory");
        Place(path)
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.0.join("state.redb")).expect("it opens")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it is ours");
    }
}

fn namespace(journal: &Journal, name: &str, durability: Durability) -> Local {
    Local::in_memory(1 << 20, Clock::new(), Box::new(|_| {}))
        .kept_in(journal, name, durability)
        .expect("it can be read")
}

fn put(value: &str) -> Put {
    Put {
        value: Bytes::copy_from_slice(value.as_bytes()),
        ttl: None,
        condition: Condition::Always,
    }
}

#[test]
fn nobody_else_reads_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    drop(place.journal());
    let found = std::fs::metadata(place.0.join("state.redb")).expect("it is there");
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    // One that was there keeps its mode, and nothing of it is lost.
    drop(place.journal());
}

#[tokio::test]
async fn another_life_finds_what_was_answered() {
    let place = Place::new();
    let before = namespace(&place.journal(), "s", Durability::Immediate);
    before.put("a", put("1")).await.unwrap();
    let revision = before.put("a", put("2")).await.unwrap();
    let ttl = Some(MINUTE);
    before.put("b", Put { ttl, ..put("3") }).await.unwrap();
    before.put("c", put("4")).await.unwrap();
    before.delete("c", Condition::Always).await.unwrap();
    before.acquire("l", "w1", MINUTE).await.unwrap();
    drop(before);

    let after = namespace(&place.journal(), "s", Durability::Immediate);
    let a = after.get("a").unwrap();
    assert_eq!((a.value.as_ref(), a.revision), (&b"2"[..], revision));
    let left = after.get("b").unwrap().ttl.unwrap();
    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    assert_eq!(after.get("c"), None);
    let held = after.acquire("l", "w2", MINUTE).await.unwrap();
    assert!(matches!(held, Acquired::Held { .. }), "{held:?}");
    // Neither revisions nor tokens are used twice: the deletion had one, too.
    assert!(after.put("d", put("5")).await.unwrap() > revision + 3);
    after.release("l", 1).await.unwrap();
    let next = after.acquire("l", "w2", MINUTE).await.unwrap();
    assert_eq!(next, Acquired::Ours { token: 2 });
}

#[tokio::test]
async fn what_expired_meanwhile_is_gone() {
    let place = Place::new();
    let before = namespace(&place.journal(), "s", Durability::Immediate);
    let ttl = Some(Duration::from_millis(1));
    before.put("a", Put { ttl, ..put("1") }).await.unwrap();
    drop(before);
    let journal = place.journal();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let after = namespace(&journal, "s", Durability::Immediate);
    assert_eq!(after.get("a"), None);
}

#[tokio::test]
async fn namespaces_of_one_file_do_not_mix() {
    let place = Place::new();
    let journal = place.journal();
    let one = namespace(&journal, "one", Durability::Immediate);
    let two = namespace(&journal, "two", Durability::Eventual);
    one.put("a", put("1")).await.unwrap();
    two.put("a", put("2")).await.unwrap();
    assert_eq!(one.get("a").unwrap().value, "1");
    drop((one, two, journal));
    let journal = place.journal();
    let two = namespace(&journal, "two", Durability::Eventual);
    assert_eq!(
        two.get("a").unwrap().value,
        "2",
        "written before the file was let go"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_are_kept_in_few_commits() {
    let place = Place::new();
    let space = Arc::new(namespace(&place.journal(), "s", Durability::Immediate));
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let space = Arc::clone(&space);
            tokio::spawn(async move {
                for round in 0..10 {
                    let key = format!("{writer}/{round}");
                    space.put(&key, put("x")).await.unwrap();
                    space.increment("sum", 1, None).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(space.get("sum").unwrap().value, "640");
}

#[tokio::test]
async fn a_file_is_opened_by_one_and_another_is_told() {
    let place = Place::new();
    let _held = place.journal();
    let error = Journal::open(&place.0.join("state.redb")).err().unwrap();
    assert!(error.to_string().contains("state.redb"), "{error}");
    std::fs::write(place.0.join("text"), "this is no database, but long enough").unwrap();
    let error = Journal::open(&place.0.join("text")).err().unwrap();
    assert!(error.to_string().contains("text: "), "{error}");
}

#[tokio::test]
async fn what_is_refused_is_not_kept() {
    let place = Place::new();
    let space = namespace(&place.journal(), "s", Durability::Immediate);
    let error = space.put("", put("1")).await.unwrap_err();
    assert_eq!(error, StateError::Refused(Refusal::Key { length: 0 }));
}

#[tokio::test]
async fn things_expire_by_themselves_and_are_told() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let observer = Box::new(move |change: &_| drop(told.send(format!("{change:?}"))));
    let space = Arc::new(Local::in_memory(1 << 20, Clock::new(), observer));
    let keeper = tokio::spawn({
        let space = Arc::clone(&space);
        async move { space.keep_time().await }
    });
    // The later one first, so that the keeper must be told that it waits for too long.
    space
        .put(
            "late",
            Put {
                ttl: Some(MINUTE),
                ..put("1")
            },
        )
        .await
        .unwrap();
    tokio::task::yield_now().await;
    let ttl = Some(Duration::from_millis(20));
    space.put("soon", Put { ttl, ..put("1") }).await.unwrap();
    let removed = tokio::time::timeout(MINUTE, async {
        loop {
            let change = heard.recv().await.unwrap();
            if change.starts_with("Removed") {
                break change;
            }
        }
    });
    assert!(removed.await.unwrap().contains("soon"));
    keeper.abort();
}
