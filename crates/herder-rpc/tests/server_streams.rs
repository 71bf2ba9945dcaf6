//! Streams, as a caller sees them that speaks in frames.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail as tests do"
)]

use std::time::Duration;

use herder_rpc::server::{Change, EventSource, Feed, Library, Sink, SlowReader, StateSource};
use herder_rpc::testing::{RawCaller, RunningLibrary, Script};
use herder_rpc::{BoxFuture, CallError, ErrorKind, MethodKind};
use herder_wire::rpc::{Frame, ItemKind, Position};
use tokio::sync::mpsc;

type Served = BoxFuture<'static, Result<(), CallError>>;

const START: Position = Position { epoch: 0, seq: 0 };

fn serve(
    kind: MethodKind,
    feed: impl Fn(Sink) -> Served + Send + Sync + 'static,
) -> RunningLibrary {
    let script = Script::new().stream("watch", kind, move |_cx, _args, sink| feed(sink));
    RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap()
}

fn events(source: &EventSource<u32>) -> RunningLibrary {
    let source = source.clone();
    serve(MethodKind::Events, move |sink| source.feed().run(sink))
}

fn state(source: &StateSource<String, u32>) -> RunningLibrary {
    let source = source.clone();
    serve(MethodKind::State, move |sink| source.feed().run(sink))
}

async fn opened(caller: &mut RawCaller) -> Position {
    match caller.receive().await.unwrap() {
        Frame::Opened { position, .. } => position,
        frame => panic!("{frame:?}"),
    }
}

async fn item(caller: &mut RawCaller) -> (u64, ItemKind, String) {
    match caller.receive().await.unwrap() {
        Frame::Item {
            seq, kind, value, ..
        } => (seq, kind, String::from_utf8(value.to_vec()).unwrap()),
        frame => panic!("{frame:?}"),
    }
}

async fn change(caller: &mut RawCaller) -> (u64, ItemKind, Option<(String, Option<u32>)>) {
    let (seq, kind, value) = item(caller).await;
    let change = serde_json::from_str::<Change<String, u32>>(&value).ok();
    (seq, kind, change.map(|change| (change.key, change.value)))
}

/// Nothing more has been sent when the answer to a ping is next.
async fn nothing_more(caller: &mut RawCaller) {
    caller.send(&Frame::Ping { id: 4711 }).await.unwrap();
    let frame = caller.receive().await.unwrap();
    assert!(matches!(frame, Frame::Pong { id: 4711, .. }), "{frame:?}");
}

#[tokio::test]
async fn no_item_is_sent_without_credit() {
    let library = serve(MethodKind::Events, |mut sink| {
        Box::pin(async move {
            for number in 1..=5 {
                sink.send(&number).await?;
            }
            Ok(())
        })
    });
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 2, START).await.unwrap();
    assert_eq!(opened(&mut caller).await, Position { epoch: 1, seq: 0 });
    assert_eq!(item(&mut caller).await, (1, ItemKind::Item, "1".to_owned()));
    assert_eq!(item(&mut caller).await, (2, ItemKind::Item, "2".to_owned()));
    nothing_more(&mut caller).await;
    caller
        .send(&Frame::Credit { id: 1, items: 10 })
        .await
        .unwrap();
    for number in 3..=5 {
        assert_eq!(
            item(&mut caller).await,
            (number, ItemKind::Item, number.to_string())
        );
    }
    assert!(matches!(
        caller.receive().await.unwrap(),
        Frame::End { id: 1 }
    ));
}

