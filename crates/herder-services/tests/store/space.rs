//! A namespace in the store does what one in memory does.

use std::time::Duration;

use bytes::Bytes;
use herder_services::state::{
    Acquired, Admission, Condition, MAX_PAGE_BYTES, Put, Rate, Refusal, StateError,
};

use crate::server::Server;

const SECOND: Duration = Duration::from_secs(1);

fn put(value: &str) -> Put {
    Put {
        value: Bytes::copy_from_slice(value.as_bytes()),
        ttl: None,
        condition: Condition::Always,
    }
}

fn conflict(present: u64) -> StateError {
    StateError::Refused(Refusal::Conflict { present })
}

#[tokio::test]
async fn values_have_revisions_and_times() {
    let server = Server::start();
    let space = server.host("s").await.space;
    assert_eq!(space.get("a").await.unwrap(), None);
    let absent = Put {
        condition: Condition::Absent,
        ..put("1")
    };
    let first = space.put("a", absent.clone()).await.unwrap();
    assert_eq!(space.put("a", absent).await, Err(conflict(first)));
    let next = Put {
        condition: Condition::Revision(first),
        ..put("2")
    };
    let second = space.put("a", next.clone()).await.unwrap();
    assert!(second > first);
    assert_eq!(space.put("a", next).await, Err(conflict(second)));
    let found = space.get("a").await.unwrap().unwrap();
    assert_eq!(
        (found.value.as_ref(), found.revision, found.ttl),
        (&b"2"[..], second, None)
    );
    assert_eq!(
        space.delete("a", Condition::Revision(first)).await,
        Err(conflict(second))
    );
    assert!(space.delete("a", Condition::Always).await.unwrap());
    assert!(!space.delete("a", Condition::Always).await.unwrap());

    space
        .put(
            "t",
            Put {
                ttl: Some(SECOND / 20),
                ..put("1")
            },
        )
        .await
        .unwrap();
    assert!(space.get("t").await.unwrap().unwrap().ttl.unwrap() <= SECOND / 20);
    while space.get("t").await.unwrap().is_some() {
        tokio::time::sleep(SECOND / 100).await;
    }
    let error = space.put("", put("1")).await.unwrap_err();
    assert_eq!(error, StateError::Refused(Refusal::Key { length: 0 }));
}

#[tokio::test]
async fn numbers_are_whole_and_of_64_bits() {
    let server = Server::start();
    let space = server.host("s").await.space;
    assert_eq!(space.increment("n", 5, Some(60 * SECOND)).await, Ok(5));
    assert_eq!(space.increment("n", i64::MAX - 5, None).await, Ok(i64::MAX));
    let not_a_number = |answer| matches!(answer, Err(StateError::Refused(Refusal::NotANumber(_))));
    assert!(not_a_number(space.increment("n", 1, None).await));
    assert!(
        space.get("n").await.unwrap().unwrap().ttl.is_some(),
        "it kept its time"
    );
    space.put("t", put("text")).await.unwrap();
    assert!(not_a_number(space.increment("t", 1, None).await));
}

#[tokio::test]
async fn a_scan_is_in_order_and_in_pages() {
    let server = Server::start();
    let space = server.host("s").await.space;
    for key in ["b/3", "a", "b/1", "c", "b/2"] {
        space.put(key, put(key)).await.unwrap();
    }
    let first = space.scan("b/", None, 2).await.unwrap();
    let keys: Vec<_> = first.entries.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        (keys, first.next.as_deref()),
        (vec!["b/1", "b/2"], Some("b/2"))
    );
    let second = space.scan("b/", Some("b/2"), 2).await.unwrap();
    assert_eq!(
        (second.entries[0].0.as_str(), second.entries.len()),
        ("b/3", 1)
    );
    assert_eq!(second.next, None);
    assert_eq!(space.scan("", None, 100).await.unwrap().entries.len(), 5);
    assert_eq!(space.scan("zz", None, 100).await.unwrap().entries.len(), 0);
}

