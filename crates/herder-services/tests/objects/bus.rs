//! The bus.

use std::time::Duration;

use herder_rpc::Part;
use herder_rpc::client::{StreamItem, Subscription};
use herder_services::bus::{Json, Message, To};
use herder_services::library::BusApiClient;
use serde_json::json;

use crate::herd::{Herd, soon};

fn news() -> String {
    "news".to_owned()
}

async fn listen(client: &BusApiClient) -> Subscription<Message> {
    let mut stream = client.subscribe(vec![news()]);
    soon(stream.opened()).await.expect("it opens");
    stream
}

async fn next(stream: &mut Subscription<Message>) -> Message {
    let next = soon(stream.next()).await.expect("it goes on");
    let value = next.expect("it is well").into_value();
    value.expect("nothing is missing")
}

#[tokio::test]
async fn messages_go_to_workers_and_libraries_and_say_who_sent_them() {
    let herd = Herd::new().await;
    let one: BusApiClient = herd.worker(0).client();
    let two: BusApiClient = herd.worker(1).client();
    let library: BusApiClient = herd.agent(Part::Library("core".to_owned()), 0).client();
    let mut streams = [
        listen(&one).await,
        listen(&two).await,
        listen(&library).await,
    ];
    let delivery = one
        .send(To::All, news(), Json(json!({"n": 1})))
        .await
        .unwrap();
    assert_eq!(delivery.receivers, 3);
    for stream in &mut streams {
        let message = next(stream).await;
        assert_eq!(
            (message.payload, message.from.slot),
            (Json(json!({"n": 1})), 0)
        );
    }
    let to = To::Library("core".to_owned());
    assert_eq!(
        two.send(to, news(), Json(json!(2)))
            .await
            .unwrap()
            .receivers,
        1
    );
    assert_eq!(next(&mut streams[2]).await.from.part, "worker");
    let error = one
        .send(To::Slot(9), news(), Json::default())
        .await
        .unwrap_err();
    assert_eq!(error.code.as_deref(), Some("no_receiver"));
}

#[tokio::test]
async fn a_request_is_answered_or_fails_when_nobody_is_left_to_do_so() {
    let herd = Herd::new().await;
    let one: BusApiClient = herd.worker(0).client();
    let agent = herd.worker(1);
    let two: BusApiClient = agent.client();
    let mut stream = listen(&two).await;
    let answering = tokio::spawn(async move {
        let message = next(&mut stream).await;
        two.reply(message.request.expect("wanted"), Json(json!("yes")))
            .await
            .unwrap();
        // The next one is received, and never answered.
        next(&mut stream).await;
    });
    let to = To::Slot(1);
    assert_eq!(
        one.request(to.clone(), news(), Json::default())
            .await
            .unwrap(),
        Json(json!("yes"))
    );
    let asked = one.request(to, news(), Json::default()).await;
    answering.await.unwrap();
    let error = asked.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("no_answer"));
    drop(agent);
}

#[tokio::test]
async fn who_reads_nothing_costs_no_more_than_its_queue() {
    let herd = Herd::new().await;
    let one: BusApiClient = herd.worker(0).client();
    let two: BusApiClient = herd.worker(1).client();
    let mut stream = listen(&two).await;
    let large = Json(json!("x".repeat(64 * 1024)));
    let mut full = 0;
    for _ in 0..600 {
        if one.send(To::Slot(1), news(), large.clone()).await.is_err() {
            full += 1;
        }
    }
    assert!(full > 50, "{full}");
    // Everything that was taken comes, and where something is missing, it is said.
    let mut missed = 0;
    for _ in 0..(600 - full + 1) {
        match soon(stream.next()).await.unwrap().unwrap() {
            StreamItem::Item { .. } => {}
            StreamItem::Gap { missed: count, .. } => missed += count.unwrap_or(0),
            other @ (StreamItem::Snapshot { .. } | StreamItem::SnapshotEnd) => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_micros(10)).await;
    }
    assert_eq!(missed, full);
}
