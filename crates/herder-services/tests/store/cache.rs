//! What is read from the cache is what is in the store, give or take one message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_core::Tick;
use herder_services::redis::{Cache, News};
use herder_services::state::{Condition, Put, Versioned};

use crate::host::PATIENCE;
use crate::proxy::Proxy;
use crate::server::Server;

fn put(value: &str) -> Put {
    Put {
        value: Bytes::copy_from_slice(value.as_bytes()),
        ttl: None,
        condition: Condition::Always,
    }
}

fn at(seconds: u64) -> Tick {
    Tick::from_micros(seconds * 1_000_000)
}

fn versioned(value: &'static str) -> Option<Versioned> {
    Some(Versioned {
        value: Bytes::from_static(value.as_bytes()),
        revision: 1,
        ttl: None,
    })
}

#[test]
fn a_read_that_was_overtaken_is_not_kept() {
    let mut cache = Cache::new(10);
    let fill = cache.begin("a");
    cache.invalidate("a");
    cache.finish(fill, versioned("old"), at(0));
    assert_eq!(cache.get("a", at(0)), None);
    // One that began after it is, though the other was still under way.
    let (old, new) = (cache.begin("a"), {
        cache.invalidate("a");
        cache.begin("a")
    });
    cache.finish(new, versioned("new"), at(0));
    cache.finish(old, versioned("old"), at(0));
    assert_eq!(cache.get("a", at(0)), Some(versioned("new")));
    let fill = cache.begin("b");
    cache.flush();
    cache.finish(fill, versioned("old"), at(0));
    assert!(cache.is_empty());
}

#[test]
fn absence_is_known_too_and_nothing_is_kept_for_long() {
    let mut cache = Cache::new(10);
    let fill = cache.begin("a");
    cache.finish(fill, None, at(0));
    assert_eq!(cache.get("a", at(59)), Some(None));
    assert_eq!(cache.get("a", at(60)), None);
    let fill = cache.begin("b");
    let ttl = Some(Duration::from_secs(5));
    let value = versioned("1").map(|value| Versioned { ttl, ..value });
    cache.finish(fill, value, at(0));
    let left = cache.get("b", at(3)).flatten().and_then(|value| value.ttl);
    assert_eq!(left, Some(Duration::from_secs(2)));
    assert_eq!(cache.get("b", at(5)), None);
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let mut cache = Cache::new(10);
    for round in 0..1000 {
        let fill = cache.begin(&format!("{}", round % 37));
        cache.finish(fill, None, at(0));
        if round % 3 == 0 {
            cache.invalidate(&format!("{}", round % 37));
        }
        assert!(cache.len() <= 10);
    }
}

#[tokio::test]
async fn a_change_of_another_host_is_seen() {
    let server = Server::start();
    let (one, two) = (server.host("s").await, server.host("s").await);
    for round in 0..50 {
        let value = round.to_string();
        one.space.put("a", put(&value)).await.unwrap();
        let end = Instant::now() + PATIENCE;
        while two.space.get("a").await.unwrap().unwrap().value != value {
            assert!(Instant::now() < end, "an old value for ever");
            tokio::task::yield_now().await;
        }
    }
    assert!(
        two.news
            .lock()
            .unwrap()
            .iter()
            .any(|news| matches!(news, News::Invalidated(_)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_under_way_never_leaves_an_old_value() {
    let server = Server::start();
    let (one, two) = (server.host("s").await, server.host("s").await);
    let writer = {
        let space = Arc::clone(&one.space);
        tokio::spawn(async move {
            for round in 0..2000_u32 {
                space.put("a", put(&round.to_string())).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let _some = two.space.get("a").await.unwrap();
    }
    writer.await.unwrap();
    // The last invalidation is on its way; when it is here, nothing old may come back.
    let end = Instant::now() + PATIENCE;
    while two.space.get("a").await.unwrap().unwrap().value != "1999" {
        assert!(Instant::now() < end, "an old value for ever");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..100 {
        assert_eq!(two.space.get("a").await.unwrap().unwrap().value, "1999");
    }
}

/// The answer to a read and the news that it is old come in one piece: whoever reads hears of the
/// answer when the news has been heard.
#[tokio::test]
async fn an_answer_that_comes_with_its_invalidation_is_not_kept() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let (one, two) = (server.host("s").await, proxy.host_with(PATIENCE).await);
    let mut old = 0;
    for round in 0..20 {
        let key = format!("k{round}");
        one.space.put(&key, put("old")).await.unwrap();
        // The news of the first write are behind us.
        let _busy = two.space.get_fresh("other").await;
        proxy.hold(true);
        let reading = tokio::spawn({
            let (space, key) = (Arc::clone(&two.space), key.clone());
            async move { space.get_fresh(&key).await }
        });
        let answer = proxy.holds_more_than(0).await;
        one.space.put(&key, put("new")).await.unwrap();
        proxy.holds_more_than(answer).await;
        proxy.hold(false);
        // On a busy machine a connection may be given up that is kept back for too long.
        if let Ok(Some(read)) = reading.await.unwrap() {
            old += usize::from(read.value == "old");
        }
        let end = Instant::now() + PATIENCE;
        let value = loop {
            match two.space.get(&key).await {
                Ok(found) => break found.unwrap().value,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        };
        assert_eq!(value, "new", "round {round}");
    }
    assert!(old > 0, "no read was overtaken: this proves nothing");
}

#[tokio::test]
async fn who_writes_reads_what_it_wrote() {
    let server = Server::start();
    let host = server.host("s").await;
    for round in 0..200 {
        let value = round.to_string();
        host.space.put("a", put(&value)).await.unwrap();
        assert_eq!(host.space.get("a").await.unwrap().unwrap().value, value);
    }
}
