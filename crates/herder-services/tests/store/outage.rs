//! The store goes away, and comes back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_services::redis::{Link, LinkError, News, Settings};
use herder_services::state::{Condition, Put, StateError};

use crate::server::Server;

const QUARTER: Duration = Duration::from_millis(250);

fn put() -> Put {
    Put {
        value: Bytes::from_static(b"1"),
        ttl: None,
        condition: Condition::Always,
    }
}

#[tokio::test]
async fn r47_without_a_store_a_call_fails_at_once_and_says_that_it_was_not_sent() {
    let mut server = Server::start();
    let host = server.host("s").await;
    host.space.put("a", put()).await.unwrap();
    assert!(host.space.get("a").await.unwrap().is_some());
    server.kill();
    host.until(|news| news.contains(&News::Down)).await;
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        let begin = Instant::now();
        let error = host.space.put("a", put()).await.unwrap_err();
        assert!(matches!(error, StateError::NotSent(_)), "{error}");
        quickest = quickest.min(begin.elapsed());
    }
    // On a busy machine one or the other may take longer.
    assert!(quickest < QUARTER, "{quickest:?}");
    // Nor is anything answered from the cache: nobody would tell of changes.
    host.space.get("a").await.unwrap_err();
}

#[tokio::test]
async fn r47_a_store_that_hangs_is_given_up_and_found_again() {
    let server = Server::start();
    let host = server.hasty_host("s").await;
    host.forget_news();
    server.signal("STOP");
    let (mut not_sent, mut quickest) = (0, Duration::MAX);
    for _ in 0..10 {
        let begin = Instant::now();
        match host.space.put("a", put()).await.unwrap_err() {
            StateError::NotSent(_) => not_sent += 1,
            StateError::Unavailable(_) => {}
            other @ (StateError::NotDone(_) | StateError::NotKept(_) | StateError::Refused(_)) => {
                panic!("{other}")
            }
        }
        quickest = quickest.min(begin.elapsed());
    }
    // On a busy machine one or the other may take longer.
    assert!(quickest < QUARTER, "{quickest:?}");
    assert!(
        not_sent > 0,
        "after five answers that did not come nobody waits any more"
    );
    server.signal("CONT");
    host.until(|news| news.contains(&News::Up)).await;
    while host.space.put("a", put()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn r48_after_a_restart_of_the_store_old_leases_are_worth_nothing() {
    let mut server = Server::start();
    let host = server.host("s").await;
    host.space
        .acquire("l", "w1", Duration::from_secs(60))
        .await
        .unwrap();
    host.forget_news();
    server.kill();
    server.start_again();
    host.until(|news| news.contains(&News::Up)).await;
    let error = host.space.renew("l", 1, QUARTER).await.unwrap_err();
    assert!(error.to_string().contains("not held"), "{error}");
}

#[tokio::test]
async fn messages_come_to_all_hosts_and_to_the_sender() {
    let server = Server::start();
    let (one, two) = (server.host("s").await, server.host("s").await);
    assert_eq!(one.link.publish("test:bus", b"hello").await, Ok(2));
    let message = News::Message {
        channel: "test:bus".to_owned(),
        payload: b"hello".to_vec(),
    };
    for host in [&one, &two] {
        host.until(|news| news.contains(&message)).await;
    }
}

#[tokio::test]
async fn what_is_no_address_is_said() {
    let settings = Settings {
        url: "postgres://x:secret@y".to_owned(),
        tracked: vec![],
        channels: vec![],
        patience: Settings::PATIENCE,
    };
    let Err(error) = Link::open(settings, |_| {}) else {
        panic!("it is one");
    };
    assert!(matches!(error, LinkError::Address(..)));
    let text = error.to_string();
    assert!(
        text.contains("redis://") && !text.contains("secret"),
        "{text}"
    );
}

#[tokio::test]
async fn why_there_is_no_connection_is_said() {
    let settings = Settings {
        url: "redis+unix:///no/such/socket".to_owned(),
        tracked: vec![],
        channels: vec![],
        patience: Settings::PATIENCE,
    };
    let link = Link::open(settings, |_| {}).unwrap();
    loop {
        let text = link.publish("c", b"").await.unwrap_err().to_string();
        if text.contains("No such file") {
            assert!(text.starts_with("there is no connection to redis+unix:///no/such/socket: "));
            return;
        }
        assert!(text.ends_with("it is being made"), "{text}");
    }
}
