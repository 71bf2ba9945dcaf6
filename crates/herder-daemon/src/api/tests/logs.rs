//! Lines of log files.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use herder_api::control::LogLine;
use herder_client::{Lines, LogQuery, LogStream};
use tokio::time::timeout;

use super::stage::{Stage, event, until};

fn write(path: &Path, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

async fn next(lines: &mut Lines<LogLine>) -> LogLine {
    let next = timeout(Duration::from_secs(30), lines.next()).await;
    next.expect("it comes").expect("more").unwrap()
}

async fn all(stage: &Stage, query: &LogQuery) -> Vec<String> {
    let mut lines = stage.client.logs(query).await.unwrap();
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        let line = line.unwrap();
        all.push(format!("{} {} {}", line.app, line.stream, line.line));
    }
    all
}

#[tokio::test]
async fn the_last_lines_are_told() {
    let stage = Stage::new();
    assert!(all(&stage, &LogQuery::default()).await.is_empty());
    let path = |name: &str| stage.directory.join(name);
    let many: String = (0..1000).map(|turn| format!("line {turn}\n")).collect();
    write(&path("web-out.log"), &many);
    write(&path("web-error.log"), "oh\nno \u{1b}[2J\n");
    let event = |event: &str, message: &str| {
        format!(
            "{{\"time\":\"2026-11-21T10:00:00.000Z\",\"app\":\"web\",\"event\":\"{event}\",\"level\":\"info\",\"message\":\"{message}\"}}\n"
        )
    };
    let events = [
        event("ready", "worker 0 ready"),
        event("job_dispatched", "job 1 goes to worker 0"),
        "no event\n".to_owned(),
    ];
    write(&path("web-herder.jsonl"), &events.concat());
    let mut query = LogQuery {
        lines: Some(2),
        ..LogQuery::default()
    };
    let mut told = all(&stage, &query).await;
    told.sort();
    let expected = [
        "web error no \u{1b}[2J",
        "web error oh",
        "web herder no event",
        "web out line 998",
        "web out line 999",
    ];
    assert_eq!(told, expected);
    query.stream = Some(LogStream::Error);
    let told = all(&stage, &query).await;
    assert_eq!(told, ["web error oh", "web error no \u{1b}[2J"]);
    query.stream = Some(LogStream::Herder);
    query.lines = Some(3);
    let told = all(&stage, &query).await;
    assert_eq!(told, ["web herder worker 0 ready", "web herder no event"]);
    query.contains = Some("ready".to_owned());
    assert_eq!(all(&stage, &query).await, ["web herder worker 0 ready"]);
    query.contains = Some("message".to_owned());
    assert!(all(&stage, &query).await.is_empty(), "no sentence has it");
    query.contains = None;
}

#[tokio::test]
async fn lines_are_chosen_and_counted() {
    let stage = Stage::new();
    let many: String = (0..1000).map(|turn| format!("line {turn}\n")).collect();
    write(&stage.directory.join("web-out.log"), &many);
    let mut query = LogQuery {
        lines: Some(3),
        stream: Some(LogStream::Out),
        ..LogQuery::default()
    };
    query.contains = Some("99".to_owned());
    let told = all(&stage, &query).await;
    assert_eq!(
        told,
        ["web out line 997", "web out line 998", "web out line 999"]
    );
    query.slot = Some(0);
    assert!(
        all(&stage, &query).await.is_empty(),
        "whose they are is not known"
    );
    (query.slot, query.contains) = (None, None);
    query.lines = Some(100_000);
    assert_eq!(all(&stage, &query).await.len(), 1000);
    query.lines = None;
    assert_eq!(all(&stage, &query).await.len(), 15);
    query.lines = Some(0);
    assert!(all(&stage, &query).await.is_empty());
    query.targets = vec!["nobody".to_owned()];
    assert_eq!(
        stage.client.logs(&query).await.unwrap_err().exit_status(),
        5
    );
}

