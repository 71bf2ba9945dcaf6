//! The list is kept, saved, applied.

use std::collections::BTreeMap;
use std::fs;

use herder_api::App;
use herder_api::app::Scalar;
use herder_api::control::{Apply, Known, Progress, Start, StepKind, StopDaemon, Verb};
use herder_api::problem::ProblemKind;
use herder_api::status::AppPhase;

use super::kit::{Place, attempt, environment, idle, pids};

fn applied(apps: &[App]) -> Apply {
    Apply {
        apps: apps.to_vec(),
        environment: environment(),
        profile: None,
        source: Some("/srv/herder.toml".into()),
        partial: false,
        fingerprint: None,
    }
}

fn steps(place: &Place, apply: &Apply) -> Vec<(String, StepKind)> {
    let plan = place.wait(async { place.client().plan(apply).await.unwrap() });
    plan.steps
        .into_iter()
        .map(|step| (step.app, step.step))
        .collect()
}

#[test]
fn a_file_is_applied_and_only_what_differs_is_touched() {
    let place = Place::new("apply");
    place.daemon();
    let first = applied(&[idle("web"), idle("api"), idle("old")]);
    assert!(
        steps(&place, &first)
            .iter()
            .all(|(_, step)| *step == StepKind::Start)
    );
    let told = place.told(async { place.client().apply(&first).await });
    assert_eq!(told.end(), (3, 0));
    assert!(
        steps(&place, &first)
            .iter()
            .all(|(_, step)| *step == StepKind::Keep)
    );
    let before = pids(&place.app("api"));

    let mut web = idle("web");
    web.env
        .insert("PASSWORD".to_owned(), Scalar::Text("one".to_owned()));
    let mut api = idle("api");
    api.namespace = "back".to_owned();
    let mut next = applied(&[web.clone(), api.clone(), idle("new")]);
    let plan = place.wait(async { place.client().plan(&next).await.unwrap() });
    let kinds: BTreeMap<&str, StepKind> = plan
        .steps
        .iter()
        .map(|it| (it.app.as_str(), it.step))
        .collect();
    assert_eq!(
        kinds,
        BTreeMap::from([
            ("old", StepKind::Delete),
            ("api", StepKind::Update),
            ("web", StepKind::Reload),
            ("new", StepKind::Start),
        ])
    );
    assert_eq!(plan.steps[0].app, "old", "the order in which they are done");
    assert!(!format!("{plan:?}").contains("one\""), "{plan:?}");

    // Another secret is another plan, though both look the same.
    next.fingerprint = Some(plan.fingerprint.clone());
    web.env
        .insert("PASSWORD".to_owned(), Scalar::Text("two".to_owned()));
    let other = Apply {
        apps: vec![web, api, idle("new")],
        ..next.clone()
    };
    let refused = place.wait(async { place.client().apply(&other).await.err().unwrap() });
    assert_eq!(refused.problem().kind, ProblemKind::Conflict);
    let told = place.told(async { place.client().apply(&next).await });
    assert_eq!(told.end(), (4, 0), "{told:?}");
    assert!(place.find("old").is_none());
    assert_eq!(pids(&place.app("api")), before);
    assert_eq!(place.app("api").namespace, "back");
    assert_eq!(place.app("new").phase, AppPhase::Online);
}

#[test]
fn what_was_started_from_a_file_is_deleted_when_it_is_not_in_it_any_more() {
    let place = Place::new("sources");
    place.daemon();
    let file = std::path::PathBuf::from("/srv/herder.toml");
    let start = Start {
        apps: vec![idle("web"), idle("old"), idle("own")],
        environment: environment(),
        profile: None,
        known: Known::Refuse,
        sources: ["web", "old"]
            .map(|name| (name.to_owned(), file.clone()))
            .into(),
    };
    place.told(async { place.client().start(&start).await });
    // Started again without a file, it is still that file's.
    place
        .start_known(&[idle("old")], Known::Restart)
        .done("old");
    place.kill_daemon();
    place.daemon();
    let mut part = applied(&[idle("web")]);
    part.partial = true;
    assert_eq!(steps(&place, &part), [("web".to_owned(), StepKind::Keep)]);
    let whole = applied(&[idle("web")]);
    let told = place.told(async { place.client().apply(&whole).await });
    told.done("old");
    assert!(place.find("old").is_none());
    assert!(place.find("own").is_some(), "no file has it");
}

#[test]
fn what_was_saved_comes_back() {
    let place = Place::new("saved");
    place.daemon();
    let refused = place.wait(async { place.client().save().await.err().unwrap() });
    assert_eq!(refused.problem().kind, ProblemKind::Conflict);
    let refused = place.wait(async { place.client().resurrect().await.err().unwrap() });
    assert_eq!(refused.problem().kind, ProblemKind::NotFound);
    place.start(&[idle("web"), idle("off")]);
    place.act(Verb::Stop { now: false }, "off").done("off");
    place.told(async { place.client().save().await });
    place.act(Verb::Delete, "all");
    let told = place.told(async { place.client().resurrect().await });
    told.done("web");
    assert_eq!(place.app("web").phase, AppPhase::Online);
    assert_eq!(place.app("off").phase, AppPhase::Stopped);
}

#[test]
fn apps_that_ended_with_the_daemon_wait_for_a_resurrection() {
    let place = Place::new("ended");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let stop = StopDaemon { leave_apps: false };
    place
        .told(async { place.client().stop_daemon(stop).await })
        .done("web");
    place.bury();
    place.daemon();
    let status = place.app("web");
    assert_eq!(status.phase, AppPhase::Stopped);
    let note = "it ended with the daemon; herder resurrect starts it again";
    assert_eq!(status.note.as_deref(), Some(note));
    place
        .told(async { place.client().resurrect().await })
        .done("web");
}

