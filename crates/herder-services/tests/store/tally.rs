//! What is added while the store is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_services::redis::{News, Tally};
use herder_services::state::{Condition, Put};

use crate::host::{Host, PATIENCE};
use crate::hostile::works;
use crate::proxy::{Conduct, Proxy};
use crate::server::Server;

/// A tally that is merged, and what was lost of it.
fn tally(host: &Host) -> (Arc<Tally>, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let tally = Arc::new(Tally::new(Arc::clone(&host.space)));
    let (say, lost) = tokio::sync::mpsc::unbounded_channel();
    let merged = Arc::clone(&tally);
    tokio::spawn(async move {
        let lost = |key: &str| say.send(key.to_owned()).expect("it is heard");
        merged.merge(lost).await;
    });
    (tally, lost)
}

async fn becomes(host: &Host, key: &str, sum: i64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = host.space.get_fresh(key).await.ok().flatten();
        let text = found.map(|found| found.value);
        if text.as_deref() == Some(sum.to_string().as_bytes()) {
            return;
        }
        assert!(Instant::now() < end, "{key}: {text:?}, not {sum}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn r47_what_is_added_while_the_store_is_away_is_added_when_it_is_back() {
    let server = Server::start();
    let (one, two) = (server.hasty_host("s").await, server.host("s").await);
    let (tally, _lost) = tally(&one);
    tally.add("a", 5).unwrap();
    becomes(&two, "a", 5).await;
    one.forget_news();
    server.signal("STOP");
    one.until(|news| news.contains(&News::Down)).await;
    for number in 0..600 {
        tally.add("a", 1).unwrap();
        tally.add(&format!("b{number}"), number).unwrap();
    }
    tally.add("a", -100).unwrap();
    server.signal("CONT");
    // Sums of others and ours are added to one another.
    let end = Instant::now() + PATIENCE;
    while two.space.increment("a", 1000, None).await.is_err() {
        assert!(Instant::now() < end);
    }
    becomes(&two, "a", 1505).await;
    for number in [0, 255, 256, 599] {
        becomes(&two, &format!("b{number}"), number).await;
    }
    let page = two.space.scan("b", None, 1000).await.unwrap();
    assert_eq!(page.entries.len(), 600);
}

#[tokio::test]
async fn a_step_that_nobody_answers_is_added_once() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let (one, two) = (proxy.host().await, server.host("s").await);
    let (tally, _lost) = tally(&one);
    for round in 1..=5 {
        works(&one).await;
        one.forget_news();
        proxy.conduct.send_replace(Conduct::Deaf);
        tally.add("a", 1).unwrap();
        // It is carried out, and nobody here knows.
        becomes(&two, "a", round).await;
        one.until(|news| news.contains(&News::Down)).await;
        proxy.conduct.send_replace(Conduct::Pass);
    }
    tally.add("b", 1).unwrap();
    becomes(&two, "b", 1).await;
    becomes(&two, "a", 5).await;
}

#[tokio::test]
async fn what_is_no_number_is_told_and_the_others_are_added_to() {
    let server = Server::start();
    let host = server.host("s").await;
    let put = Put {
        value: Bytes::from_static(b"text"),
        ttl: None,
        condition: Condition::Always,
    };
    host.space.put("b", put).await.unwrap();
    let (tally, mut lost) = tally(&host);
    for key in ["a", "b", "c"] {
        tally.add(key, 1).unwrap();
    }
    assert_eq!(lost.recv().await.as_deref(), Some("b"));
    becomes(&host, "a", 1).await;
    becomes(&host, "c", 1).await;
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let mut server = Server::start();
    let host = server.host("s").await;
    server.kill();
    let tally = Tally::new(Arc::clone(&host.space));
    for number in 0..10_000 {
        tally.add(&number.to_string(), i64::MAX).unwrap();
    }
    let error = tally.add("one more", 1).unwrap_err();
    assert!(error.to_string().contains("wait for the store"), "{error}");
    // One that is there takes no more room; only its sum has an end.
    tally.add("1", -1).unwrap();
    tally.add("2", 1).unwrap_err();
    tally.add("", 1).unwrap_err();
}