#[tokio::test]
async fn lines_that_come_are_told_over_rotation_and_for_new_files() {
    let stage = Stage::new();
    let out = stage.directory.join("web-out.log");
    write(&out, "before\n");
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let mut lines = stage.client.logs(&query).await.unwrap();
    assert_eq!(next(&mut lines).await.line, "before");
    for turn in 0..50 {
        write(&out, &format!("line {turn}\n"));
        assert_eq!(next(&mut lines).await.line, format!("line {turn}"));
    }
    // A file that was not there.
    write(&stage.directory.join("web-error.log"), "oh\n");
    let told = next(&mut lines).await;
    assert_eq!((told.stream.as_str(), told.line.as_str()), ("error", "oh"));
    // A file that is put away.
    write(&out, "the last of the old\n");
    let away = stage.directory.join("web-out.log.2026-11-21T10-00-00Z");
    std::fs::rename(&out, away).unwrap();
    write(&out, "the first of the new\n");
    assert_eq!(next(&mut lines).await.line, "the last of the old");
    assert_eq!(next(&mut lines).await.line, "the first of the new");
    // What is not waited for is not forgotten.
    let many: String = (0..20_000).map(|turn| format!("many {turn}\n")).collect();
    write(&out, &many);
    for turn in 0..20_000 {
        assert_eq!(next(&mut lines).await.line, format!("many {turn}"));
    }
    // Without anything to tell, its end is noticed.
    drop(lines);
    until("it is noticed", || stage.events.receiver_count() == 1).await;
}

#[tokio::test]
async fn a_worker_that_is_new_has_files_that_are_followed() {
    let (stage, mut asks) = Stage::empty(None);
    let client = stage.client.clone();
    let directory = stage.directory.clone();
    let files = move |workers| {
        let mut files = super::stage::files(&directory);
        files.logs.files = herder_api::app::LogFiles::PerWorker;
        files.workers = workers;
        files
    };
    let books = tokio::spawn({
        let files = files.clone();
        async move {
            let mut workers = 1;
            while let Some(ask) = asks.recv().await {
                super::stage::answer(ask, &files(workers));
                workers = 2;
            }
        }
    });
    write(&stage.directory.join("web-out-0.log"), "zero\n");
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let mut lines = client.logs(&query).await.unwrap();
    let told = next(&mut lines).await;
    assert_eq!((told.slot, told.line.as_str()), (Some(0), "zero"));
    until("it follows", || stage.events.receiver_count() == 2).await;
    write(&stage.directory.join("web-out-1.log"), "one\n");
    stage.events.send(event("web", "scaled", &[])).unwrap();
    let told = next(&mut lines).await;
    assert_eq!((told.slot, told.line.as_str()), (Some(1), "one"));
    // Also when nobody says so.
    write(&stage.directory.join("web-error-1.log"), "two\n");
    let told = next(&mut lines).await;
    assert_eq!((told.slot, told.line.as_str()), (Some(1), "two"));
    books.abort();
}

#[tokio::test]
async fn who_goes_on_from_marks_is_told_what_came_meanwhile_and_nothing_twice() {
    let stage = Stage::new();
    let path = stage.directory.join("web-out.log");
    write(&path, "one\ntwo\n");
    let mut query = LogQuery {
        lines: Some(1),
        follow: true,
        marks: true,
        stream: Some(LogStream::Out),
        ..LogQuery::default()
    };
    let mut lines = stage.client.logs(&query).await.unwrap();
    assert_eq!(next(&mut lines).await.line, "two");
    assert_eq!(next(&mut lines).await.stream, "marks");
    write(&path, "three\nfo");
    assert_eq!(next(&mut lines).await.line, "three");
    let marks = next(&mut lines).await;
    assert_eq!((marks.app.as_str(), marks.stream.as_str()), ("", "marks"));
    drop(lines);
    write(&path, "ur\nfive\n");
    // It is a new file by now, and there is another new one.
    std::fs::rename(&path, path.with_extension("log.2026-11-21T10-00-00Z")).unwrap();
    write(&path, "six\n");
    query.from = Some(marks.line);
    let mut lines = stage.client.logs(&query).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        let line = next(&mut lines).await;
        if line.stream != "marks" {
            told.push(line.line);
        }
    }
    assert_eq!(told, ["four", "five", "six"]);
    query.from = Some("1.2".to_owned());
    let refused = stage.client.logs(&query).await.unwrap_err();
    assert!(refused.problem().message.starts_with("from: "), "{refused}");
    query.from = None;
    query.follow = false;
    assert!(stage.client.logs(&query).await.is_err(), "nobody goes on");
}
