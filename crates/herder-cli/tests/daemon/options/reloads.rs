//! How a new version takes over; what is watched.

use std::fs;
use std::process::Child;

use herder_api::control::Reason;
use herder_api::status::AppStatus;

use super::super::kit::{Place, attempt, lives, pids};
use super::ended;

const IDLES: &str = "exec sleep 1000";

/// How many workers of an app are on their way.
fn starting(status: &AppStatus) -> usize {
    let slots = status.herd.iter().flat_map(|herd| &herd.slots);
    let workers = slots.flat_map(|slot| &slot.workers);
    workers.filter(|worker| worker.phase == "starting").count()
}

fn generation(status: &AppStatus) -> u64 {
    status.herd.as_ref().map_or(0, |herd| herd.generation)
}

fn done(mut child: Child) {
    assert!(child.wait().unwrap().success());
}

#[test]
fn so_many_are_replaced_at_a_time_as_the_options_say() {
    let place = Place::new("o-surge");
    place.daemon();
    let more = "-i 3 --ready-after 20ms --soak 50ms";
    place.starts(&format!("-n beyond {more}"), IDLES);
    place.starts(&format!("-n instead {more}"), IDLES);
    // It takes a while until they count as ready: then one sees how many there are.
    let reload = |line: &str| {
        let line = format!("reload {line} --ready-after 2s");
        place.herder(line.split_whitespace()).spawn().unwrap()
    };
    let beyond = reload("beyond --surge 3");
    let instead = reload("instead --max-unavailable 2");
    let all = place.until("beyond", |it| starting(it) == 3);
    assert_eq!(all.ready, 3, "those of before serve");
    let fewer = place.until("instead", |it| starting(it) == 3);
    assert!(fewer.ready <= 1, "{fewer:?}");
    done(beyond);
    done(instead);
    place.does("stop all --now");
}

#[test]
fn no_more_versions_leave_than_the_options_say() {
    let place = Place::new("o-versions");
    place.daemon();
    let stays = "trap '' TERM; while :; do sleep 0.1; done";
    let more = "--ready-after 20ms --soak 0 --grace 1h";
    place.starts(&format!("-n one {more} --max-generations 1"), stays);
    place.starts(&format!("-n usual {more}"), stays);
    let reloaded = |name: &str| {
        let pid = pids(&place.app(name))[0];
        place.does(&format!("reload {name}"));
        pid
    };
    let (first, other) = (reloaded("one"), reloaded("usual"));
    assert!(lives(first) && lives(other));
    let newest = |name: &str| {
        let status = place.app(name);
        let number = generation(&status);
        let workers = status
            .herd
            .unwrap()
            .slots
            .into_iter()
            .flat_map(|slot| slot.workers);
        let mut now = workers.filter(|worker| worker.generation == number);
        now.next().unwrap().pid
    };
    let second = newest("one");
    place.does("reload one");
    place.does("reload usual");
    attempt(|| (!lives(first)).then_some(())).expect("the oldest is one too many");
    assert!(lives(second) && lives(other));
    place.does("stop all --now");
}

#[test]
fn planned_replacements_rest_after_a_rollback() {
    let place = Place::new("o-latch");
    place.daemon();
    let text = "test -n \"$BAD\" && exit 1; exec sleep 1000";
    let more = "--ready-after 20ms --max-restarts 1 --max-lifetime 500ms --soak 300ms";
    place.starts(&format!("-n rests {more} --reload-latch 1h"), text);
    place.starts(&format!("-n goes-on {more} --reload-latch 0"), text);
    for name in ["rests", "goes-on"] {
        let mut reload = place.herder(["reload", name, "--update-env"]);
        let ran = ended(reload.env("BAD", "1"));
        assert_eq!(ran.status, Some(1), "{ran:?}");
    }
    let settled = place.until("rests", |it| it.ready == 1 && pids(it).len() == 1);
    let before = place.until("goes-on", |it| it.ready == 1);
    let third = |status: &AppStatus| status.restarts >= before.restarts + 3;
    place.until("goes-on", third);
    assert_eq!(pids(&place.app("rests")), pids(&settled));
}

#[test]
fn files_and_health_are_watched_as_the_options_say() {
    let place = Place::new("o-watch");
    place.daemon();
    let cwd = place.directory("cwd");
    fs::create_dir(cwd.join("src")).unwrap();
    let more = "--ready-after 20ms --soak 50ms";
    let options = format!(
        "-n web {more} --cwd {} --watch=src --ignore-watch=*.tmp --watch-delay 50",
        cwd.display()
    );
    place.starts(&options, IDLES);
    let first = place.until("web", |it| it.watching);
    fs::write(cwd.join("beside.js"), "x").unwrap();
    fs::write(cwd.join("src/a.tmp"), "x").unwrap();
    fs::write(cwd.join("src/a.js"), "x").unwrap();
    place.until("web", |it| generation(it) == generation(&first) + 1);
    let log = place.complaints();
    assert!(log.contains("src/a.js changed: new workers"), "{log}");
    place.does("restart web --no-watch");
    assert!(!place.app("web").watching);

    // Nobody is there who would answer, and that counts from the start.
    let nobody = place.root().join("nobody");
    let options = format!(
        "-n ill {more} --health unix:{} --health-interval 50ms --health-timeout 1s --health-failures 2 \
         --health-start-period 0",
        nobody.display()
    );
    place.starts(&options, IDLES);
    // The same, but its first hour does not count.
    place.starts(
        &options
            .replace("-n ill", "-n young")
            .replace("period 0", "period 1h"),
        IDLES,
    );
    let replaced = |name: &str| {
        let history = place.wait(async { place.client().history(name, 100).await.unwrap() });
        history.iter().any(|it| it.reason == Reason::Health)
    };
    attempt(|| replaced("ill").then_some(())).expect("it is found out");
    assert!(!replaced("young"));
    place.does("stop all --now");
}
