//! Herds that are run from orders, as the daemon runs them: what a worker finds, and what a reload takes over.

use herder_e2e::herd::Signal;
use herder_e2e::order::Order;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::time::Duration;

const BOOT: Duration = Duration::from_secs(20);

/// A program that does nothing, in the version `A`.
fn app(version: u32, more: Value) -> Value {
    let mut app = json!({
        "name": "web",
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "env": {"A": version},
        "workers": 2,
        "ready_after": "200ms",
        "soak": "200ms",
        "grace": "5s",
    });
    let (all, more) = (app.as_object_mut().expect("an object"), more);
    all.extend(more.as_object().expect("an object").clone());
    app
}

/// The versions of the workers, by their variable.
fn versions(workers: &[herder_e2e::order::Worker]) -> Vec<String> {
    let version = |it: &herder_e2e::order::Worker| it.variable("A").unwrap_or_default();
    workers.iter().map(version).collect()
}

#[test]
fn a_worker_finds_the_environment_that_the_order_gives_it() {
    let scene = Scene::new("order_env");
    let mut order = Order::new(&scene);
    let more = [("KEPT", "yes"), ("SECRET", "no"), ("LISTEN_FDS", "7")];
    let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
    order.inherited.extend(more);
    order.profile = Some("staging".to_owned());
    order.write(&app(
        1,
        json!({
            "env": {"A": 1, "PORT": 8000, "STAGE": "none"},
            "profiles": {"staging": {"STAGE": "staging"}},
            "env_remove": ["SECRET"],
            "increment_var": "PORT",
            "instance_var": "MY_SLOT",
        }),
    ));
    let (herd, mut desk) = order.start(&scene, 2);
    for worker in desk.workers() {
        let of = |name: &str| worker.variable(name);
        let slot = worker.slot.to_string();
        assert_eq!(of("KEPT").as_deref(), Some("yes"));
        assert_eq!(of("SECRET"), None);
        assert_eq!(of("LISTEN_FDS"), None);
        assert_eq!(of("STAGE").as_deref(), Some("staging"));
        assert_eq!(of("PORT"), Some((8000 + worker.slot).to_string()));
        assert_eq!(of("MY_SLOT"), Some(slot.clone()));
        assert_eq!(of("HERDER_SLOT"), Some(slot));
        // That is the master's.
        assert_eq!(of("HERDER_HOME"), None);
    }
    assert!(herd.end().success());
}

#[test]
fn a_reload_takes_over_what_the_order_says_now() {
    let scene = Scene::new("order_reload");
    let order = Order::new(&scene);
    order.write(&app(1, json!({})));
    let (herd, mut desk) = order.start(&scene, 2);
    let place = scene.directory().join("place");
    std::fs::create_dir(&place).expect("ours");
    let next = json!({
        "command": ["python3", "-u", "-c", "import signal; signal.pause()"],
        "cwd": place,
        "workers": 3,
        "grace": "1s",
    });
    order.write(&app(2, next));
    let verdict = desk.reload();
    assert_eq!(verdict["outcome"], "done", "{verdict}");
    let workers = desk.wait_for_ready(3, |it| it.generation == 2);
    assert_eq!(versions(&workers), ["2", "2", "2"]);
    for worker in &workers {
        let proc = format!("/proc/{}", worker.pid);
        let cwd = std::fs::read_link(format!("{proc}/cwd")).expect("it lives");
        assert_eq!(cwd, place);
        let line = std::fs::read(format!("{proc}/cmdline")).expect("it lives");
        let line = String::from_utf8_lossy(&line);
        assert!(line.contains("\0-u\0"), "{line:?}");
    }
    assert!(herd.end().success());
}

#[test]
fn r38_an_order_that_is_wrong_changes_nothing() {
    let scene = Scene::new("order_wrong");
    let order = Order::new(&scene);
    order.write(&app(1, json!({})));
    let (herd, mut desk) = order.start(&scene, 2);
    let before = desk.workers();
    let refused = |desk: &mut herder_e2e::order::Desk, expected: &str| {
        let verdict = desk.reload();
        let reason = verdict["reason"].as_str().unwrap_or_default().to_owned();
        assert_eq!(verdict["outcome"], "refused", "{verdict}");
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(desk.workers(), before, "who served, serves");
    };
    for (more, expected) in [
        (
            json!({"listen": "127.0.0.1:0", "bus": true}),
            "listen, libraries and bus cannot be changed by a reload",
        ),
        (
            json!({"command": ["no-such-program-here"]}),
            "there is no program \"no-such-program-here\"",
        ),
        (
            json!({"boot_timeout": "100ms"}),
            "ready_after 200ms: a worker that is not ready within boot_timeout (100ms) is killed",
        ),
        (
            json!({"cwd": "/no/such/directory"}),
            "cwd \"/no/such/directory\": No such file or directory",
        ),
        (
            json!({"script": "x.js", "command": []}),
            "cannot read the script",
        ),
    ] {
        order.write(&app(2, more));
        refused(&mut desk, expected);
    }
    order.damage("{\n\"app\": 1");
    refused(&mut desk, "line 2");
    order.write(&app(3, json!({})));
    let verdict = desk.reload();
    assert_eq!(verdict["outcome"], "done", "{verdict}");
    let workers = desk.wait_for_ready(2, |it| it.generation == 2);
    assert_eq!(versions(&workers), ["3", "3"]);
    assert!(herd.end().success());
}

