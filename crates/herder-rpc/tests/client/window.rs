//! What a library cannot take waits within bounds, or fails at once.

use std::time::{Duration, Instant};

use herder_rpc::client::{AgentSettings, CallOptions};
use herder_rpc::{ErrorKind, Executed};
use serde_json::json;
use tokio::task::JoinSet;

use crate::fake::{Fake, PATIENCE, until};

#[tokio::test]
async fn a_full_window_makes_calls_wait_and_try_call_fail() {
    let mut fake = Fake::new();
    fake.limits.calls = 2;
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let calls: Vec<_> = (0..3)
        .map(|key| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.call("kv", "put", json!([key, 1])).await })
        })
        .collect();
    let (first, _) = peer.call().await;
    let (second, _) = peer.call().await;
    until("the third waits", || agent.gauges().waiting == 1).await;
    let began = Instant::now();
    let error = agent
        .try_call("kv", "put", json!(["b", 1]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Overloaded, Executed::No)
    );
    assert!(error.retry_after.is_some() && began.elapsed() < Duration::from_secs(10));
    peer.ok(first, &json!(1)).await;
    let (third, args) = peer.call().await;
    assert_eq!(args, json!([2, 1]));
    peer.ok(second, &json!(2)).await;
    peer.ok(third, &json!(3)).await;
    for (call, expected) in calls.into_iter().zip(1..) {
        assert_eq!(call.await.unwrap().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_call_that_waits_for_the_window_in_vain_was_not_executed() {
    let mut fake = Fake::new();
    fake.limits.calls = 1;
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let _held = tokio::spawn({
        let agent = agent.clone();
        async move { agent.call("kv", "put", json!(["a", 1])).await }
    });
    peer.call().await;
    let options = CallOptions::default().deadline(Duration::from_millis(40));
    let error = agent
        .call_with("kv", "put", json!(["b", 1]), options)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::Deadline, Executed::No)
    );
}

#[tokio::test]
async fn bytes_count_too_and_a_call_larger_than_the_window_goes_alone() {
    let mut fake = Fake::new();
    fake.limits.bytes = 1_000;
    let agent = fake.agent();
    let (ready, mut peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let call = |size: usize| {
        let agent = agent.clone();
        let args = json!(["a", "x".repeat(size)]);
        tokio::spawn(async move { agent.call("kv", "put", args).await })
    };
    let small = call(400);
    let (first, _) = peer.call().await;
    let large = call(5_000);
    until("the large one waits", || agent.gauges().waiting == 1).await;
    peer.ok(first, &json!(1)).await;
    let (second, _) = peer.call().await;
    peer.ok(second, &json!(2)).await;
    assert_eq!(small.await.unwrap().unwrap(), 1);
    assert_eq!(large.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn what_is_longer_than_a_frame_is_said_here() {
    let mut fake = Fake::new();
    fake.limits.frame = 1_000;
    let agent = fake.agent();
    let (ready, _peer) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let error = agent
        .call("kv", "put", json!(["a", "x".repeat(1_000)]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::TooLarge, Executed::No)
    );
    let options = CallOptions::default().key(vec![7; 2_000]);
    let error = agent
        .call_with("kv", "put", json!(["a", 1]), options)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.executed),
        (ErrorKind::TooLarge, Executed::No)
    );
}

#[tokio::test]
async fn a_stalled_library_and_20_000_calls_of_16_kib_stay_within_bounds() {
    let fake = Fake::new();
    let agent = fake.agent_with(AgentSettings {
        deadline: PATIENCE * 6,
        ..Default::default()
    });
    let (ready, _stalled) = tokio::join!(agent.ready(), fake.serve());
    ready.unwrap();
    let text = "x".repeat(16 * 1024);
    let before = resident();
    let (mut calls, mut overloaded, mut peak) = (JoinSet::new(), 0, 0);
    for key in 0..20_000 {
        let (agent, args) = (agent.clone(), json!([key, text]));
        calls.spawn(async move { agent.call("kv", "put", args).await.unwrap_err() });
        if key % 16 == 0 {
            tokio::task::yield_now().await;
            peak = peak.max(resident());
        }
        while let Some(error) = calls.try_join_next() {
            let error = error.unwrap();
            assert_eq!(
                (error.kind, error.executed),
                (ErrorKind::Overloaded, Executed::No)
            );
            overloaded += 1;
        }
    }
    // 255 of them fill the library's 4 MiB, the next waits for room there, 768 wait for a place.
    until("the rest was turned away", || {
        overloaded += std::iter::from_fn(|| calls.try_join_next()).count();
        overloaded == 20_000 - 255 - 768
    })
    .await;
    assert_eq!(
        (agent.gauges().under_way, agent.gauges().waiting),
        (255, 768)
    );
    let grown = peak.saturating_sub(before) / 1024;
    assert!(grown < 32 * 1024, "memory grew by {grown} KiB");
    calls.shutdown().await;
    assert_eq!(agent.gauges(), Default::default());
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}
