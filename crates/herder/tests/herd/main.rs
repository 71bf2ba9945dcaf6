//! Herds of processes. This program is a herd when it is told to be one, and else the test of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod harness;
mod program;
mod scene;

use std::process::ExitCode;

use crate::harness::Test;
use crate::scene::Scene;

fn main() -> ExitCode {
    match std::env::var(program::SCENARIO) {
        Ok(scenario) => program::main(&scenario),
        Err(_) => harness::main(&TESTS),
    }
}

const TESTS: [Test; 9] = [
    (
        "a_herd_serves_and_stops_with_0",
        a_herd_serves_and_stops_with_0,
    ),
    ("a_panic_is_replaced_at_once", a_panic_is_replaced_at_once),
    (
        "an_asynchronous_herd_survives_panics",
        an_asynchronous_herd_survives_panics,
    ),
    (
        "messages_are_jobs_of_one_worker_after_the_other",
        messages_are_jobs,
    ),
    (
        "messages_are_jobs_of_asynchronous_workers",
        messages_are_jobs_of_tasks,
    ),
    (
        "workers_share_listeners_when_asked",
        workers_share_listeners_when_asked,
    ),
    (
        "a_thread_before_init_is_an_error_with_the_cure",
        a_thread_before_init,
    ),
    ("a_cluster_without_init_is_an_error", a_cluster_without_init),
    ("a_wrong_setting_is_said_once", a_wrong_setting_is_said_once),
];

fn a_herd_serves_and_stops_with_0() {
    let mut scene = Scene::start("blocking");
    scene.wait_for("ready 0");
    scene.wait_for("ready 1");
    let answers: Vec<String> = (0..40).map(|_| scene.ask(b"x").unwrap()).collect();
    for slot in ["0", "1"] {
        let share = answers
            .iter()
            .filter(|answer| answer.starts_with(slot))
            .count();
        // How even exactly is the dispatcher's business, and tested there.
        assert!(share >= 10, "{answers:?}");
    }
    scene.terminate();
    let (status, lines) = scene.finish();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert_eq!(
        lines.iter().filter(|line| *line == "exit code 0").count(),
        2,
        "{lines:?}"
    );
    assert_eq!(
        lines.iter().filter(|line| *line == "master").count(),
        1,
        "{lines:?}"
    );
}

fn a_panic_is_replaced_at_once() {
    survive("blocking");
}

fn an_asynchronous_herd_survives_panics() {
    survive("asynchronous");
}

fn survive(scenario: &str) {
    let mut scene = Scene::start(scenario);
    scene.wait_for("ready 0");
    scene.wait_for("ready 1");
    for _ in 0..3 {
        // The panic cuts its own connection only.
        assert_eq!(scene.ask(b"p"), None);
        scene.wait_for("retired");
        scene.wait_for("exit code 1");
        scene.wait_for("ready");
    }
    assert!(scene.ask(b"x").is_some());
    scene.terminate();
    assert_eq!(scene.finish().0.code(), Some(0));
}

fn messages_are_jobs() {
    take_messages("messages");
}

fn messages_are_jobs_of_tasks() {
    take_messages("asynchronous-messages");
}

fn take_messages(scenario: &str) {
    let mut scene = Scene::start(scenario);
    scene.wait_for("ready 0");
    scene.wait_for("ready 1");
    let mut client = scene.connect();
    // Who gets which is the gateway's business, and a matter of time on a busy machine.
    for job in 1..=4 {
        let answer = client.ask("x");
        assert!(answer.ends_with(" x"), "{answer}");
        scene.wait_for(&format!("dispatched {job} to "));
    }
    scene.wait_for("exhausted");
    scene.wait_for("exit code 0");
    // The panic costs the worker, not the connection.
    let answer = client.ask("p");
    let told = answer.starts_with("message 5: worker ");
    assert!(
        told && answer.ends_with(" could not carry it out"),
        "{answer}"
    );
    scene.wait_for("retired");
    scene.wait_for("exit code 1");
    let answer = client.ask("x");
    assert!(answer.ends_with(" x"), "{answer}");
    scene.terminate();
    assert_eq!(client.rest(), "");
    assert_eq!(scene.finish().0.code(), Some(0));
}

fn workers_share_listeners_when_asked() {
    let mut scene = Scene::start("shared");
    scene.wait_for("ready 0");
    scene.wait_for("ready 1");
    for _ in 0..40 {
        assert!(scene.ask(b"x").is_some());
    }
    scene.terminate();
    assert_eq!(scene.finish().0.code(), Some(0));
}

fn a_thread_before_init() {
    let (status, errors) = scene::fail("early-thread");
    assert_eq!(status.code(), Some(70));
    assert!(errors.contains("the process has 2 threads"), "{errors}");
    assert!(
        errors.contains("instead of #[tokio::main] write `fn main()`"),
        "{errors}"
    );
}

fn a_cluster_without_init() {
    let (status, errors) = scene::fail("no-init");
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.starts_with("Error: herder::init() was not called"),
        "{errors}"
    );
}

fn a_wrong_setting_is_said_once() {
    let (status, errors) = scene::fail("wrong-setting");
    assert_eq!(status.code(), Some(1));
    assert_eq!(
        errors,
        "Error: Cluster::workers: an app has 1 to 256 workers, not 1000\n"
    );
}