#[test]
fn r38_a_definition_that_fails_is_rolled_back_with_its_policies() {
    let scene = Scene::new("order_back");
    let order = Order::new(&scene);
    order.write(&app(1, json!({"stop_signal": "INT"})));
    let (herd, mut desk) = order.start(&scene, 2);
    let before = desk.workers();
    let bad = json!({"command": ["sh", "-c", "exit 3"], "workers": 4, "stop_signal": "USR1"});
    order.write(&app(2, bad));
    let verdict = desk.reload();
    assert_eq!(verdict["outcome"], "rolled_back", "{verdict}");
    let reason = verdict["reason"].as_str().expect("a text");
    assert!(reason.contains("exit status 3"), "{reason}");
    assert_eq!(desk.wait_for_ready(2, |_| true), before);
    // Who is started now is of what serves, and not of what stands in the file.
    herd.signal_to(before[0].pid, Signal::KILL);
    let workers = desk.wait_for_ready(2, |it| it.pid != before[0].pid);
    assert_eq!(versions(&workers), ["1", "1"]);
    assert!(herd.end().success());
}

#[test]
fn r38_what_serves_outlives_its_master_and_its_order() {
    let scene = Scene::new("order_heir");
    let order = Order::new(&scene);
    order.write(&app(1, json!({})));
    let (herd, mut desk) = order.start(&scene, 2);
    order.write(&app(2, json!({"restart_delay": "100ms"})));
    assert_eq!(desk.reload()["outcome"], "done");
    let before = desk.wait_for_ready(2, |it| it.generation == 2);
    for text in ["{", "{}"] {
        order.damage(text);
        let master = herd.master().expect("a master lives").pid;
        herd.signal_to(master, Signal::KILL);
        wait::until(BOOT, "another master is there", || {
            herd.master().filter(|it| it.pid != master)
        });
        desk = order.desk();
        assert_eq!(desk.wait_for_ready(2, |_| true), before);
    }
    herd.signal_to(before[1].pid, Signal::KILL);
    let workers = desk.wait_for_ready(2, |it| it.pid != before[1].pid);
    assert_eq!(versions(&workers), ["2", "2"]);
    let verdict = desk.reload();
    assert_eq!(verdict["outcome"], "refused", "{verdict}");
    assert!(herd.end().success());
}

#[test]
fn r31_an_upgrade_goes_on_with_what_serves() {
    let scene = Scene::new("order_upgrade");
    let order = Order::new(&scene);
    order.write(&app(1, json!({})));
    let (herd, mut desk) = order.start(&scene, 2);
    let before = desk.workers();
    order.write(&app(2, json!({"listen": "127.0.0.1:0"})));
    let answer = desk.ask(&json!({"verb": "upgrade"}));
    let verdict = &answer["Ok"]["verdict"];
    assert_eq!(verdict["outcome"], "done", "{answer}");
    let mut desk = order.desk();
    assert_eq!(desk.workers(), before);
    let verdict = desk.reload();
    let reason = verdict["reason"].as_str().expect("a text");
    assert!(reason.starts_with("listen cannot be changed"), "{reason}");
    assert!(herd.end().success());
}

#[test]
fn the_built_in_library_lives_by_the_definition_that_holds() {
    let scene = Scene::new("order_library");
    let order = Order::new(&scene);
    let shared = json!({"state": {"sessions": "memory"}, "bus": true});
    order.write(&app(1, shared));
    let (herd, mut desk) = order.start(&scene, 2);
    let library = herd.titled("herder: library web/herder").pop();
    let library = library.expect("there is one").pid;
    order.damage("{");
    herd.signal_to(library, Signal::KILL);
    let next = wait::until(BOOT, "its next life is ready", || {
        let status = desk.status();
        let other = status["others"].as_array()?.first()?.clone();
        (other["phase"] == "ready" && other["pid"] != library).then_some(other)
    });
    assert_eq!(next["part"], "library herder", "{next}");
    assert!(herd.end().success());
}

#[test]
fn an_order_that_cannot_be_is_an_error_that_says_why() {
    let scene = Scene::new("order_none");
    let order = Order::new(&scene);
    for (app, expected) in [
        (json!({"name": "a/b", "command": ["true"]}), "name: "),
        (json!({"name": "web"}), "say what is to run"),
        (
            json!({"name": "web", "command": ["true"], "watchdog": 0}),
            "watchdog: it must be more than 0",
        ),
        (
            json!({"name": "web", "command": ["true"], "increment_var": "NOWHERE"}),
            "increment_var: there is no variable NOWHERE",
        ),
        (
            json!({"name": "web", "command": ["true"], "dispatch": "pass"}),
            "dispatch = \"pass\": a foreign program has no channel",
        ),
    ] {
        order.write(&app);
        let herd = order.setup(&scene).start();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2));
        let lines: Vec<String> = herd.lines().into_iter().map(|it| it.text).collect();
        assert!(lines.concat().contains(expected), "{lines:?}");
    }
}