#[test]
fn apps_that_are_left_are_found_again() {
    let place = Place::new("left");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let before = pids(&place.app("web"));
    let stop = StopDaemon { leave_apps: true };
    place.told(async { place.client().stop_daemon(stop).await });
    place.bury();
    place.daemon();
    assert_eq!(pids(&place.app("web")), before);
}

#[test]
fn a_list_that_is_broken_is_taken_from_the_one_before() {
    let place = Place::new("broken");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let before = pids(&place.app("web"));
    place.kill_daemon();
    let list = place.home().join("state/apps.json");
    fs::write(&list, &fs::read(&list).unwrap()[..40]).unwrap();
    place.daemon();
    assert_eq!(pids(&place.app("web")), before);
    assert!(place.home().join("state/apps.json.broken").exists());
    assert!(place.complaints().contains("apps.json"));

    // Both are gone: the herd itself is known by its order.
    place.kill_daemon();
    fs::remove_file(&list).unwrap();
    fs::remove_file(list.with_extension("json.bak")).unwrap();
    place.daemon();
    assert_eq!(pids(&place.app("web")), before);
}

#[test]
fn another_start_of_the_machine_starts_what_ran() {
    let place = Place::new("boot");
    place.daemon();
    let mut manual = idle("manual");
    manual.autostart = false;
    place.start(&[idle("web"), idle("off"), manual]);
    assert_eq!(place.app("manual").phase, AppPhase::Stopped);
    place.act(Verb::Start, "manual").done("manual");
    place.act(Verb::Stop { now: false }, "off").done("off");
    let stop = StopDaemon { leave_apps: false };
    place.told(async { place.client().stop_daemon(stop).await });
    place.bury();
    let path = place.home().join("state/apps.json");
    let text = fs::read_to_string(&path).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(&path, text.replace(boot.trim(), "another")).unwrap();
    place.daemon();
    place.until_phase("web", AppPhase::Online);
    assert_eq!(place.app("off").phase, AppPhase::Stopped);
    assert_eq!(place.app("manual").phase, AppPhase::Stopped);
}

#[test]
fn r59_secrets_are_not_shown() {
    let place = Place::new("secret");
    place.daemon();
    let mut app = idle("web");
    app.env
        .insert("API_TOKEN".to_owned(), Scalar::Text("canary".to_owned()));
    place.start(&[app]).done("web");
    let detail = place.wait(async { place.client().app("web").await.unwrap() });
    let environment = place.wait(async { place.client().environment("web").await.unwrap() });
    let shown = format!("{detail:?}{environment:?}{}", place.complaints());
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(
        environment.get("API_TOKEN").map(String::as_str),
        Some("***")
    );
}

#[test]
fn who_changes_a_list_that_cannot_be_written_is_told_and_it_is_written_later() {
    let place = Place::new("unwritten");
    place.daemon();
    place.start(&[idle("web")]);
    let obstacle = place.home().join("state/.apps.json.new");
    fs::create_dir(&obstacle).unwrap();
    let told = place.act(Verb::Stop { now: false }, "web");
    assert_eq!(told.end(), (1, 0));
    let why = "the list of apps cannot be written";
    let is_warning =
        |progress: &Progress| matches!(progress, Progress::Note { text, .. } if text.contains(why));
    assert!(told.0.iter().any(is_warning), "{told:?}");

    fs::remove_dir(&obstacle).unwrap();
    let written = || place.complaints().contains("could be written again");
    attempt(|| written().then_some(())).expect("it is tried again");
    place.kill_daemon();
    place.daemon();
    place.until_phase("web", AppPhase::Stopped);
    let told = place.act(Verb::Start, "web");
    assert!(!told.0.iter().any(is_warning), "{told:?}");
}

#[test]
fn an_app_that_was_started_before_the_list_was_written_is_found_by_the_next_daemon() {
    let place = Place::new("unlisted");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    // From here on the daemon is as one that dies before it has written the list.
    let obstacle = place.home().join("state/.apps.json.new");
    fs::create_dir(&obstacle).unwrap();
    place.start(&[idle("late")]).done("late");
    place.act(Verb::Stop { now: false }, "web").done("web");
    place.act(Verb::Start, "web").done("web");
    let before = [pids(&place.app("web")), pids(&place.app("late"))];
    place.kill_daemon();
    fs::remove_dir(&obstacle).unwrap();
    let list = fs::read_to_string(place.home().join("state/apps.json")).unwrap();
    assert!(!list.contains("late"), "{list}");
    place.daemon();
    let after = [pids(&place.app("web")), pids(&place.app("late"))];
    assert_eq!(after, before, "they go on, and there is one of each");
    let written = || fs::read_to_string(place.home().join("state/apps.json")).unwrap();
    attempt(|| written().contains("late").then_some(())).expect("it is in the list from now on");
    place.act(Verb::Delete, "late").done("late");
}

#[test]
fn a_list_that_cannot_be_backed_up_is_written() {
    let place = Place::new("no-backup");
    place.daemon();
    fs::create_dir(place.home().join("state/.apps.json.old")).unwrap();
    place.start(&[idle("web")]);
    place.kill_daemon();
    let list = fs::read_to_string(place.home().join("state/apps.json")).unwrap();
    assert!(list.contains("web"), "{list}");
}
