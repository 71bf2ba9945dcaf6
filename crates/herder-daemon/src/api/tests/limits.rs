//! What a client cannot do, however hard it tries.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::stage::{Stage, rest, status, until};

#[tokio::test]
async fn r57_a_body_has_a_limit() {
    let stage = Stage::new();
    let action = r#"{"verb":{"do":"reset"},"targets":["web"]}"#;
    let padded = |size: usize| format!("{action}{}", " ".repeat(size - action.len()));
    assert_eq!(
        status(&stage.post("/v1/actions", &padded(64 << 10)).await),
        200
    );
    let answer = stage.post("/v1/actions", &padded((64 << 10) + 1)).await;
    assert_eq!(status(&answer), 413, "{answer}");
    assert!(answer.contains("at most 65536 bytes"), "{answer}");

    // It need not say before how much it is.
    let chunked = format!(
        "POST /v1/actions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        (64 << 10) + 1,
        padded((64 << 10) + 1)
    );
    assert_eq!(status(&stage.say(&chunked).await), 413);

    let start = r#"{"apps":[],"environment":{}}"#;
    let padded = |size: usize| format!("{start}{}", " ".repeat(size - start.len()));
    assert_eq!(status(&stage.post("/v1/apps", &padded(1 << 20)).await), 200);
    let answer = stage.post("/v1/apps", &padded((1 << 20) + 1)).await;
    assert_eq!(status(&answer), 413);
}

#[tokio::test]
async fn r57_what_is_nested_too_deep_is_refused() {
    let stage = Stage::new();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
        let settings = format!(
            r#"{{"verb":{{"do":"restart"}},"targets":["web"],"settings":{{"x":{}0{}}}}}"#,
            open.repeat(8_000),
            close.repeat(8_000)
        );
        for (path, body) in [("/v1/apps", &deep), ("/v1/actions", &settings)] {
            let answer = stage.post(path, body).await;
            assert_eq!(status(&answer), 400, "{path} {answer}");
        }
    }
    assert_eq!(status(&stage.get("/v1/daemon").await), 200);
}

#[tokio::test]
async fn r57_no_http_is_no_answer_and_no_harm() {
    let stage = Stage::new();
    for nonsense in [
        "\0\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /v1/daemon HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        "POST /v1/save HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = stage.say(nonsense).await;
        assert!(
            answer.is_empty() || status(&answer) == 400,
            "{nonsense:?}: {answer}"
        );
    }
    // A line that has no end.
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let answer = stage.say(&endless).await;
    assert!(
        answer.is_empty() || [414, 431].contains(&status(&answer)),
        "{answer}"
    );
    // One that closes its half says nothing more, and hears nothing any more.
    let mut half = UnixStream::connect(&stage.socket).await.unwrap();
    half.write_all(b"GET /v1/dae").await.unwrap();
    half.shutdown().await.unwrap();
    let answer = rest(&mut half).await;
    assert!(answer.is_empty() || status(&answer) == 400, "{answer}");
    assert_eq!(status(&stage.get("/v1/daemon").await), 200);
}

#[tokio::test]
async fn r57_a_request_is_whole_after_5_s_or_never() {
    let stage = Stage::new();
    // A byte now and then, in the head and in the body, and nothing at all.
    let drip = |start: &'static str| {
        let socket = stage.socket.clone();
        async move {
            let began = Instant::now();
            let stream = UnixStream::connect(&socket).await.unwrap();
            let (mut from, mut to) = stream.into_split();
            to.write_all(start.as_bytes()).await.unwrap();
            let writing = tokio::spawn(async move {
                while !start.is_empty() && to.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_millis(200)).await;
                }
                to
            });
            let mut answer = Vec::new();
            drop(from.read_to_end(&mut answer).await);
            writing.abort();
            (began.elapsed(), String::from_utf8(answer).unwrap())
        }
    };
    let (head, body, silent) = tokio::join!(
        drip("GET /v1/daemon HTTP/1.1\r\nhost: x\r\nlong: "),
        drip("POST /v1/actions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"),
        drip(""),
    );
    for (took, answer) in [head, body, silent] {
        let took = took.as_secs_f64();
        assert!((4.5..20.0).contains(&took), "{took} s: {answer}");
        assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    }
}

#[tokio::test]
async fn r57_sixteen_are_inside_and_no_more() {
    let stage = Stage::new();
    let mut inside = Vec::new();
    for _ in 0..16 {
        let mut stream = UnixStream::connect(&stage.socket).await.unwrap();
        stream.write_all(b"GET /v1/").await.unwrap();
        inside.push(stream);
    }
    let answer = stage.get("/v1/daemon").await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("at most 16"), "{answer}");
    // Those who are inside are answered, and make room.
    let mut first = inside.remove(0);
    first
        .write_all(b"daemon HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(status(&rest(&mut first).await), 200);
    assert_eq!(status(&stage.get("/v1/daemon").await), 200);
    drop(inside);
}

#[tokio::test]
async fn who_follows_leaves_room_for_others() {
    let stage = Stage::new();
    let mut following = Vec::new();
    for _ in 0..12 {
        following.push(stage.client.events().await.unwrap());
    }
    let error = stage.client.events().await.unwrap_err();
    assert_eq!(error.exit_status(), 1, "{error}");
    assert!(error.to_string().contains("at most 12"), "{error}");
    assert_eq!(stage.client.daemon().await.unwrap().pid, 4711);
    following.pop();
    // That a client has gone is noticed without being told anything.
    until("a place is free", || stage.events.receiver_count() == 12).await;
    following.push(stage.client.events().await.unwrap());
}