#[tokio::test]
async fn leases_and_rates_hold_over_hosts() {
    let server = Server::start();
    let (one, two) = (server.host("s").await.space, server.host("s").await.space);
    let ours = |token| Ok(Acquired::Ours { token });
    assert_eq!(one.acquire("l", "w1", 60 * SECOND).await, ours(1));
    assert_eq!(one.acquire("l", "w1", 60 * SECOND).await, ours(1));
    assert!(matches!(
        two.acquire("l", "w2", SECOND).await,
        Ok(Acquired::Held { .. })
    ));
    assert_eq!(
        two.release("l", 7).await,
        Err(StateError::Refused(Refusal::NotHeld { token: 7 }))
    );
    one.renew("l", 1, 60 * SECOND).await.unwrap();
    one.release("l", 1).await.unwrap();
    assert_eq!(two.acquire("l", "w2", SECOND).await, ours(2));

    let rate = Rate {
        count: 3,
        per: 600 * SECOND,
    };
    assert_eq!(
        one.limit("u", rate).await,
        Ok(Admission::Allowed { left: 2 })
    );
    assert!(matches!(
        two.limit("u", rate).await,
        Ok(Admission::Allowed { .. })
    ));
    assert!(matches!(
        two.limit("u", rate).await,
        Ok(Admission::Allowed { .. })
    ));
    assert!(matches!(
        one.limit("u", rate).await,
        Ok(Admission::Denied { .. })
    ));
}

#[tokio::test]
async fn a_time_that_the_store_cannot_count_is_very_long() {
    let server = Server::start();
    let space = server.host("s").await.space;
    let time = Duration::from_millis(u64::MAX);
    let ttl = Some(time);
    space.put("a", Put { ttl, ..put("1") }).await.unwrap();
    let found = space.get("a").await.unwrap().unwrap();
    assert!(found.ttl.unwrap() > 365 * 24 * 3600 * SECOND);
    assert_eq!(space.increment("n", 1, ttl).await, Ok(1));
    let ours = space.acquire("l", "w1", time).await.unwrap();
    assert_eq!(ours, Acquired::Ours { token: 1 });
    space.renew("l", 1, time).await.unwrap();
    let rate = Rate {
        count: 2,
        per: time,
    };
    let admitted = [
        space.limit("k", rate).await.unwrap(),
        space.limit("k", rate).await.unwrap(),
    ];
    let left = admitted.map(|admission| match admission {
        Admission::Allowed { left } => left,
        Admission::Denied { retry_after } => panic!("{retry_after:?}"),
    });
    assert_eq!(left, [1, 0]);
}

#[tokio::test]
async fn keys_that_expired_do_not_stay_in_the_index() {
    const KEYS: usize = 300;
    let server = Server::start();
    let space = server.host("s").await.space;
    let ttl = Some(SECOND / 1000);
    for number in 0..KEYS {
        let key = format!("session/{number}");
        space.put(&key, Put { ttl, ..put("1") }).await.unwrap();
    }
    for _ in 0..2 * KEYS {
        space.put("a", put("1")).await.unwrap();
        space.increment("n", 1, None).await.unwrap();
    }
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut count = redis::cmd("ZCARD");
    count.arg("test:state:s:index");
    let indexed: usize = count.query(&mut connection).unwrap();
    assert!(indexed < KEYS / 10, "{indexed} keys are in the index");
}

#[tokio::test]
async fn a_page_of_large_values_has_few() {
    let server = Server::start();
    let space = server.host("s").await.space;
    let value = "x".repeat(MAX_PAGE_BYTES / 2);
    for key in ["a", "b", "c", "d", "e"] {
        space.put(key, put(&value)).await.unwrap();
    }
    let (mut after, mut pages) = (None, Vec::new());
    loop {
        let page = space.scan("", after.as_deref(), 1000).await.unwrap();
        pages.push(page.entries.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [2, 2, 1]);
}