#[tokio::test]
async fn a_stream_that_fails_or_panics_or_does_not_open_says_so() {
    let script = Script::new()
        .stream("fail", MethodKind::Events, async |_cx, _args, mut sink| {
            sink.send(&1).await?;
            Err(CallError::app("gone", "the source is gone"))
        })
        .stream("hang", MethodKind::Events, async |_cx, _args, _sink| {
            std::future::pending().await
        })
        .stream("panic", MethodKind::Events, async |_cx, _args, _sink| {
            panic!("no")
        });
    let library = RunningLibrary::start(Library::new("core").dynamic("object", script)).unwrap();
    let mut caller = library.caller().await.unwrap();
    let failure = async |caller: &mut RawCaller| match caller.receive().await.unwrap() {
        Frame::Error { id, error } => (id, CallError::from_json(&error).kind),
        frame => panic!("{frame:?}"),
    };
    caller.subscribe(1, 0, 9, START).await.unwrap();
    opened(&mut caller).await;
    item(&mut caller).await;
    assert_eq!(failure(&mut caller).await, (1, ErrorKind::App));
    caller.subscribe(2, 2, 9, START).await.unwrap();
    assert_eq!(failure(&mut caller).await, (2, ErrorKind::Panicked));
    let mut frame = bytes::BytesMut::new();
    let target = herder_wire::rpc::Target {
        object: 0,
        method: 1,
    };
    let (codec, args) = (herder_rpc::Codec::Json, bytes::Bytes::new());
    let hang = Frame::Subscribe {
        id: 3,
        target,
        deadline_ms: 20,
        credits: 1,
        resume: START,
        codec,
        args,
    };
    hang.encode(1024, &mut frame).unwrap();
    caller.send_bytes(&frame).await.unwrap();
    assert_eq!(failure(&mut caller).await, (3, ErrorKind::Deadline));
    caller.call(4, 0, "[]").await.unwrap();
    assert_eq!(failure(&mut caller).await, (4, ErrorKind::NoMethod));
}

#[tokio::test]
async fn a_thousand_subscriptions_that_end_leave_nothing() {
    let source = EventSource::new(16, SlowReader::DropOldest);
    let library = events(&source);
    let mut caller = library.caller().await.unwrap();
    for id in 1..=1000 {
        caller.subscribe(id, 0, 4, START).await.unwrap();
        opened(&mut caller).await;
        source.publish(7).await;
        assert_eq!(item(&mut caller).await.0, id);
        caller.send(&Frame::Cancel { id }).await.unwrap();
    }
    until(|| source.subscribers() == 0).await;
    nothing_more(&mut caller).await;
}

#[tokio::test]
async fn a_subscriber_that_comes_back_misses_nothing_that_is_kept() {
    let source = EventSource::new(4, SlowReader::DropOldest);
    let library = events(&source);
    for number in 1..=10 {
        source.publish(number).await;
    }
    let mut caller = library.caller().await.unwrap();
    // New: from now on.
    caller.subscribe(1, 0, 9, START).await.unwrap();
    assert_eq!(opened(&mut caller).await.seq, 10);
    caller.send(&Frame::Cancel { id: 1 }).await.unwrap();
    // Away for a moment: nothing is missing.
    caller
        .subscribe(2, 0, 9, Position { epoch: 1, seq: 8 })
        .await
        .unwrap();
    assert_eq!(opened(&mut caller).await.seq, 8);
    assert_eq!(item(&mut caller).await.2, "9");
    assert_eq!(item(&mut caller).await.2, "10");
    caller.send(&Frame::Cancel { id: 2 }).await.unwrap();
    // Away too long: a gap with its length.
    caller
        .subscribe(3, 0, 9, Position { epoch: 1, seq: 2 })
        .await
        .unwrap();
    assert_eq!(opened(&mut caller).await.seq, 6);
    let (_, kind, gap) = item(&mut caller).await;
    assert_eq!(kind, ItemKind::Gap);
    assert!(gap.contains("\"missed\":4"), "{gap}");
    assert_eq!(item(&mut caller).await, (7, ItemKind::Item, "7".to_owned()));
    caller.send(&Frame::Cancel { id: 3 }).await.unwrap();
    for _ in 8..=10 {
        item(&mut caller).await;
    }
    // Of an earlier incarnation: nobody knows what is missing.
    caller
        .subscribe(4, 0, 9, Position { epoch: 77, seq: 9 })
        .await
        .unwrap();
    assert_eq!(opened(&mut caller).await.seq, 6);
    assert_eq!(item(&mut caller).await.1, ItemKind::Gap);
    assert_eq!(item(&mut caller).await.0, 7);
}

