//! The jobs.

use herder_rpc::client::Subscription;
use herder_services::jobs::{JobDefinition, Timing};
use herder_services::library::{JobsApiClient, RunOrder};

use crate::herd::{Herd, soon};

fn tick() -> String {
    "tick".to_owned()
}

fn definition(timing: &str) -> JobDefinition {
    JobDefinition::new(timing.parse::<Timing>().expect("a timing"))
}

async fn serve(client: &JobsApiClient) -> Subscription<RunOrder> {
    let mut stream = client.serve(vec![tick()]);
    soon(stream.opened()).await.expect("it opens");
    stream
}

async fn next(stream: &mut Subscription<RunOrder>) -> u64 {
    let next = soon(stream.next()).await.expect("it goes on");
    match next.expect("it is well").into_value() {
        Some(RunOrder::Run { run, .. }) => run,
        Some(RunOrder::Cancel { .. }) | None => panic!("no run"),
    }
}

#[tokio::test]
async fn a_worker_runs_a_job_and_its_end_is_in_the_history() {
    let herd = Herd::new().await;
    let jobs: JobsApiClient = herd.worker(0).client();
    let mut stream = serve(&jobs).await;
    jobs.define(tick(), definition("every 100ms"))
        .await
        .unwrap();
    let run = next(&mut stream).await;
    jobs.done(run, None).await.unwrap();
    let run = next(&mut stream).await;
    jobs.done(run, Some("it broke".to_owned())).await.unwrap();
    let history = jobs.history(Some(tick()), 10).await.unwrap();
    assert!(
        history.iter().any(|entry| entry.outcome == "succeeded"),
        "{history:?}"
    );
    assert!(
        history
            .iter()
            .any(|entry| entry.reason.as_deref() == Some("it broke"))
    );
    jobs.pause(tick()).await.unwrap();
    let list = jobs.list().await.unwrap();
    assert!(list[0].paused && list[0].next.is_none());
    jobs.remove(tick()).await.unwrap();
    let error = jobs.run_now(tick()).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("no_job"));
}

#[tokio::test]
async fn the_run_of_a_dead_worker_is_lost_and_tried_again_by_another() {
    let herd = Herd::new().await;
    let agent = herd.worker(0);
    let jobs: JobsApiClient = agent.client();
    let mut stream = serve(&jobs).await;
    let mut retried = definition("0 3 1 1 *");
    retried.retries = 1;
    jobs.define(tick(), retried).await.unwrap();
    jobs.run_now(tick()).await.unwrap();
    let lost = next(&mut stream).await;
    let other: JobsApiClient = herd.worker(1).client();
    let mut others = serve(&other).await;
    drop((stream, jobs, agent));
    let run = next(&mut others).await;
    assert_ne!(run, lost);
    other.done(run, None).await.unwrap();
    let history = other.history(None, 10).await.unwrap();
    let outcomes: Vec<_> = history
        .iter()
        .map(|entry| (entry.outcome.as_str(), entry.retried))
        .collect();
    assert_eq!(outcomes, [("succeeded", false), ("lost", true)]);
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let herd = Herd::new().await;
    let agent = herd.worker(0);
    let define = serde_json::json!(["tick", {"timing": "0 3 * * * Mars/Olympus"}]);
    let error = agent.call("jobs", "define", define).await.unwrap_err();
    assert!(error.message.contains("Mars/Olympus"), "{error}");
    let define = serde_json::json!(["tick", {"timing": "every 1s", "target": "cluster"}]);
    let error = agent.call("jobs", "define", define).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("no_store"));
}
