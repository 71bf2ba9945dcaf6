//! The document is true: it is what the types say, and the daemon answers as it says.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::super::routes::ROUTES;
use super::super::service::OPENAPI;
use super::document::document;
use super::schema::valid;
use super::stage::{Stage, event, status, until};

/// `UPDATE_SNAPSHOTS=1 cargo test -p herder-daemon` writes it anew.
#[test]
fn the_document_is_what_the_types_say() {
    let mut text = serde_json::to_string_pretty(&document()).unwrap();
    text.push('\n');
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == text,
        "docs/openapi.json is not what the types say any more; UPDATE_SNAPSHOTS=1 writes it anew"
    );
}

#[tokio::test]
async fn every_route_of_the_document_answers_as_it_says() {
    let stage = Stage::new();
    let events = r#"{"time":"2026-11-21T02:10:49.123Z","mono_us":42,"app":"web","event":"exited","slot":0,"worker":3,"pid":1234,"exit":"code","code":1,"cause":"crash","level":"warning","message":"worker 0 #3 [1234] died: exit status 1 (crash)"}"#;
    std::fs::write(
        stage.directory.join("web-herder.jsonl"),
        format!("{events}\n"),
    )
    .unwrap();
    std::fs::write(stage.directory.join("web-out.log"), "one\ntwo\n").unwrap();
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            routes += 1;
            let path = path.replace("{name}", "web");
            let answer = if method == "get" && path == "/v1/events" {
                events_of(&stage).await
            } else if method == "get" {
                stage.get(&path).await
            } else {
                stage.post(&path, &example(&path)).await
            };
            assert_eq!(status(&answer), 200, "{method} {path}: {answer}");
            check(&document, operation, &answer);
        }
    }
    assert_eq!(routes, ROUTES.len());
}

#[tokio::test]
async fn problems_answer_as_the_document_says() {
    let stage = Stage::new();
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    for (answer, expected) in [
        (stage.get("/v1/apps/nobody").await, 404),
        (stage.get("/v1/apps?target=nobody").await, 404),
        (stage.get("/v1/apps?tagret=web").await, 400),
        (stage.get("/v1/apps/web/history?lines=x").await, 400),
        (stage.get("/v1/logs?stream=both").await, 400),
        (stage.get("/v2").await, 404),
        (
            stage
                .say("DELETE /v1/apps HTTP/1.1\r\nhost: x\r\n\r\n")
                .await,
            405,
        ),
        (stage.post("/v1/actions", "{}").await, 400),
        (
            stage
                .post(
                    "/v1/actions",
                    r#"{"verb":{"do":"dance"},"targets":["web"]}"#,
                )
                .await,
            400,
        ),
        (
            stage
                .post(
                    "/v1/actions",
                    r#"{"verb":{"do":"reset"},"targets":["nobody"]}"#,
                )
                .await,
            404,
        ),
        (
            stage.post("/v1/daemon/stop", r#"{"leave_app":true}"#).await,
            400,
        ),
    ] {
        assert_eq!(status(&answer), expected, "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let value = serde_json::from_str(body).unwrap();
        valid(&document, &schema, &value).unwrap_or_else(|why| panic!("{why}: {value}"));
    }
}

/// The stream of events, until one has come: it has no end of its own.
async fn events_of(stage: &Stage) -> String {
    let mut stream = UnixStream::connect(&stage.socket).await.unwrap();
    let request = b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    // One counts, the other is this one.
    until("somebody follows", || stage.events.receiver_count() == 2).await;
    let happened = event("web", "app_started", &[("by", "a test")]);
    stage.events.send(happened).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    String::from_utf8(answer).unwrap()
}

fn example(path: &str) -> String {
    let app = json!({ "name": "web", "script": "/srv/server.js", "workers": "max", "env": { "PORT": 3000 } });
    let definitions = json!({ "apps": [app], "environment": { "PATH": "/bin" } });
    match path {
        "/v1/apps" | "/v1/plan" | "/v1/apply" => definitions.to_string(),
        "/v1/actions" => {
            json!({ "verb": { "do": "scale", "by": 2 }, "targets": ["web"] }).to_string()
        }
        "/v1/daemon/stop" => json!({ "leave_apps": true }).to_string(),
        _ => String::new(),
    }
}

/// Compares an answer with what the document says of it.
fn check(document: &Value, operation: &Value, answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    let content = operation["responses"]["200"]["content"]
        .as_object()
        .unwrap();
    let (kind, of) = content.iter().next().unwrap();
    assert!(head.contains(&format!("content-type: {kind}")), "{head}");
    let body = match head.contains("transfer-encoding: chunked") {
        true => unchunk(body),
        false => body.to_owned(),
    };
    let schema = &of["schema"];
    let values: Vec<Value> = match kind.as_str() {
        "application/json" => vec![serde_json::from_str(&body).unwrap()],
        "application/x-ndjson" => body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        _ => vec![body.into()],
    };
    assert!(!values.is_empty(), "{answer}");
    for value in values {
        valid(document, schema, &value).unwrap_or_else(|why| panic!("{why}: {value}"));
    }
}

fn unchunk(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    text
}