#[tokio::test]
async fn a_slow_subscriber_is_told_what_it_missed() {
    let source = EventSource::new(8, SlowReader::DropOldest);
    let library = events(&source);
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 1, START).await.unwrap();
    opened(&mut caller).await;
    for number in 1..=100_000 {
        source.publish(number).await;
    }
    caller
        .send(&Frame::Credit { id: 1, items: 20 })
        .await
        .unwrap();
    let (mut last, mut missed) = (0, 0);
    while last < 100_000 {
        let (seq, kind, value) = item(&mut caller).await;
        match kind {
            ItemKind::Item => assert_eq!((seq, value), (last + 1, seq.to_string())),
            ItemKind::Gap => missed += seq - last,
            ItemKind::Snapshot | ItemKind::SnapshotEnd => panic!("an event is no state"),
        }
        last = seq;
    }
    assert!(missed >= 99_000, "{missed}");
}

#[tokio::test]
async fn a_slow_subscriber_is_cut_when_the_source_says_so() {
    let source = EventSource::new(8, SlowReader::Disconnect);
    let library = events(&source);
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 1, START).await.unwrap();
    opened(&mut caller).await;
    for number in 1..=100 {
        source.publish(number).await;
    }
    loop {
        match caller.receive().await.unwrap() {
            Frame::Item { seq, .. } => assert!(seq <= 2),
            Frame::Error { error, .. } => {
                assert_eq!(CallError::from_json(&error).kind, ErrorKind::Overloaded);
                break;
            }
            frame => panic!("{frame:?}"),
        }
    }
}

#[tokio::test]
async fn publishing_waits_for_a_slow_subscriber_when_the_source_says_so() {
    let source = EventSource::new(8, SlowReader::Block);
    let library = events(&source);
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 2, START).await.unwrap();
    opened(&mut caller).await;
    let (published, mut seen) = mpsc::unbounded_channel();
    let publisher = source.clone();
    tokio::spawn(async move {
        for number in 1..=100 {
            publisher.publish(number).await;
            published.send(number).unwrap();
        }
    });
    item(&mut caller).await;
    item(&mut caller).await;
    until(|| source.last() == 10).await;
    nothing_more(&mut caller).await;
    assert_eq!(source.last(), 10, "two were taken, eight are kept");
    caller
        .send(&Frame::Credit { id: 1, items: 1000 })
        .await
        .unwrap();
    for number in 3..=100 {
        assert_eq!(item(&mut caller).await.0, number);
    }
    while seen.recv().await.unwrap() != 100 {}
    // A subscriber that leaves is waited for no longer.
    caller.send(&Frame::Cancel { id: 1 }).await.unwrap();
    until(|| source.subscribers() == 0).await;
    for number in 101..=200 {
        source.publish(number).await;
    }
}

#[tokio::test]
async fn state_is_a_snapshot_and_then_what_changes() {
    let source = StateSource::new();
    let library = state(&source);
    source.set("a".to_owned(), 1);
    source.set("b".to_owned(), 2);
    source.set("a".to_owned(), 3);
    source.set("c".to_owned(), 4);
    assert!(source.remove(&"c".to_owned()));
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 100, START).await.unwrap();
    assert_eq!(opened(&mut caller).await.seq, 0);
    let at = |key: &str, value| Some((key.to_owned(), value));
    assert_eq!(
        change(&mut caller).await,
        (0, ItemKind::Snapshot, at("b", Some(2)))
    );
    assert_eq!(
        change(&mut caller).await,
        (0, ItemKind::Snapshot, at("a", Some(3)))
    );
    assert_eq!(change(&mut caller).await, (5, ItemKind::SnapshotEnd, None));
    source.set("d".to_owned(), 6);
    assert_eq!(
        change(&mut caller).await,
        (6, ItemKind::Item, at("d", Some(6)))
    );
    source.remove(&"a".to_owned());
    assert_eq!(
        change(&mut caller).await,
        (7, ItemKind::Item, at("a", None))
    );
    // Back after a moment: only what changed.
    caller
        .subscribe(2, 0, 100, Position { epoch: 1, seq: 6 })
        .await
        .unwrap();
    assert_eq!(opened(&mut caller).await.seq, 6);
    assert_eq!(
        change(&mut caller).await,
        (7, ItemKind::Item, at("a", None))
    );
    // Back after the library was started anew: a whole snapshot.
    caller
        .subscribe(3, 0, 100, Position { epoch: 99, seq: 6 })
        .await
        .unwrap();
    assert_eq!(opened(&mut caller).await.seq, 0);
    assert_eq!(change(&mut caller).await.1, ItemKind::Snapshot);
}

