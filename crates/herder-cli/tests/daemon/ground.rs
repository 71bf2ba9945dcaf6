//! Something of the home is taken away while the daemon runs.

use std::fs;

use herder_api::control::Verb;
use herder_api::status::AppPhase;

use super::kit::{Place, attempt, idle, lives, pids, script};

#[test]
fn a_home_that_is_removed_takes_everything_in_it_along() {
    let place = Place::new("gone");
    let guard = place.daemon();
    place.start(&[idle("web"), idle("api")]);
    let status = place.app("web");
    let mut all = pids(&status);
    all.extend(pids(&place.app("api")));
    let herd = status.herd.unwrap();
    all.extend([guard, place.proper(), herd.keeper, herd.master]);
    fs::remove_dir_all(place.home()).unwrap();
    place.bury();
    let left = || all.iter().copied().filter(|pid| lives(*pid));
    attempt(|| (left().count() == 0).then_some(())).expect("nothing is left");
    assert!(
        place.complaints().contains("stopped in order"),
        "it says why"
    );
    // Whoever comes next finds nothing in his way.
    place.daemon();
    assert!(place.find("web").is_none());
}

#[test]
fn a_socket_that_is_removed_is_made_again() {
    let place = Place::new("socket");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let before = pids(&place.app("web"));
    fs::remove_file(place.home().join("herder.sock")).unwrap();
    attempt(|| place.answers().then_some(())).expect("it listens again");
    let after = place.until_phase("web", AppPhase::Online);
    assert_eq!(pids(&after), before);
    assert!(place.complaints().contains("home_removed"));
}

#[test]
fn a_list_that_is_removed_is_written_again() {
    let place = Place::new("state");
    place.daemon();
    place.start(&[idle("web"), idle("off")]);
    place.act(Verb::Stop { now: false }, "off").done("off");
    let (before, proper) = (pids(&place.app("web")), place.proper());
    fs::remove_dir_all(place.home().join("state")).unwrap();
    attempt(|| place.another(proper)).expect("another daemon");
    assert_eq!(pids(&place.until_phase("web", AppPhase::Online)), before);
    assert_eq!(place.app("off").phase, AppPhase::Stopped);
    place.kill_daemon();
    place.daemon();
    assert_eq!(pids(&place.until_phase("web", AppPhase::Online)), before);
    place.act(Verb::Start, "off").done("off");
}

#[test]
fn log_files_that_are_removed_are_made_again() {
    let place = Place::new("nologs");
    place.daemon();
    let talks = "while echo word; do sleep 0.05; done";
    place.start(&[script("web", talks)]).done("web");
    let before = pids(&place.app("web"));
    fs::remove_dir_all(place.home().join("logs")).unwrap();
    let log = place.home().join("logs/web-out.log");
    let written = || fs::read_to_string(&log).is_ok_and(|text| text.contains("word"));
    attempt(|| written().then_some(())).expect("lines come");
    assert_eq!(pids(&place.app("web")), before);
}

#[test]
fn a_lock_that_is_removed_is_told_of_until_it_is_there_again() {
    let place = Place::new("locks");
    place.daemon();
    place.start(&[idle("web"), idle("api")]);
    let before = pids(&place.app("web"));
    let told = |text: &str| place.warnings().iter().any(|it| it.contains(text));
    fs::remove_file(place.home().join("run/web.lock")).unwrap();
    attempt(|| told("herder restart web").then_some(())).expect("it is noticed");
    assert_eq!(place.warnings().len(), 1, "{:?}", place.warnings());
    assert_eq!(pids(&place.app("web")), before, "nobody was touched");
    place.act(Verb::Restart, "web").done("web");
    assert_eq!(place.warnings(), [""; 0], "it is there again");
    // Another daemon finds it.
    let after = pids(&place.app("web"));
    place.kill_daemon();
    place.daemon();
    assert_eq!(pids(&place.until_phase("web", AppPhase::Online)), after);
    fs::remove_file(place.home().join("daemon.lock")).unwrap();
    attempt(|| told("daemon.lock was removed").then_some(())).expect("its own, too");
}
