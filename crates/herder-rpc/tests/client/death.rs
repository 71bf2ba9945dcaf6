//! The end of a library: everything under way fails at once and says whether it ran.

use std::time::{Duration, Instant};

use herder_rpc::client::AgentSettings;
use herder_rpc::{ErrorKind, Executed};
use herder_wire::rpc::Frame;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::fake::{Fake, PATIENCE};

fn impatient() -> AgentSettings {
    AgentSettings {
        reconnect_wait: Duration::ZERO,
        waiting: 4_000,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_thousand_calls_in_flight_fail_within_50_ms_and_say_whether_they_left() {
    let mut took = Vec::new();
    let began = Instant::now();
    // A busy machine may hold many a try up, but not every one.
    while began.elapsed() < Duration::from_secs(60) {
        took.push(die_under_a_thousand_calls().await);
        if took.last() < Some(&Duration::from_millis(50)) {
            return;
        }
    }
    panic!("{took:?}");
}

async fn die_under_a_thousand_calls() -> Duration {
    let mut fake = Fake::new();
    fake.limits.calls = 2_000;
    fake.limits.bytes = 64 * 1024 * 1024;
    let agent = fake.agent_with(impatient());
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    // 16 KiB each: the socket takes some of them, the rest waits in the agent.
    let text = "x".repeat(16 * 1024);
    let calls: Vec<_> = (0..1_000)
        .map(|key| {
            let (agent, args) = (agent.clone(), json!([key, text]));
            tokio::spawn(async move { (agent.call("kv", "put", args).await, Instant::now()) })
        })
        .collect();
    crate::fake::until("all calls are in flight", || {
        agent.gauges().under_way == 1_000
    })
    .await;
    peer.socket.shutdown().await.unwrap();
    let died = Instant::now();
    let (mut maybe, mut no, mut last) = (0, 0, died);
    for call in calls {
        let (result, ended) = call.await.unwrap();
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        last = last.max(ended);
        match error.executed {
            Executed::Maybe => maybe += 1,
            Executed::No => no += 1,
            Executed::Yes => panic!("nobody answered"),
        }
    }
    let mut left = 0;
    while let Some(frame) = peer.next().await {
        left += usize::from(matches!(frame, Frame::Call { .. }));
    }
    left += usize::from(peer.has_rest());
    assert_eq!(
        maybe, left,
        "`maybe` is said of what left, and of nothing else"
    );
    assert!(
        maybe > 0 && no > 0 && maybe + no == 1_000,
        "{maybe} left, {no} did not"
    );
    last - died
}

#[tokio::test]
async fn an_idempotent_call_is_made_again_and_another_is_not() {
    let fake = Fake::new();
    let agent = fake.agent();
    let both = async {
        tokio::join!(
            agent.call("kv", "get", json!(["a"])),
            agent.call("kv", "put", json!(["a", 1])),
        )
    };
    let library = async {
        let mut first = fake.serve().await;
        first.call().await;
        first.call().await;
        drop(first);
        let mut second = fake.serve().await;
        let (id, args) = second.call().await;
        assert_eq!(args, json!(["a"]));
        second.ok(id, &json!("again")).await;
        second
    };
    let ((get, put), _second) = tokio::join!(both, library);
    assert_eq!(get.unwrap(), "again");
    let put = put.unwrap_err();
    assert_eq!(
        (put.kind, put.executed, put.epoch),
        (ErrorKind::Unavailable, Executed::Maybe, 1)
    );
    assert!(
        put.to_string()
            .starts_with("kv.put could not reach the library"),
        "{put}"
    );
}

#[tokio::test]
async fn retries_end_with_their_budget() {
    let fake = Fake::new();
    let agent = fake.agent();
    let mut attempts = 0;
    let library = async {
        loop {
            let mut peer = fake.serve().await;
            peer.call().await;
            attempts += 1;
        }
    };
    let options = herder_rpc::client::CallOptions::default().deadline(PATIENCE);
    let error = tokio::select! {
        result = agent.call_with("kv", "get", json!(["a"]), options) => result.unwrap_err(),
        () = library => unreachable!("the script has no end"),
    };
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Unavailable, Executed::Maybe)
    );
    // One call and ten retries; time earns a few more.
    assert!((11..20).contains(&attempts), "{attempts} attempts");
}

#[tokio::test]
async fn a_call_during_a_restart_waits_for_the_next_incarnation() {
    let mut fake = Fake::new();
    let agent = fake.agent();
    let (ready, first) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    drop(first);
    fake.epoch = 2;
    let library = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut second = fake.serve().await;
        let (id, _) = second.call().await;
        second.ok(id, &json!(2)).await;
        second
    };
    let (answer, _second) = tokio::join!(agent.call("kv", "put", json!(["a", 1])), library);
    assert_eq!(answer.unwrap(), 2);
    assert_eq!(agent.connection(), herder_rpc::client::Connection::Up(2));
}