#[tokio::test]
async fn a_slow_reader_of_state_gets_the_newest_value_of_each_key() {
    let source = StateSource::new();
    let library = state(&source);
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 0, START).await.unwrap();
    opened(&mut caller).await;
    for number in 1..=10_000 {
        source.set(format!("key {}", number % 3), number);
    }
    caller
        .send(&Frame::Credit { id: 1, items: 100 })
        .await
        .unwrap();
    assert_eq!(change(&mut caller).await.1, ItemKind::SnapshotEnd);
    let mut newest = Vec::new();
    for _ in 0..3 {
        newest.push(change(&mut caller).await.2.unwrap().1.unwrap());
    }
    assert_eq!(newest, [9998, 9999, 10_000]);
    nothing_more(&mut caller).await;
}

#[tokio::test]
async fn a_reader_of_state_that_missed_removals_begins_anew() {
    let source = StateSource::new();
    let library = state(&source);
    source.set("kept".to_owned(), 1);
    let mut caller = library.caller().await.unwrap();
    caller.subscribe(1, 0, 1, START).await.unwrap();
    opened(&mut caller).await;
    assert_eq!(change(&mut caller).await.1, ItemKind::Snapshot);
    for number in 0..3000 {
        source.set(format!("key {number}"), number);
        source.remove(&format!("key {number}"));
    }
    caller
        .send(&Frame::Credit {
            id: 1,
            items: 10_000,
        })
        .await
        .unwrap();
    assert_eq!(item(&mut caller).await.1, ItemKind::Gap);
    let kept = Some(("kept".to_owned(), Some(1)));
    assert_eq!(change(&mut caller).await, (0, ItemKind::Snapshot, kept));
    assert_eq!(
        change(&mut caller).await,
        (6001, ItemKind::SnapshotEnd, None)
    );
    nothing_more(&mut caller).await;
}

#[tokio::test]
async fn a_feed_of_any_stream_begins_anew_with_a_gap() {
    let library = serve(MethodKind::Events, |sink| {
        let mut numbers = 1..=2_u32;
        let stream = Numbers(Box::new(move || numbers.next()));
        Feed::from_stream(stream).run(sink)
    });
    let mut caller = library.caller().await.unwrap();
    caller
        .subscribe(1, 0, 10, Position { epoch: 1, seq: 1 })
        .await
        .unwrap();
    assert_eq!(opened(&mut caller).await.seq, 0);
    assert_eq!(item(&mut caller).await.1, ItemKind::Gap);
    assert_eq!(item(&mut caller).await.2, "1");
    assert_eq!(item(&mut caller).await.2, "2");
    assert!(matches!(
        caller.receive().await.unwrap(),
        Frame::End { id: 1 }
    ));
}

struct Numbers(Box<dyn FnMut() -> Option<u32> + Send>);

impl futures_core::Stream for Numbers {
    type Item = u32;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<u32>> {
        std::task::Poll::Ready((self.0)())
    }
}

async fn until(condition: impl Fn() -> bool) {
    let watching = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), watching)
        .await
        .unwrap();
}
