//! Two machines with one store.

use std::time::{Duration, Instant};

use herder_rpc::client::StreamItem;
use herder_rpc::{Blob, ErrorKind};
use herder_services::bus::{Json, To};
use herder_services::library::{
    Backend, BusApiClient, NamespaceSettings, SetOptions, Settings, StateApiClient, StoreSettings,
};
use serde_json::json;

use crate::herd::{Herd, soon};
use crate::server::Server;

async fn machine(server: &Server, name: &str) -> Herd {
    let settings = Settings {
        state: vec![NamespaceSettings::new("s", Backend::Store)],
        store: Some(StoreSettings::new(server.url(), "app")),
        ..Settings::default()
    };
    let herd = Herd::with(settings, name).await;
    // Until it is connected.
    let state: StateApiClient = herd.worker(0).client();
    soon(async {
        while state
            .get_fresh("s".to_owned(), "-".to_owned())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    herd
}

#[tokio::test]
async fn state_is_shared_and_watched() {
    let server = Server::start();
    let (one, two) = (machine(&server, "one").await, machine(&server, "two").await);
    let (a, b): (StateApiClient, StateApiClient) = (one.worker(0).client(), two.worker(0).client());
    let (space, key) = ("s".to_owned(), "a".to_owned());
    let set = |text: &str| {
        a.set(
            space.clone(),
            key.clone(),
            Blob::from(text.as_bytes()),
            SetOptions::default(),
        )
    };
    let mut watch = b.watch(space.clone(), String::new());
    soon(watch.opened()).await.unwrap();
    // A busy machine may be late with an answer.
    while set("1").await.is_err() {}
    let change = loop {
        match soon(watch.next()).await.unwrap().unwrap() {
            StreamItem::Item { value, .. } | StreamItem::Snapshot { value } => break value,
            StreamItem::SnapshotEnd => {}
            StreamItem::Gap { reason, .. } => panic!("{reason}"),
        }
    };
    assert_eq!(
        (change.key.as_str(), change.value.unwrap().value),
        ("a", Blob::from(&b"1"[..]))
    );
    soon(async {
        while b
            .get(space.clone(), key.clone())
            .await
            .ok()
            .flatten()
            .is_none()
        {}
    })
    .await;
}

#[tokio::test]
async fn messages_for_everywhere_reach_the_other_machine() {
    let server = Server::start();
    let (one, two) = (machine(&server, "one").await, machine(&server, "two").await);
    let (a, b): (BusApiClient, BusApiClient) = (one.worker(0).client(), two.worker(0).client());
    let mut stream = b.subscribe(vec!["news".to_owned()]);
    soon(stream.opened()).await.unwrap();
    let delivery = soon(async {
        loop {
            if let Ok(delivery) = a
                .send(To::Everywhere, "news".to_owned(), Json(json!(7)))
                .await
            {
                break delivery;
            }
        }
    })
    .await;
    assert_eq!((delivery.receivers, delivery.machines), (0, 1));
    let message = soon(stream.next()).await.unwrap().unwrap().into_value();
    assert_eq!(message.map(|message| message.payload), Some(Json(json!(7))));
    // What is for this machine stays here.
    let error = a
        .send(To::All, "news".to_owned(), Json::default())
        .await
        .unwrap_err();
    assert_eq!(error.code.as_deref(), Some("no_receiver"));
}

#[tokio::test]
async fn r47_without_a_store_a_worker_is_told_so_within_a_quarter_of_a_second() {
    let mut server = Server::start();
    let herd = machine(&server, "one").await;
    server.child.kill().expect("it runs");
    let (space, key) = ("s".to_owned(), "a".to_owned());
    let mut quickest = Duration::MAX;
    for slot in 1..=5 {
        let agent = herd.worker(slot);
        agent.ready().await.unwrap();
        let state: StateApiClient = agent.client();
        let begin = Instant::now();
        let error = state.get_fresh(space.clone(), key.clone()).await;
        quickest = quickest.min(begin.elapsed());
        assert_eq!(error.unwrap_err().kind, ErrorKind::Unavailable);
    }
    // On a busy machine one or the other may take longer.
    assert!(quickest < Duration::from_millis(250), "{quickest:?}");
}