#[tokio::test]
async fn a_call_does_not_wait_longer_than_a_restart_takes() {
    let fake = Fake::new();
    let settings = AgentSettings {
        reconnect_wait: Duration::from_millis(120),
        ..AgentSettings::default()
    };
    let agent = fake.agent_with(settings);
    let (ready, first) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    drop(first);
    crate::fake::until("the end is seen", || {
        matches!(agent.connection(), herder_rpc::client::Connection::Away(_))
    })
    .await;
    let began = Instant::now();
    let error = agent.call("kv", "get", json!(["a"])).await.unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Unavailable, Executed::No)
    );
    let took = began.elapsed();
    assert!((120..4_000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(
        agent
            .try_call("kv", "get", json!(["a"]))
            .await
            .unwrap_err()
            .executed,
        Executed::No
    );
}

#[tokio::test]
async fn a_silent_library_ends_calls_at_their_deadline_and_is_connected_anew() {
    let mut fake = Fake::new();
    fake.heartbeat_ms = 50;
    let agent = fake.agent();
    let (ready, mut stopped) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let options = herder_rpc::client::CallOptions::default().deadline(Duration::from_millis(60));
    let began = Instant::now();
    let error = agent
        .call_with("kv", "put", json!(["a", 1]), options)
        .await
        .unwrap_err();
    let took = began.elapsed();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Deadline, Executed::Maybe)
    );
    assert!((60..2_000).contains(&took.as_millis()), "{took:?}");
    // The listener stayed open: the agent gives the silent connection up and waits in its queue.
    let error = agent.call("kv", "put", json!(["a", 2])).await.unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Unavailable, Executed::Maybe)
    );
    assert!(error.message.contains("silent"), "{error}");
    let library = async {
        let mut next = fake.serve().await;
        let (id, _) = next.call().await;
        next.ok(id, &json!(null)).await;
        next
    };
    let (answer, _next) = tokio::join!(agent.call("kv", "put", json!(["a", 3])), library);
    answer.unwrap();
    let mut seen = Vec::new();
    while let Some(frame) = stopped.next().await {
        seen.push(frame);
    }
    assert!(
        seen.iter().any(|frame| matches!(frame, Frame::Ping { .. })),
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .any(|frame| matches!(frame, Frame::Cancel { .. })),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_library_that_was_never_there_fails_calls_at_their_deadline() {
    let fake = Fake::new();
    let mut endpoint = fake.endpoint();
    endpoint.path = fake.directory.join("nobody.sock");
    let agent = herder_rpc::client::Agent::connect(endpoint);
    let options = herder_rpc::client::CallOptions::default().deadline(Duration::from_millis(40));
    let error = agent
        .call_with("kv", "get", json!(["a"]), options)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Unavailable, Executed::No)
    );
    assert!(error.message.contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_library_that_leaves_finishes_what_is_in_flight() {
    let mut fake = Fake::new();
    let agent = fake.agent();
    let (ready, mut old) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    fake.epoch = 2;
    let first = tokio::spawn({
        let agent = agent.clone();
        async move { agent.call("kv", "put", json!(["a", 1])).await }
    });
    let (id, _) = old.call().await;
    old.send(Frame::GoAway(bytes::Bytes::from_static(
        b"{\"reason\":\"stop\"}",
    )))
    .await;
    let mut new = fake.serve().await;
    let second = tokio::spawn({
        let agent = agent.clone();
        async move { agent.call("kv", "put", json!(["a", 2])).await }
    });
    let (other, args) = new.call().await;
    assert_eq!(args, json!(["a", 2]));
    new.ok(other, &json!("new")).await;
    assert_eq!(second.await.unwrap().unwrap(), "new");
    old.ok(id, &json!("old")).await;
    assert_eq!(first.await.unwrap().unwrap(), "old");
    assert!(
        old.next().await.is_none(),
        "the agent closes what it has left"
    );
}

#[test]
fn an_agent_outlives_the_runtime_of_its_first_use() {
    let fake = {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { Fake::new() })
    };
    let path = fake.directory.join("again.sock");
    let agent = herder_rpc::client::Agent::connect(herder_rpc::client::Endpoint {
        path: path.clone(),
        ..fake.endpoint()
    });
    for turn in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let inner = Fake::new();
            std::fs::rename(inner.directory.join("core.sock"), &path).unwrap();
            let library = async {
                let mut peer = inner.serve().await;
                let (id, _) = peer.call().await;
                peer.ok(id, &json!(turn)).await;
                peer
            };
            let (answer, _peer) = tokio::join!(agent.call("kv", "get", json!(["a"])), library);
            assert_eq!(answer.unwrap(), turn);
        });
    }
}
