//! Streams: they hold nobody up, and end when somebody goes.

use std::time::Duration;

use herder_api::control::{Action, DaemonEvent, Progress, StopDaemon, Verb};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::stage::{Stage, event, rest, status, until};
use crate::desk::Ask;

fn restart() -> Action {
    Action {
        verb: Verb::Restart,
        targets: vec!["web".to_owned()],
        environment: None,
        profile: None,
        settings: serde_json::Map::new(),
    }
}

/// Answers the next thing that is asked, which is an action, with this course.
async fn act(asks: &mut mpsc::Receiver<Ask>, room: usize) -> mpsc::Sender<Progress> {
    let (to, course) = mpsc::channel(room);
    let Some(Ask::Act(_, reply)) = asks.recv().await else {
        panic!("an action is asked for");
    };
    reply.send(Ok(course)).unwrap();
    to
}

fn note(text: String) -> Progress {
    Progress::Note {
        app: "web".to_owned(),
        text,
    }
}

#[tokio::test]
async fn progress_is_told_as_it_comes() {
    let (stage, mut asks) = Stage::empty(None);
    let client = stage.client.clone();
    let asking = tokio::spawn(async move { client.act(&restart()).await.unwrap() });
    let to = act(&mut asks, 1).await;
    let mut lines = asking.await.unwrap();
    for turn in 0..100 {
        let said = note(format!("turn {turn}"));
        to.send(said.clone()).await.unwrap();
        assert_eq!(lines.next().await, Some(Ok(said)));
    }
    drop(to);
    assert_eq!(lines.next().await, None);
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn an_operation_waits_for_no_client() {
    let (stage, mut asks) = Stage::empty(None);
    let body = serde_json::to_string(&restart()).unwrap();
    let mut stream = UnixStream::connect(&stage.socket).await.unwrap();
    let head = format!(
        "POST /v1/actions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let to = act(&mut asks, 1).await;
    // It reads nothing, and much more is said than anybody keeps. Whoever says it is never held up;
    // in the end nobody listens any more.
    let telling = async {
        let text = "x".repeat(1000);
        let mut told = 0;
        while to.send(note(text.clone())).await.is_ok() {
            told += 1;
        }
        told
    };
    let told = timeout(Duration::from_secs(30), telling).await.unwrap();
    assert!((4096..100_000).contains(&told), "{told}");
    // What was cut is no whole answer.
    let answer = rest(&mut stream).await;
    assert_eq!(status(&answer), 200);
    assert!(!answer.contains(r#""is":"end""#));
}

#[tokio::test]
async fn an_operation_goes_on_without_its_client() {
    let (stage, mut asks) = Stage::empty(None);
    let client = stage.client.clone();
    let asking = tokio::spawn(async move { client.act(&restart()).await.unwrap() });
    let to = act(&mut asks, 1).await;
    drop(asking.await.unwrap());
    // Its next words find nobody, sooner or later; nothing else happens.
    timeout(Duration::from_secs(30), async {
        while to.send(note("anybody?".to_owned())).await.is_ok() {}
    })
    .await
    .unwrap();
    let client = stage.client.clone();
    let asking = tokio::spawn(async move { client.act(&restart()).await.unwrap() });
    let to = act(&mut asks, 1).await;
    let end = Progress::End { done: 1, failed: 0 };
    to.send(end.clone()).await.unwrap();
    assert_eq!(asking.await.unwrap().next().await, Some(Ok(end)));
}

#[tokio::test]
async fn who_is_too_slow_for_events_is_told_what_it_missed() {
    let stage = Stage::new();
    let mut lines = stage.client.events().await.unwrap();
    // Many more than the ring and the socket hold, without a pause in which they could be read.
    let long = "x".repeat(20_000);
    let said = event("web", "message", &[("text", &long)]);
    for _ in 0..300 {
        stage.events.send(said.clone()).unwrap();
    }
    let last = event("web", "last", &[]);
    stage.events.send(last.clone()).unwrap();
    let (mut told, mut missed) = (0, 0);
    loop {
        let event = lines.next().await.unwrap().unwrap();
        match event.event.as_str() {
            "events_missed" => missed += event.fields["missed"].as_u64().unwrap(),
            "message" => told += 1,
            _ => break assert_eq!(event, last),
        }
    }
    assert!(missed > 0);
    assert_eq!(told + missed, 300);
}

#[tokio::test]
async fn what_was_missed_comes_first_in_order_and_once() {
    let stage = Stage::new();
    let at = |second: u32, app: &str| DaemonEvent {
        time: format!("2026-11-21T10:00:{second:02}.000Z"),
        ..event(app, "ready", &[("by", "a test")])
    };
    let write = |name: &str, events: &[DaemonEvent]| {
        let lines = events.iter().map(|event| {
            let line = serde_json::to_string(event).unwrap();
            format!("{line}\n")
        });
        std::fs::write(stage.directory.join(name), lines.collect::<String>()).unwrap();
    };
    write(
        "web-herder.jsonl",
        &[at(1, "web"), at(3, "web"), at(3, "web")],
    );
    write("daemon.log", &[at(2, ""), at(4, "api")]);
    let lines = stage.client.events_since("2026-11-21T10:00:02Z").await;
    let mut lines = lines.unwrap();
    // What stands in the files is heard, too.
    for heard in [at(4, "api"), at(5, "web"), at(5, "web")] {
        stage.events.send(heard).unwrap();
    }
    let mut told = Vec::new();
    while told.len() < 6 {
        told.push(lines.next().await.unwrap().unwrap());
    }
    let expected = [
        at(2, ""),
        at(3, "web"),
        at(3, "web"),
        at(4, "api"),
        at(5, "web"),
        at(5, "web"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_daemon_that_ends_tells_how_it_ended() {
    let (mut stage, mut asks) = Stage::empty(None);
    let client = stage.client.clone();
    let mut events = tokio::spawn({
        let client = client.clone();
        async move { client.events().await.unwrap() }
    })
    .await
    .unwrap();
    let how = StopDaemon { leave_apps: true };
    let asking = tokio::spawn(async move { client.stop_daemon(how).await.unwrap() });
    let (to, course) = mpsc::channel(4);
    let Some(Ask::Stop(asked, reply)) = asks.recv().await else {
        panic!("its end is asked for");
    };
    assert_eq!(asked, how);
    reply.send(Ok(course)).unwrap();
    let end = Progress::End { done: 2, failed: 0 };
    to.send(end.clone()).await.unwrap();
    // The books are closed at the same moment.
    drop((to, asks));
    let mut lines = asking.await.unwrap();
    assert_eq!(lines.next().await, Some(Ok(end)));
    assert_eq!(lines.next().await, None);
    assert_eq!(events.next().await, None);
    let serving = &mut stage.serving;
    timeout(Duration::from_secs(10), serving)
        .await
        .unwrap()
        .unwrap();
    assert!(!stage.socket.exists());
    let error = stage.client.daemon().await.unwrap_err();
    assert_eq!(error.exit_status(), 6, "{error}");
}

#[tokio::test]
async fn books_that_are_closed_answer_busy_or_nothing() {
    let mut stage = Stage::new();
    assert_eq!(stage.client.apps(&[]).await.unwrap().len(), 2);
    stage.close();
    until("the socket is gone", || !stage.socket.exists()).await;
}
