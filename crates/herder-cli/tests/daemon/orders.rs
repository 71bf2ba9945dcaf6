//! Who is started before whom, and many at once.

use std::time::{Duration, Instant};

use herder_api::App;
use herder_api::control::{Start, Verb};
use herder_api::problem::ProblemKind;
use herder_api::status::AppPhase;

use super::kit::{Place, action, environment, idle, pids};

fn needing(name: &str, needs: &[&str]) -> App {
    App {
        depends_on: needs.iter().map(|name| (*name).to_owned()).collect(),
        ..idle(name)
    }
}

/// The names of those that `event` was told of, in its order.
fn order_of(place: &Place, event: &str) -> Vec<String> {
    let log = std::fs::read_to_string(place.home().join("daemon.log")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let events = events.filter(|it: &serde_json::Value| it["event"] == event);
    events
        .map(|it| it["app"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn who_depends_on_others_comes_after_them_and_goes_before() {
    let place = Place::new("order");
    place.daemon();
    let told = place.start(&[
        needing("web", &["api"]),
        needing("api", &["db"]),
        needing("db", &[]),
    ]);
    assert_eq!(told.end(), (3, 0));
    assert_eq!(order_of(&place, "app_started"), ["db", "api", "web"]);
    place.act(Verb::Stop { now: false }, "all");
    assert_eq!(order_of(&place, "app_stopped"), ["web", "api", "db"]);
    // Who is needed is started, too.
    let told = place.act(Verb::Start, "api");
    assert_eq!(told.end(), (2, 0), "{told:?}");
    assert_eq!(place.app("db").phase, AppPhase::Online);
    assert_eq!(place.app("web").phase, AppPhase::Stopped);
    place.act(Verb::Restart, "all").done("web");
    assert!(
        ["db", "api", "web"]
            .iter()
            .all(|it| place.app(it).phase == AppPhase::Online)
    );
}

#[test]
fn who_depends_on_a_failure_fails_and_says_so() {
    let place = Place::new("chain");
    place.daemon();
    let mut db = super::kit::script("db", "exit 1");
    db.max_restarts = Some(1);
    let told = place.start(&[needing("web", &["db"]), db, needing("other", &[])]);
    assert_eq!(told.end(), (1, 2), "{told:?}");
    let problem = told.failed("web");
    assert!(problem.message.contains("db"), "{problem:?}");
    told.done("other");
}

#[test]
fn circles_and_strangers_are_refused_before_anything_is_done() {
    let place = Place::new("circle");
    place.daemon();
    let refused = |apps: &[App]| {
        let start = Start {
            apps: apps.to_vec(),
            environment: environment(),
            profile: None,
            known: herder_api::control::Known::Refuse,
            sources: std::collections::BTreeMap::new(),
        };
        let error = place.wait(async { place.client().start(&start).await.err().unwrap() });
        assert_eq!(error.problem().kind, ProblemKind::Invalid);
        error.problem().message.clone()
    };
    let text = refused(&[
        needing("a", &["b"]),
        needing("b", &["c"]),
        needing("c", &["a"]),
    ]);
    assert!(text.contains("a → b → c → a"), "{text}");
    let text = refused(&[needing("a", &["nobody"])]);
    assert!(text.contains("nobody"), "{text}");
    assert!(place.find("a").is_none());
}

#[test]
fn many_are_started_and_stopped_at_once() {
    const MANY: usize = 24;
    let place = Place::new("many");
    place.daemon();
    let apps: Vec<App> = (0..MANY)
        .map(|number| idle(&format!("app{number}")))
        .collect();
    let told = place.start(&apps);
    assert_eq!(told.end(), (24, 0), "{told:?}");
    let begun = Instant::now();
    let told = place.act(Verb::Stop { now: false }, "all");
    assert_eq!(told.end(), (24, 0), "{told:?}");
    // One after the other, with a grace each, they would take far longer.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn whoever_is_busy_says_so_and_a_stop_goes_before_a_start() {
    let place = Place::new("busy");
    place.daemon();
    let mut slow = idle("slow");
    slow.ready_after = Some(herder_api::units::Period::secs(20));
    let start = Start {
        apps: vec![slow],
        environment: environment(),
        profile: None,
        known: herder_api::control::Known::Refuse,
        sources: std::collections::BTreeMap::new(),
    };
    place.wait(async {
        let client = place.client();
        let mut starting = client.start(&start).await.unwrap();
        let reload = client.act(&action(Verb::Reload, "slow")).await.unwrap();
        let text = format!("{:?}", all(reload).await);
        assert!(text.contains("just being started"), "{text}");
        let stop = client
            .act(&action(Verb::Stop { now: true }, "slow"))
            .await
            .unwrap();
        let text = format!("{:?}", all(stop).await);
        assert!(text.contains("stopped in"), "{text}");
        let mut heard = String::new();
        while let Some(word) = starting.next().await {
            heard += &format!("{:?}", word.unwrap());
        }
        assert!(heard.contains("was stopped meanwhile"), "{heard}");
    });
    assert!(pids(&place.app("slow")).is_empty());
}

async fn all(
    mut stream: herder_client::Lines<herder_api::control::Progress>,
) -> Vec<herder_api::control::Progress> {
    let mut told = Vec::new();
    while let Some(progress) = stream.next().await {
        told.push(progress.unwrap());
    }
    told
}
