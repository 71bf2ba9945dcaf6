//! The bus, without a process around it.

use std::sync::Arc;

use herder_services::bus::{
    Bus, BusError, Delivery, Json, Mailbox, Picked, Sender, Subscription, To,
};
use serde_json::json;

fn worker(slot: u32) -> Sender {
    Sender {
        part: "worker".to_owned(),
        slot,
        worker: u64::from(slot) + 1,
        pid: 1000 + slot,
    }
}

fn library() -> Sender {
    Sender {
        part: "library:core".to_owned(),
        slot: 0,
        worker: 1,
        pid: 500,
    }
}

fn bus() -> (Arc<Bus>, Vec<Subscription>) {
    let bus = Arc::new(Bus::new(7, 1));
    let mut members: Vec<_> = (0..3)
        .map(|slot| bus.subscribe(worker(slot), topics()))
        .collect();
    members.push(bus.subscribe(library(), topics()));
    (bus, members)
}

fn topics() -> Vec<String> {
    vec!["news".to_owned()]
}

fn send(bus: &Bus, to: &To, number: u64) -> Result<u32, BusError> {
    let delivery = bus.send(to, "news", Json(json!(number)), worker(0))?;
    Ok(delivery.receivers)
}

/// What is there, as numbers; those dropped as negative ones.
fn read(mailbox: &Mailbox) -> Vec<i64> {
    std::iter::from_fn(|| mailbox.try_pick())
        .map(|picked| match picked {
            Picked::Dropped(count) => -i64::try_from(count).expect("few"),
            Picked::Message(message) => message.payload.0.as_i64().expect("a number"),
        })
        .collect()
}

fn who_got_it(members: &[Subscription]) -> Vec<usize> {
    let got = |index: &usize| !read(members[*index].mailbox()).is_empty();
    (0..members.len()).filter(got).collect()
}

#[test]
fn a_message_goes_to_those_that_are_meant() {
    let (bus, members) = bus();
    let cases = [
        (To::All, vec![0, 1, 2, 3]),
        (To::Everywhere, vec![0, 1, 2, 3]),
        (To::Others, vec![1, 2, 3]),
        (To::Workers, vec![0, 1, 2]),
        (To::Slot(2), vec![2]),
        (To::Worker(2), vec![1]),
        (To::Pid(1001), vec![1]),
        (To::Library("core".to_owned()), vec![3]),
    ];
    for (to, expected) in cases {
        assert_eq!(
            send(&bus, &to, 1),
            Ok(u32::try_from(expected.len()).unwrap()),
            "{to:?}"
        );
        assert_eq!(who_got_it(&members), expected, "{to:?}");
    }
}

#[test]
fn chance_is_fair_and_leaves_the_sender_out() {
    let (bus, members) = bus();
    let mut counts = [0; 4];
    for _ in 0..1000 {
        assert_eq!(send(&bus, &To::Random, 1), Ok(1));
        counts[who_got_it(&members)[0]] += 1;
    }
    assert_eq!((counts[0], counts[3]), (0, 0), "the sender, and a library");
    assert!(counts[1] > 400 && counts[2] > 400, "{counts:?}");
    drop(members);
    let alone = bus.subscribe(worker(0), topics());
    assert_eq!(send(&bus, &To::Random, 1), Ok(1), "it is the only one");
    drop(alone);
}

#[test]
fn nobody_there_is_an_error() {
    let (bus, members) = bus();
    let topic = "news".to_owned();
    let nobody = Err(BusError::NoReceiver { topic });
    assert_eq!(send(&bus, &To::Slot(9), 1), nobody);
    assert_eq!(send(&bus, &To::Library("other".to_owned()), 1), nobody);
    let error = bus
        .send(&To::All, "sports", Json::default(), worker(0))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "nobody who listens to sports is there to get it"
    );
    drop(members);
    assert_eq!(send(&bus, &To::All, 1), nobody);
}

#[test]
fn who_reads_too_slowly_is_told_how_many_it_missed_and_where() {
    let (bus, members) = bus();
    for number in 0..1030 {
        let sent = send(&bus, &To::Slot(0), number);
        assert_eq!(sent.is_ok(), number < 1024, "{number}");
    }
    let mailbox = members[0].mailbox();
    assert!(matches!(mailbox.try_pick(), Some(Picked::Message(_))));
    send(&bus, &To::Slot(0), 2000).unwrap();
    let mut expected: Vec<i64> = (1..1024).collect();
    expected.extend([-6, 2000]);
    assert_eq!(read(mailbox), expected);
    assert_eq!(bus.dropped(), 6);
    // Large ones are bounded by their size.
    let large = Json(json!("x".repeat(1 << 20)));
    let sent = |_| {
        bus.send(&To::Slot(1), "news", large.clone(), worker(0))
            .is_ok()
    };
    assert_eq!((0..8).map(sent).filter(|sent| *sent).count(), 3);
}

