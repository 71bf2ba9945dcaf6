//! Apps are started, stopped, and asked for things.

use herder_api::app::Restart;
use herder_api::control::{Known, Progress, ScaleTo, Verb};
use herder_api::problem::ProblemKind;
use herder_api::status::AppPhase;

use super::kit::{Place, action, attempt, idle, kill, lives, pids, script};

#[test]
fn an_app_is_started_stopped_restarted_and_deleted() {
    let place = Place::new("life");
    place.daemon();
    let told = place.start(&[idle("web")]);
    assert!(
        told.done("web").starts_with("1 worker ready in"),
        "{told:?}"
    );
    let slots = told
        .0
        .iter()
        .filter(|it| matches!(it, Progress::Slot { .. }));
    assert!(slots.count() >= 1, "{told:#?}");
    let first = place.app("web");
    assert_eq!(
        (first.phase, first.ready, first.id),
        (AppPhase::Online, 1, 0)
    );
    assert!(
        first.usage.is_some_and(|usage| usage.memory > 0),
        "{first:?}"
    );

    place.act(Verb::Stop { now: false }, "web").done("web");
    assert_eq!(place.app("web").phase, AppPhase::Stopped);
    assert!(pids(&first).iter().all(|pid| !lives(*pid)));
    place.act(Verb::Start, "0").done("web");
    let second = place.app("web");
    assert_eq!(second.phase, AppPhase::Online);
    assert_eq!(place.act(Verb::Start, "web").done("web"), "it runs already");

    place.act(Verb::Restart, "/^w/").done("web");
    assert_ne!(pids(&place.app("web")), pids(&second));
    place.act(Verb::Delete, "default").done("web");
    assert!(place.find("web").is_none());
    assert!(!place.home().join("state/herds/web.json").exists());
    assert!(!place.home().join("run/web.lock").exists());
}

#[test]
fn r12_a_first_start_that_fails_says_why_and_is_not_repeated() {
    let place = Place::new("broken");
    place.daemon();
    let mut app = script("web", "echo no database >&2; exit 7");
    // However slow the machine is, it does not live for so long.
    app.ready_after = Some(herder_api::units::Period::secs(20));
    app.max_restarts = Some(1);
    app.restart_delay = Some(herder_api::app::Delay::Fixed(
        herder_api::units::Period::millis(10),
    ));
    let told = place.start(&[app]);
    let problem = told.failed("web");
    assert_eq!(problem.kind, ProblemKind::BootFailed, "{problem:?}");
    assert!(
        problem
            .last_lines
            .iter()
            .any(|line| line.contains("no database")),
        "{problem:?}"
    );
    assert_eq!(told.end(), (0, 1));
    let status = place.app("web");
    assert_eq!(status.phase, AppPhase::Errored);
    assert!(!status.note.unwrap_or_default().contains("tried again"));
    // With a definition that works it starts.
    place
        .start_known(&[idle("web")], Known::Restart)
        .done("web");
    assert_eq!(place.app("web").phase, AppPhase::Online);
}

#[test]
fn an_address_that_is_taken_is_said_to_be() {
    let place = Place::new("taken");
    place.daemon();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut app = idle("web");
    app.listen = vec![taken.local_addr().unwrap().to_string()];
    let told = place.start(&[app]);
    let problem = told.failed("web");
    assert_eq!(problem.kind, ProblemKind::CannotListen, "{problem:?}");
    assert!(problem.message.contains("127.0.0.1"), "{problem:?}");
}

#[test]
fn a_job_that_is_done_is_done() {
    let place = Place::new("job");
    place.daemon();
    let mut app = script("job", "echo finished; exit 0");
    app.restart = Restart::Never;
    place.start(&[app]).done("job");
    place.until_phase("job", AppPhase::Done);
    // The daemon's death makes no other of it.
    place.kill_daemon();
    place.daemon();
    assert_eq!(place.app("job").phase, AppPhase::Done);
    let mut bad = script("bad", "echo oh dear; exit 3");
    bad.restart = Restart::Never;
    let told = place.start(&[bad]);
    let problem = told.failed("bad");
    assert!(
        problem
            .last_lines
            .iter()
            .any(|line| line.contains("oh dear")),
        "{problem:?}"
    );
}

