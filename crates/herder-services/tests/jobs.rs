//! Jobs with real clocks; what is decided is tested with `herder-core`.

use std::sync::Arc;
use std::time::Duration;

use herder_core::schedule::{Calendar, Outcome, ServerKind, Target, Verdict, Wall};
use herder_services::clock::Clock;
use herder_services::jobs::{
    JobDefinition, JobError, JobState, Jobs, Keeping, Order, Server, Start, Timing, TimingError,
};
use herder_services::state::Local;
use jiff::Timestamp;

const PATIENCE: Duration = Duration::from_secs(30);

fn timing(text: &str) -> Timing {
    text.parse().expect("a timing")
}

fn refused(text: &str) -> String {
    let error: TimingError = text.parse::<Timing>().expect_err("no timing");
    error.to_string()
}

fn wall(text: &str) -> Wall {
    let at: Timestamp = text.parse().expect("a time");
    Wall::from_millis(at.as_millisecond())
}

fn ticks(text: &str, after: &str, count: usize) -> Vec<String> {
    let timing = timing(text);
    let mut at = wall(after);
    let mut next = || {
        at = timing.next_after(at).expect("it goes on");
        Timestamp::from_millisecond(at.as_millis())
            .expect("a time")
            .to_string()
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn patterns_of_cron_with_and_without_seconds() {
    assert_eq!(
        ticks("0 3 * * *", "2026-01-31T12:00:00Z", 2),
        ["2026-02-01T03:00:00Z", "2026-02-02T03:00:00Z"]
    );
    assert_eq!(
        ticks("*/20 * * * * *", "2026-01-01T00:00:15Z", 2),
        ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]
    );
    assert_eq!(
        ticks("@hourly", "2026-01-01T00:00:00Z", 1),
        ["2026-01-01T01:00:00Z"]
    );
    assert_eq!(
        ticks("0 0 L * *", "2026-02-03T00:00:00Z", 1),
        ["2026-02-28T00:00:00Z"]
    );
}

#[test]
fn time_zones_and_their_summer() {
    let zone = "30 2 * * * Europe/Berlin";
    // 02:30 does not exist on the 29th of March, and comes after the leap.
    let spring = ticks(zone, "2026-03-28T12:00:00Z", 2);
    assert_eq!(spring[1], "2026-03-30T00:30:00Z");
    assert!(spring[0].starts_with("2026-03-29T01:"), "{spring:?}");
    // It exists twice on the 25th of October, and comes once.
    let autumn = ticks(zone, "2026-10-24T12:00:00Z", 2);
    assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    assert_eq!(
        ticks("0 3 * * * UTC", "2026-01-01T00:00:00Z", 1),
        ["2026-01-01T03:00:00Z"]
    );
}

#[test]
fn periods_are_multiples_since_1970() {
    assert_eq!(
        ticks("every 10s", "2026-01-01T00:00:03Z", 2),
        ["2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z"]
    );
    assert_eq!(
        ticks("every 1d", "2026-01-01T00:00:03Z", 1),
        ["2026-01-02T00:00:00Z"]
    );
    assert_eq!(
        ticks("every 250ms", "2026-01-01T00:00:00.1Z", 1),
        ["2026-01-01T00:00:00.25Z"]
    );
}

#[test]
fn what_is_no_timing_is_said_with_the_reason() {
    assert!(
        refused("every 5 minutes").contains("none of the units"),
        "{}",
        refused("every 5 minutes")
    );
    assert!(refused("every 1ms").contains("at least 100ms"));
    assert!(refused("every x").contains("no whole number"));
    assert!(refused("0 3 * * * Europe/Bonn").contains("no time zone Europe/Bonn"));
    assert!(
        refused("0 0 30 2 *").contains("never comes"),
        "{}",
        refused("0 0 30 2 *")
    );
    for text in ["", "* *", "61 * * * *", "soon"] {
        assert!(
            refused(text).contains("such as `0 3 * * *"),
            "{}",
            refused(text)
        );
    }
}

fn desk(keeping: Keeping, epoch: u64) -> Arc<Jobs> {
    Arc::new(Jobs::new(Clock::new(), 7, epoch, keeping))
}

async fn next_run(server: &mut Server) -> herder_core::schedule::RunId {
    let order = tokio::time::timeout(PATIENCE, server.next())
        .await
        .expect("in time");
    match order {
        Order::Run { run, .. } => run,
        Order::Cancel { .. } => panic!("cancelled"),
    }
}

#[tokio::test]
async fn a_job_runs_at_its_times_and_its_history_says_so() {
    let jobs = desk(Keeping::Memory, 1);
    let driver = tokio::spawn({
        let jobs = Arc::clone(&jobs);
        async move { jobs.drive().await }
    });
    let mut server = jobs
        .serve(ServerKind::Worker, &["tick".to_owned()])
        .unwrap();
    jobs.define("tick", JobDefinition::new(timing("every 100ms")))
        .await
        .unwrap();
    for _ in 0..3 {
        let run = next_run(&mut server).await;
        jobs.done(run, Verdict::Succeeded);
    }
    let history = jobs.history(Some("tick"), 10);
    assert!(history.len() >= 3, "{history:?}");
    let step = history[0].tick.as_millis() - history[1].tick.as_millis();
    assert_eq!((step % 100, &history[0].outcome), (0, &Outcome::Succeeded));
    assert_eq!(jobs.history(Some("other"), 10), []);
    driver.abort();
}

#[tokio::test]
async fn a_job_that_is_to_runs_at_the_first_start_alone() {
    let mut definition = JobDefinition::new(timing("0 3 1 1 *"));
    definition.start = Start::Immediate;
    for (epoch, runs) in [(1, true), (2, false)] {
        let jobs = desk(Keeping::Memory, epoch);
        let mut server = jobs.serve(ServerKind::Worker, &["j".to_owned()]).unwrap();
        jobs.define("j", definition.clone()).await.unwrap();
        if runs {
            let run = next_run(&mut server).await;
            jobs.done(run, Verdict::Failed("no".to_owned()));
            assert_eq!(
                jobs.history(None, 1)[0].outcome,
                Outcome::Failed("no".to_owned())
            );
        }
        assert_eq!(jobs.history(None, 9).len(), usize::from(runs));
        // Defined again, it does not run again.
        jobs.define("j", definition.clone()).await.unwrap();
        assert_eq!(jobs.list()[0].running, 0);
    }
}

#[tokio::test]
async fn jobs_are_edited_paused_and_removed_while_they_run() {
    let jobs = desk(Keeping::Memory, 1);
    let mut server = jobs.serve(ServerKind::Worker, &["j".to_owned()]).unwrap();
    jobs.define("j", JobDefinition::new(timing("0 3 1 1 *")))
        .await
        .unwrap();
    jobs.run_now("j").unwrap();
    let run = next_run(&mut server).await;
    jobs.define("j", JobDefinition::new(timing("0 4 1 1 *")))
        .await
        .unwrap();
    assert_eq!(
        (
            jobs.list()[0].running,
            jobs.list()[0].definition.timing.as_str()
        ),
        (1, "0 4 1 1 *")
    );
    jobs.pause("j").await.unwrap();
    assert!(jobs.list()[0].paused && jobs.list()[0].next.is_none());
    jobs.resume("j").await.unwrap();
    assert!(jobs.list()[0].next.is_some());
    jobs.remove("j").await.unwrap();
    jobs.done(run, Verdict::Succeeded);
    assert_eq!(
        (jobs.list().len(), jobs.history(Some("j"), 9).len()),
        (0, 1)
    );
    let unknown = Err(JobError::Unknown("j".to_owned()));
    assert_eq!(jobs.run_now("j"), unknown);
    assert_eq!(jobs.remove("j").await, unknown);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let jobs = desk(Keeping::Memory, 1);
    let good = JobDefinition::new(timing("@daily"));
    assert!(matches!(
        jobs.define("a b", good.clone()).await,
        Err(JobError::Name(_))
    ));
    let never = JobDefinition {
        timeout_ms: 0,
        ..good.clone()
    };
    assert_eq!(jobs.define("j", never).await, Err(JobError::Timeout));
    let shared = JobDefinition {
        target: Target::Cluster,
        ..good
    };
    assert_eq!(jobs.define("j", shared).await, Err(JobError::NoStore));
    assert!(jobs.list().is_empty());
    assert!(matches!(
        jobs.serve(ServerKind::Worker, &[String::new()]),
        Err(JobError::Name(_))
    ));
}

#[tokio::test]
async fn another_life_goes_on_where_the_one_before_ended() {
    let space = Arc::new(Local::in_memory(1 << 20, Clock::new(), Box::new(|_| {})));
    let before = desk(Keeping::Namespace(Arc::clone(&space)), 1);
    before
        .define("j", JobDefinition::new(timing("every 1h")))
        .await
        .unwrap();
    before
        .define("paused", JobDefinition::new(timing("every 1h")))
        .await
        .unwrap();
    before.pause("paused").await.unwrap();
    before
        .define("gone", JobDefinition::new(timing("every 1h")))
        .await
        .unwrap();
    before.remove("gone").await.unwrap();
    let last = before.list()[0].last;

    let after = desk(Keeping::Namespace(Arc::clone(&space)), 2);
    assert_eq!(after.restore(), [] as [String; 0]);
    let names: Vec<_> = after
        .list()
        .iter()
        .map(|job| (job.name.to_string(), job.paused))
        .collect();
    assert_eq!(
        names,
        [("j".to_owned(), false), ("paused".to_owned(), true)]
    );
    assert_eq!(after.list()[0].last, last);

    let damaged = herder_services::state::Put {
        value: "{".into(),
        ttl: None,
        condition: herder_services::state::Condition::Always,
    };
    space.put("broken", damaged).await.unwrap();
    let problems = desk(Keeping::Namespace(space), 2).restore();
    assert!(
        problems.len() == 1 && problems[0].contains("broken"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn what_the_herd_began_with_stays_what_became_of_it_in_the_next_life_of_the_process() {
    let space = Arc::new(Local::in_memory(1 << 20, Clock::new(), Box::new(|_| {})));
    let timings = |jobs: &Arc<Jobs>| -> Vec<String> {
        let text = |job: JobState| format!("{} {}", job.name, job.definition.timing.as_str());
        jobs.list().into_iter().map(text).collect()
    };
    let live = async |herd: u64, epoch: u64, given: &[&str]| {
        let keeping = Keeping::Namespace(Arc::clone(&space));
        let jobs = Arc::new(Jobs::new(Clock::new(), herd, epoch, keeping));
        assert_eq!(jobs.restore(), [] as [String; 0]);
        let defined = |name: &&str| ((*name).to_owned(), JobDefinition::new(timing("@daily")));
        let given: Vec<_> = given.iter().map(defined).collect();
        jobs.found(&given).await.unwrap();
        jobs
    };
    let jobs = live(1, 1, &["edited", "removed"]).await;
    let hourly = JobDefinition::new(timing("@hourly"));
    jobs.define("edited", hourly.clone()).await.unwrap();
    jobs.define("added", hourly).await.unwrap();
    jobs.remove("removed").await.unwrap();
    let jobs = live(1, 2, &["edited", "removed", "new"]).await;
    let expected = ["added @hourly", "edited @hourly", "new @daily"];
    assert_eq!(timings(&jobs), expected);
    // Another herd begins with what it is given.
    let jobs = live(2, 1, &["edited", "removed"]).await;
    let expected = [
        "added @hourly",
        "edited @daily",
        "new @daily",
        "removed @daily",
    ];
    assert_eq!(timings(&jobs), expected);
}

#[tokio::test]
async fn a_job_that_was_kept_runs_at_the_start_of_the_next_herd_too() {
    let space = Arc::new(Local::in_memory(1 << 20, Clock::new(), Box::new(|_| {})));
    let mut definition = JobDefinition::new(timing("0 3 1 1 *"));
    definition.start = Start::Immediate;
    for herd in [1, 2] {
        let keeping = Keeping::Namespace(Arc::clone(&space));
        let jobs = Arc::new(Jobs::new(Clock::new(), herd, 1, keeping));
        jobs.restore();
        let mut server = jobs.serve(ServerKind::Worker, &["j".to_owned()]).unwrap();
        let given = [("j".to_owned(), definition.clone())];
        jobs.found(&given).await.unwrap();
        next_run(&mut server).await;
    }
}

#[tokio::test]
async fn who_takes_no_orders_has_few_waiting() {
    let jobs = desk(Keeping::Memory, 1);
    let driver = tokio::spawn({
        let jobs = Arc::clone(&jobs);
        async move { jobs.drive().await }
    });
    let mut server = jobs.serve(ServerKind::Worker, &["j".to_owned()]).unwrap();
    let hasty = JobDefinition {
        timeout_ms: 1,
        ..JobDefinition::new(timing("every 100ms"))
    };
    jobs.define("j", hasty).await.unwrap();
    let enough = tokio::time::timeout(PATIENCE, async {
        while jobs.history(Some("j"), 9).len() < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    enough.await.unwrap();
    jobs.remove("j").await.unwrap();
    let mut orders = 0;
    while tokio::time::timeout(Duration::from_millis(50), server.next())
        .await
        .is_ok()
    {
        orders += 1;
    }
    assert!(orders <= 2, "{orders} orders of runs that are over wait");
    driver.abort();
}

#[tokio::test]
async fn what_is_said_of_a_run_of_another_life_is_not_heard() {
    let mut late = None;
    for epoch in [1, 2] {
        let jobs = desk(Keeping::Memory, epoch);
        let mut server = jobs.serve(ServerKind::Worker, &["j".to_owned()]).unwrap();
        jobs.define("j", JobDefinition::new(timing("0 3 1 1 *")))
            .await
            .unwrap();
        jobs.run_now("j").unwrap();
        let run = next_run(&mut server).await;
        if let Some(late) = late.replace(run) {
            jobs.done(late, Verdict::Succeeded);
            assert_eq!(jobs.list()[0].running, 1);
            jobs.done(run, Verdict::Succeeded);
        }
        assert_eq!(jobs.history(None, 9).len(), usize::from(epoch == 2));
    }
}

#[tokio::test]
async fn orders_are_what_they_should_be_on_the_wire() {
    let cancel = Order::Cancel {
        run: herder_core::schedule::RunId(7),
    };
    assert_eq!(
        serde_json::to_string(&cancel).unwrap(),
        r#"{"cancel":{"run":7}}"#
    );
    let text = r#"{"timing":"every 10s","target":"all","misfire":{"all":3}}"#;
    let definition: JobDefinition = serde_json::from_str(text).unwrap();
    assert_eq!(
        (definition.target, definition.timeout_ms),
        (Target::All, 600_000)
    );
    let error = serde_json::from_str::<JobDefinition>(r#"{"timing":"every 10s","tmeout_ms":1}"#);
    assert!(error.unwrap_err().to_string().contains("tmeout_ms"));
}