#[test]
fn what_is_too_large_for_anybody_is_said() {
    let (bus, members) = bus();
    let huge = Json(json!("x".repeat(5 << 20)));
    let error = bus.send(&To::All, "news", huge, worker(0)).unwrap_err();
    assert!(matches!(error, BusError::TooLarge { size } if size > 5 << 20));
    assert!(error.to_string().contains("4194304"), "{error}");
    assert_eq!(who_got_it(&members), [0; 0]);
    assert_eq!(bus.dropped(), 0);
}

#[test]
fn the_order_of_a_sender_is_kept() {
    let (bus, members) = bus();
    for number in 0..500 {
        send(&bus, &To::All, number).unwrap();
    }
    for member in &members {
        assert_eq!(read(member.mailbox()), (0..500).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_request_is_answered_once() {
    let (bus, members) = bus();
    let asking = {
        let bus = Arc::clone(&bus);
        tokio::spawn(async move {
            bus.request(&To::Slot(1), "news", Json(json!(6)), worker(0))
                .await
        })
    };
    let Picked::Message(message) = members[1].mailbox().pick().await else {
        panic!("none was dropped");
    };
    let request = message.request.expect("an answer is wanted");
    bus.reply(request, Json(json!(42))).unwrap();
    assert_eq!(asking.await.unwrap(), Ok(Json(json!(42))));
    assert_eq!(
        bus.reply(request, Json::default()),
        Err(BusError::NoRequest { request })
    );
}

#[tokio::test]
async fn an_answer_to_a_request_of_another_life_answers_none() {
    let mut requests = Vec::new();
    for epoch in [1, 2] {
        let bus = Arc::new(Bus::new(7, epoch));
        let member = bus.subscribe(worker(0), topics());
        let asking = {
            let bus = Arc::clone(&bus);
            let ask = async move {
                bus.request(&To::Slot(0), "news", Json::default(), worker(1))
                    .await
            };
            tokio::spawn(ask)
        };
        let Picked::Message(message) = member.mailbox().pick().await else {
            panic!("none was dropped");
        };
        requests.push(message.request.expect("an answer is wanted"));
        if epoch == 2 {
            let late = bus.reply(requests[0], Json::default());
            assert_eq!(
                late,
                Err(BusError::NoRequest {
                    request: requests[0]
                })
            );
            bus.reply(requests[1], Json(json!(2))).unwrap();
            assert_eq!(asking.await.unwrap(), Ok(Json(json!(2))));
        }
    }
}

#[tokio::test]
async fn a_request_fails_when_who_got_it_dies() {
    let (bus, mut members) = bus();
    let asking = {
        let bus = Arc::clone(&bus);
        tokio::spawn(async move {
            bus.request(&To::Slot(2), "news", Json::default(), worker(0))
                .await
        })
    };
    let _received = members[2].mailbox().pick().await;
    members.remove(2);
    let topic = "news".to_owned();
    assert_eq!(asking.await.unwrap(), Err(BusError::NoAnswer { topic }));
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_behind() {
    let (bus, members) = bus();
    let asking = bus.request(&To::Slot(1), "news", Json::default(), worker(0));
    let answer = tokio::time::timeout(std::time::Duration::ZERO, asking).await;
    assert!(answer.is_err());
    let Picked::Message(message) = members[1].mailbox().pick().await else {
        panic!("none was dropped");
    };
    let request = message.request.unwrap();
    assert_eq!(
        bus.reply(request, Json::default()),
        Err(BusError::NoRequest { request })
    );
}

#[test]
fn values_travel_in_every_format() {
    let value = Json(json!({"a": [1, null, "x"]}));
    assert_eq!(
        serde_json::to_string(&value).unwrap(),
        r#"{"a":[1,null,"x"]}"#
    );
    let binary = postcard::to_stdvec(&value).unwrap();
    assert_eq!(postcard::from_bytes::<Json>(&binary).unwrap(), value);
    assert_eq!(Delivery::default().receivers, 0);
}
