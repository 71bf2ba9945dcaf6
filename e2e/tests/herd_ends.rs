//! Apps that end by themselves, and workers that are told to leave, or found broken, in their own way.

use herder_e2e::foreign::BOOT;
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::order::Order;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::fs;

/// Says of a Python program that it is ready, from now on.
const READY: &str = "import os, socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
";

/// A Python program, with these settings.
fn app(program: &str, more: Value) -> Value {
    let mut app = json!({
        "name": "job",
        "command": ["python3", "-u", "-c", program],
        "ready_after": "100ms",
        "grace": "10s",
    });
    let all = app.as_object_mut().expect("an object");
    all.extend(more.as_object().expect("an object").clone());
    app
}

#[track_caller]
fn assert_ends(app: &Value, status: i32) {
    let scene = Scene::new("herd_ends");
    let order = Order::new(&scene);
    order.write(app);
    let herd = order.setup(&scene).start();
    let code = herd.wait_for_exit(BOOT).code();
    let said = herd.texts(Stream::Stderr).join("\n");
    assert_eq!(code, Some(status), "{app}\n{said}");
}

/// The events of a kind that the herd has written down.
fn events(scene: &Scene, kind: &str) -> Vec<Value> {
    let path = scene.directory().join("logs/herder.jsonl");
    let text = fs::read_to_string(path).unwrap_or_default();
    let all = text.lines().filter_map(|it| serde_json::from_str(it).ok());
    all.filter(|event: &Value| event["event"] == kind).collect()
}

#[test]
fn a_job_that_is_done_ends_its_herd_with_0() {
    assert_ends(&app("print(1)", json!({"restart": "never"})), 0);
    let twice = json!({"restart": "on_failure", "workers": 2});
    assert_ends(&app("import time; time.sleep(0.5)", twice), 0);
    let code = json!({"stop_exit_codes": [9]});
    assert_ends(&app("raise SystemExit(9)", code), 0);
}

#[test]
fn a_job_that_failed_ends_its_herd_with_1() {
    let never = json!({"restart": "never", "workers": 2});
    assert_ends(&app("raise SystemExit(5)", never), 1);
    // It served before it said that it never will again.
    let program = "import time; time.sleep(1); raise SystemExit(125)";
    assert_ends(&app(program, json!({})), 1);
}

#[test]
fn a_version_that_says_that_it_will_never_work_is_a_failed_start() {
    // It is not taken for ready, however long it takes to start.
    let notify = json!({"ready": "notify", "ready_after": null});
    assert_ends(&app("raise SystemExit(78)", notify), 3);
}

#[test]
fn a_worker_is_asked_to_leave_by_the_signal_of_its_app() {
    let scene = Scene::new("herd_stop_signal");
    let order = Order::new(&scene);
    let program = format!(
        "import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, lambda *_: sys.exit(7))
{READY}
while True: signal.pause()"
    );
    let settings = json!({"stop_signal": "SIGUSR2", "ready": "notify", "ready_after": null});
    order.write(&app(&program, settings));
    let (herd, _desk) = order.start(&scene, 1);
    assert!(herd.end().success());
    let exits = events(&scene, "exited");
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!(exits[0]["code"], 7, "{exits:?}");
}

#[test]
fn a_worker_that_is_silent_too_long_is_replaced_and_one_that_prints_is_not() {
    let scene = Scene::new("herd_silence");
    let order = Order::new(&scene);
    // The first worker of slot 0 falls silent; all others speak.
    let program = format!(
        "import os, time
print('the first word', flush=True)
{READY}
while os.environ['HERDER_WORKER_ID'] != '1':
    print('tick', flush=True)
    time.sleep(0.2)
time.sleep(3600)"
    );
    let settings = json!({
        "max_silence": "4s",
        "workers": 2,
        "ready": "notify",
        "ready_after": null,
    });
    order.write(&app(&program, settings));
    let (herd, mut desk) = order.start(&scene, 2);
    let failed = wait::until(BOOT, "the silent one is found", || {
        let failed = events(&scene, "failed");
        (!failed.is_empty()).then_some(failed)
    });
    assert_eq!(failed[0]["worker"], 1, "{failed:?}");
    assert_eq!(failed[0]["reason"], "it has printed nothing for 4s");
    let exited = wait::until(BOOT, "it is killed", || events(&scene, "exited").pop());
    assert_eq!(exited["cause"], "watchdog", "{exited}");
    desk.wait_for_ready(2, |_| true);
    assert_eq!(counted(&mut desk), [(1, 1), (0, 0)]);
    end(herd);
}

/// Restarts and failures of each slot.
fn counted(desk: &mut herder_e2e::order::Desk) -> Vec<(u64, u64)> {
    let status = desk.status();
    let number = |slot: &Value, of: &str| slot[of].as_u64().expect("a count");
    let slots = status["slots"].as_array().expect("slots");
    slots
        .iter()
        .map(|slot| (number(slot, "restarts"), number(slot, "failures")))
        .collect()
}

#[track_caller]
fn end(herd: Herd) {
    assert!(herd.end().success());
}