#[test]
fn a_herd_is_scaled_signalled_reset_and_its_logs_emptied() {
    let place = Place::new("asked");
    place.daemon();
    place
        .start(&[script("web", "echo hello; exec sleep 1000")])
        .done("web");
    place.act(Verb::Scale(ScaleTo::By(2)), "web").done("web");
    let three = place.until("web", |status| status.ready == 3);
    assert_eq!(three.workers, 3);
    place.act(Verb::Scale(ScaleTo::To(2)), "web").done("web");
    place.until("web", |status| pids(status).len() == 2);

    let log = place.home().join("logs/web-out.log");
    let length = || {
        std::fs::metadata(&log)
            .ok()
            .filter(|it| it.len() > 0)
            .map(|_| ())
    };
    attempt(length).expect("it prints");
    place.act(Verb::Flush, "web").done("web");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    place.act(Verb::ReopenLogs, "web").done("web");
    place.act(Verb::Reset, "web").done("web");
    let told = place.act(
        Verb::Signal {
            signal: "CONT".to_owned(),
        },
        "web",
    );
    assert_eq!(told.done("web"), "told 2 workers");

    // What was scaled stays so.
    place.act(Verb::Restart, "web").done("web");
    assert_eq!(place.app("web").ready, 2);
    place.act(Verb::Stop { now: true }, "web").done("web");
    std::fs::write(&log, "old").unwrap();
    place.act(Verb::Flush, "web").done("web");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    let told = place.act(
        Verb::Signal {
            signal: "HUP".to_owned(),
        },
        "web",
    );
    assert_eq!(told.failed("web").kind, ProblemKind::Conflict);
}

#[test]
fn r38_a_reload_that_fails_changes_nothing() {
    let place = Place::new("rollback");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let before = pids(&place.app("web"));
    let mut bad = script("web", "echo cannot work; exit 1");
    bad.max_restarts = Some(1);
    let told = place.start_known(&[bad], Known::Reload);
    let problem = told.failed("web");
    assert_eq!(problem.kind, ProblemKind::Failed, "{problem:?}");
    assert!(
        problem
            .last_lines
            .iter()
            .any(|line| line.contains("cannot work")),
        "{problem:?}"
    );
    // Who was to come leaves, if it has not.
    place.until("web", |it| pids(it) == before);
    let order = std::fs::read_to_string(place.home().join("state/herds/web.json")).unwrap();
    assert!(
        order.contains("sleep") && !order.contains("cannot work"),
        "{order}"
    );
    // What it was it still is: it can be restarted.
    place.act(Verb::Restart, "web").done("web");

    let mut good = idle("web");
    good.env
        .insert("A".to_owned(), herder_api::app::Scalar::Integer(1));
    let told = place.start_known(&[good], Known::Reload);
    assert!(told.done("web").contains("generation 2"), "{told:?}");
    let detail = place.wait(async { place.client().app("web").await.unwrap() });
    assert!(detail.app.env.contains_key("A"));
}

#[test]
fn settings_change_with_a_restart_and_bad_ones_change_nothing() {
    let place = Place::new("settings");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let mut change = action(Verb::Restart, "web");
    change.settings.insert("workers".to_owned(), 2.into());
    place
        .told(async { place.client().act(&change).await })
        .done("web");
    assert_eq!(place.app("web").ready, 2);
    let before = pids(&place.app("web"));
    for (setting, value) in [
        ("workers", serde_json::json!(0)),
        ("wrokers", serde_json::json!(2)),
        ("name", serde_json::json!("other")),
        ("depends_on", serde_json::json!(["web"])),
        ("depends_on", serde_json::json!(["nobody"])),
    ] {
        let mut change = action(Verb::Restart, "web");
        change.settings.insert(setting.to_owned(), value);
        let refused = place.wait(async { place.client().act(&change).await });
        let error = refused.map(drop).expect_err(setting);
        assert_eq!(
            error.problem().kind,
            ProblemKind::Invalid,
            "{setting}: {error:?}"
        );
    }
    assert_eq!(pids(&place.app("web")), before);
}

