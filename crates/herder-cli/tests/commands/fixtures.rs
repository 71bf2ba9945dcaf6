//! What the daemon answers.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use herder_api::App;
use herder_api::status::{
    AppDetail, AppPhase, AppStatus, DaemonStatus, HerdStatus, SlotStatus, WorkerStatus,
};
use serde_json::{Value, json};

/// Two days, three hours and a half ago: a time that does not change while a test runs.
fn since() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let ago = ((2 * 24 + 3) * 60 + 30) * 60 * 1000;
    u64::try_from(now.as_millis()).expect("before the year 500 million") - ago
}

fn app(id: u32, name: &str, phase: AppPhase) -> AppStatus {
    let worker = |id| WorkerStatus {
        id,
        pid: 4000 + i32::try_from(id).expect("small"),
        phase: "ready".to_owned(),
        generation: 1,
        age_ms: 183_600_000,
        ..WorkerStatus::default()
    };
    let slot = |number| SlotStatus {
        slot: number,
        workers: vec![worker(u64::from(number) + 1)],
        ..SlotStatus::default()
    };
    let runs = phase == AppPhase::Online;
    AppStatus {
        id,
        name: name.to_owned(),
        namespace: "default".to_owned(),
        phase,
        note: None,
        workers: 2,
        ready: if runs { 2 } else { 0 },
        herd: runs.then(|| HerdStatus {
            master: 3999,
            keeper: 3998,
            version: "0.1.0".to_owned(),
            generation: 1,
            dispatch: "pass".to_owned(),
            listening: vec!["0.0.0.0:8080".to_owned()],
            wanted: 2,
            slots: vec![slot(0), slot(1)],
            ..HerdStatus::default()
        }),
        restarts: 3 * u64::from(id),
        failures: 0,
        since_ms: runs.then(since),
        usage: None,
        watching: false,
        healthy: None,
    }
}

/// One that runs, one that was stopped, and one that failed, in another namespace.
pub(crate) fn all_apps() -> Vec<AppStatus> {
    let mut mail = app(2, "mail", AppPhase::Errored);
    mail.namespace = "office".to_owned();
    mail.note = Some("no worker became ready: it ended with 1".to_owned());
    vec![
        app(0, "web", AppPhase::Online),
        app(1, "api", AppPhase::Stopped),
        mail,
    ]
}

pub(crate) fn detail() -> AppDetail {
    AppDetail {
        status: app(0, "web", AppPhase::Online),
        app: App {
            name: "web".to_owned(),
            script: Some(PathBuf::from("/srv/web/server.js")),
            cwd: Some(PathBuf::from("/srv/web")),
            ..App::default()
        },
        profile: None,
        logs: vec![PathBuf::from("/root/.herder/logs/web-out.log")],
    }
}

pub(crate) fn daemon() -> DaemonStatus {
    DaemonStatus {
        pid: 77,
        version: "0.1.0".to_owned(),
        home: PathBuf::from("/root/.herder"),
        since_ms: since(),
        apps: 3,
    }
}

pub(crate) fn history() -> Value {
    json!([
        {"time": "2026-11-21T10:00:00Z", "reason": "crash", "slot": 1, "id": 4, "message": "worker 4 ended with 1"},
        {"time": "2026-11-21T10:00:01Z", "reason": "deploy", "message": "generation 2 serves"},
    ])
}

/// Something that is done.
pub(crate) fn course() -> Value {
    json!([
        {"is": "begun", "app": "web", "verb": "start"},
        {"is": "slot", "app": "web", "slot": 0, "phase": "starting"},
        {"is": "slot", "app": "web", "slot": 0, "phase": "ready", "pid": 17},
        {"is": "note", "app": "web", "text": "port 80 is open to all"},
        {"is": "done", "app": "web", "text": "1 worker ready in 310 ms"},
        {"is": "end", "done": 1, "failed": 0},
    ])
}

pub(crate) fn lines() -> Value {
    json!([
        {"app": "web", "stream": "out", "slot": 1, "time": "2026-11-21T10:00:00Z", "line": "GET / 200"},
        {"app": "web", "stream": "error", "slot": 0, "line": "\u{1b}[31mboom\u{1b}[0m \u{1b}[2J"},
        {"app": "mail", "stream": "herder", "line": "worker 3 is ready"},
    ])
}

pub(crate) fn events() -> Value {
    let event = |app: &str, message: &str| json!({"time": "2026-11-21T10:00:00Z", "app": app, "event": "app_started", "message": message, "level": "info"});
    json!([
        event("web", "web was started"),
        event("", "the list was saved"),
        event("mail", "mail was started")
    ])
}