#[test]
fn who_is_not_there_is_said_with_who_may_be_meant() {
    let place = Place::new("unknown");
    place.daemon();
    place.start(&[idle("website")]).done("website");
    let refused = place.wait(async {
        let asked = action(Verb::Restart, "wbesite");
        place.client().act(&asked).await.err().unwrap()
    });
    let problem = refused.problem();
    assert_eq!(problem.kind, ProblemKind::NotFound);
    assert_eq!(problem.hint.as_deref(), Some("did you mean website?"));
    let refused = place.wait(async {
        let asked = action(Verb::Restart, "/(/");
        place.client().act(&asked).await.err().unwrap()
    });
    assert_eq!(refused.problem().kind, ProblemKind::Invalid);
}

#[test]
fn r54_names_that_are_no_names_are_refused() {
    let place = Place::new("names");
    place.daemon();
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../../etc/x",
        "-rf",
        "a\nb",
        "a\0b",
        &"x".repeat(65),
    ] {
        let start = herder_api::control::Start {
            apps: vec![idle(name)],
            environment: super::kit::environment(),
            profile: None,
            known: Known::Refuse,
            sources: std::collections::BTreeMap::new(),
        };
        let refused = place.wait(async { place.client().start(&start).await.err() });
        let error = refused.unwrap_or_else(|| panic!("{name:?} was taken"));
        assert_eq!(
            error.problem().kind,
            ProblemKind::Invalid,
            "{name:?} {error:?}"
        );
    }
    assert!(
        place
            .wait(async { place.client().apps(&[]).await.unwrap() })
            .is_empty()
    );
}

#[test]
fn an_app_that_runs_is_reloaded_with_the_environment_that_it_is_started_with_again() {
    let place = Place::new("again");
    place.daemon();
    let mut web = script("web", "echo \"mark=$MARK\"; exec sleep 1000");
    web.logs.format = herder_api::app::LogFormat::Raw;
    place.start(&[web]).done("web");
    let first = pids(&place.app("web"));
    let mut again = action(Verb::Start, "web");
    let mut environment = super::kit::environment();
    environment.insert("MARK".to_owned(), "new".to_owned());
    again.environment = Some(environment);
    let told = place.told(async { place.client().act(&again).await });
    assert!(told.done("web").contains("generation 2 serves"), "{told:?}");
    assert_ne!(pids(&place.app("web")), first);
    let log = || std::fs::read_to_string(place.home().join("logs/web-out.log")).unwrap();
    attempt(|| log().contains("mark=new\n").then_some(())).expect("it is in its environment");
    // The same once more is nothing new.
    let told = place.told(async { place.client().act(&again).await });
    assert_eq!(told.done("web"), "it runs already");
}

#[test]
fn a_reload_that_is_refused_leaves_the_definition_that_held() {
    let place = Place::new("refused");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let order = place.home().join("state/herds/web.json");
    let before = std::fs::read_to_string(&order).unwrap();
    let mut reload = action(Verb::Reload, "web");
    let broken = serde_json::json!(["sh", "-c", "exit 7"]);
    reload.settings.insert("command".to_owned(), broken);
    reload
        .settings
        .insert("ready_after".to_owned(), "20s".into());
    let told = place.told(async { place.client().act(&reload).await });
    let problem = told.failed("web");
    assert!(problem.message.contains("rolled back"), "{problem:?}");
    assert_eq!(std::fs::read_to_string(&order).unwrap(), before);
    // The next master, the next keeper and the next daemon find it so.
    let herd = place.app("web").herd.unwrap();
    kill(herd.master);
    let next = place.until("web", |status| {
        let master = status.herd.as_ref().map(|herd| herd.master);
        status.phase == AppPhase::Online && master.is_some_and(|it| it != herd.master)
    });
    let pid = pids(&next)[0];
    kill(pid);
    let again = place.until("web", |status| {
        status.phase == AppPhase::Online && pids(status).first().is_some_and(|it| *it != pid)
    });
    let herd = again.herd.clone().unwrap();
    place.kill_daemon();
    kill(herd.keeper);
    kill(herd.master);
    pids(&again).into_iter().for_each(kill);
    place.daemon();
    place.until_phase("web", AppPhase::Online);
    assert_eq!(std::fs::read_to_string(&order).unwrap(), before);
}
