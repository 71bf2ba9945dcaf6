//! All that is known of an app.

use herder_api::status::{AppDetail, HerdStatus, SlotStatus, Verdict, WorkerStatus};
use serde_json::Value;

use super::list::{percent, state};
use super::table::{Cell, Column, draw};
use super::text::{Sgr, age, bytes, count, escape, escape_line, wait};
use super::{Paint, Style};

const SLOTS: [Column; 9] = [
    Column::right("slot", 0),
    Column::right("worker", 2),
    Column::right("pid", 0),
    Column::left("state", 0),
    Column::right("generation", 4),
    Column::right("uptime", 1),
    Column::right("restarts", 3),
    Column::right("cpu", 5),
    Column::right("memory", 6),
];

/// Settings that are shown by other words above, or are none of the workers' business.
const SHOWN: [&str; 8] = [
    "name",
    "namespace",
    "script",
    "command",
    "args",
    "cwd",
    "workers",
    "interpreter",
];

/// All that is known of an app. `now_ms` is the time, in milliseconds since 1970.
pub(crate) fn describe(detail: &AppDetail, now_ms: u64, style: Style) -> String {
    let status = &detail.status;
    let state = state(status);
    let mut text = format!(
        "{} ({})  {}\n",
        style.paint(Paint::Bold, &escape(&status.name)),
        status.id,
        style.paint(state.paint, &state.text)
    );
    if let Some(note) = &status.note {
        text += &format!("{}\n", escape(note));
    }
    let mut facts = Facts { style, text };
    facts.push("namespace", &status.namespace);
    program(&mut facts, detail);
    facts.push_some("profile", detail.profile.as_deref());
    let workers = format!("{} of {} ready", status.ready, status.workers);
    facts.push("workers", &workers);
    if let Some(since) = status.since_ms.filter(|_| status.herd.is_some()) {
        facts.push("uptime", &age(now_ms.saturating_sub(since)));
    }
    facts.push("restarts", &restarts(status.restarts, status.failures));
    if let Some(usage) = status.usage.filter(|_| status.herd.is_some()) {
        facts.push("cpu", &percent(usage.cpu));
        facts.push("memory", &bytes(usage.memory));
    }
    if status.watching {
        facts.push("watch", "files are watched");
    }
    match status.healthy {
        Some(true) => facts.push("health", "its checks pass"),
        Some(false) => facts.push("health", "its checks fail"),
        None => {}
    }
    if let Some(herd) = &status.herd {
        of_herd(&mut facts, herd);
    }
    for path in &detail.logs {
        facts.push("log", &path.display().to_string());
    }
    settings(&mut facts, detail);
    let mut text = facts.text;
    if let Some(herd) = &status.herd {
        text += &slots(herd, style);
        text += &behind_proxy(herd, style);
        text += &verdict(herd.verdict.as_ref(), style);
    }
    text
}

/// Lines of a name and a value.
struct Facts {
    style: Style,
    text: String,
}

impl Facts {
    fn push(&mut self, name: &str, value: &str) {
        let name = self.style.paint(Paint::Dim, &format!("{name:<12}"));
        self.text += &format!("  {name}  {}\n", escape(value));
    }

    fn push_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }
}

fn program(facts: &mut Facts, detail: &AppDetail) {
    let app = &detail.app;
    if let Some(script) = &app.script {
        facts.push("script", &script.display().to_string());
    } else {
        facts.push("command", &app.command.join(" "));
    }
    if !app.args.is_empty() {
        facts.push("arguments", &app.args.join(" "));
    }
    facts.push_some("interpreter", app.interpreter.as_deref());
    let cwd = app.cwd.as_ref().map(|path| path.display().to_string());
    facts.push_some("directory", cwd.as_deref());
}

fn restarts(all: u64, failures: u64) -> String {
    match failures {
        0 => all.to_string(),
        _ => format!("{all}, of these {failures} because a worker failed"),
    }
}

fn of_herd(facts: &mut Facts, herd: &HerdStatus) {
    if !herd.listening.is_empty() {
        facts.push("listening", &herd.listening.join(" "));
    }
    if !herd.dispatch.is_empty() {
        facts.push("dispatch", &herd.dispatch);
    }
    facts.push("generation", &herd.generation.to_string());
    if let Some(connections) = herd.connections {
        facts.push("connections", &format!("{connections} so far"));
    }
    let processes = format!(
        "master {}, keeper {}, herder {}",
        herd.master, herd.keeper, herd.version
    );
    facts.push("herd", &processes);
}

/// What is not the default, as it would stand in a file.
fn settings(facts: &mut Facts, detail: &AppDetail) {
    let Ok(Value::Object(all)) = serde_json::to_value(&detail.app) else {
        return;
    };
    let mut lines = Vec::new();
    for (name, value) in &all {
        if !SHOWN.contains(&name.as_str()) {
            flatten(name, value, &mut lines);
        }
    }
    if lines.is_empty() {
        return;
    }
    let title = facts.style.paint(Paint::Bold, "settings");
    facts.text += &format!("\n{title}\n");
    let widest = lines.iter().map(|(name, _)| name.chars().count()).max();
    for (name, value) in &lines {
        let padding = widest.unwrap_or(0) - name.chars().count();
        let shown = facts.style.paint(Paint::Dim, name);
        facts.text += &format!("  {shown}{}  {value}\n", " ".repeat(padding));
    }
}

fn flatten(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, into);
            }
        }
        Value::String(text) => into.push((escape(name), escape(text))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            into.push((escape(name), escape(&value.to_string())));
        }
    }
}

fn slots(herd: &HerdStatus, style: Style) -> String {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for slot in &herd.slots {
        if slot.workers.is_empty() {
            rows.push(row(slot.slot.to_string(), None, rests(slot), slot.restarts));
        }
        for worker in &slot.workers {
            let state = worker_state(worker);
            rows.push(row(
                slot.slot.to_string(),
                Some(worker),
                state,
                slot.restarts,
            ));
        }
    }
    for other in &herd.others {
        let mut row = row(String::new(), Some(other), worker_state(other), 0);
        row[0] = Cell::plain("-");
        row[3].text = format!("{}, {}", escape(&other.part), row[3].text);
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", draw(&SLOTS, &rows, style))
}

/// Where workers listen behind a proxy, and what that has counted.
fn behind_proxy(herd: &HerdStatus, style: Style) -> String {
    let mut text = String::new();
    for slot in &herd.slots {
        for worker in &slot.workers {
            let Some(proxied) = &worker.proxied else {
                continue;
            };
            let ejected = if proxied.ejected {
                style.paint(Paint::Red, ", left out for now: it fails too often")
            } else {
                String::new()
            };
            text += &format!(
                "  {} #{}  {}  open {}, served {}, failed {}{ejected}\n",
                slot.slot,
                worker.id,
                escape(&proxied.address),
                proxied.open,
                proxied.served,
                proxied.failed,
            );
        }
    }
    if text.is_empty() {
        return text;
    }
    let title = style.paint(Paint::Bold, "behind the proxy");
    format!("\n{title}\n{text}")
}

fn row(slot: String, worker: Option<&WorkerStatus>, state: Cell, restarts: u64) -> Vec<Cell> {
    let of = |told: fn(&WorkerStatus) -> String| Cell::plain(worker.map_or_else(String::new, told));
    let usage = |told: fn(&herder_api::status::Usage) -> String| {
        let usage = worker.and_then(|worker| worker.usage);
        Cell::plain(usage.as_ref().map_or_else(String::new, told))
    };
    vec![
        Cell::plain(slot),
        of(|worker| worker.id.to_string()),
        of(|worker| worker.pid.to_string()),
        state,
        of(|worker| worker.generation.to_string()),
        of(|worker| age(worker.age_ms)),
        Cell::plain(restarts.to_string()),
        usage(|usage| percent(usage.cpu)),
        usage(|usage| bytes(usage.memory)),
    ]
}

fn worker_state(worker: &WorkerStatus) -> Cell {
    let paint = match worker.phase.as_str() {
        "ready" => Paint::Green,
        "suspect" | "killing" => Paint::Red,
        "standby" | "draining" => Paint::Dim,
        _ => Paint::Cyan,
    };
    let guess = if worker.guessed { " (a guess)" } else { "" };
    Cell::painted(paint, escape(&worker.phase) + guess)
}

fn rests(slot: &SlotStatus) -> Cell {
    let why = if slot.rests.is_empty() {
        "empty"
    } else {
        &slot.rests
    };
    let until = slot
        .retry_in_ms
        .map(|millis| format!(", next start in {}", wait(millis)));
    let text = escape(why) + until.as_deref().unwrap_or_default();
    Cell::painted(
        if slot.rests == "done" {
            Paint::Dim
        } else {
            Paint::Yellow
        },
        text,
    )
}

/// What became of the last reload or upgrade.
fn verdict(verdict: Option<&Verdict>, style: Style) -> String {
    let Some(verdict) = verdict else {
        return String::new();
    };
    let outcome = match verdict.outcome.as_str() {
        "rolled_back" => style.paint(Paint::Red, "rolled back"),
        "refused" => style.paint(Paint::Red, "refused"),
        outcome => escape(outcome),
    };
    let mut text = format!(
        "\nlast {}: {outcome} at {}, after {} (generation {})\n",
        escape(&verdict.operation),
        escape(&verdict.at),
        wait(verdict.took_ms),
        verdict.generation
    );
    if !verdict.reason.is_empty() {
        text += &format!("  {}\n", escape(&verdict.reason));
    }
    for line in &verdict.last_lines {
        text += &format!("  | {}\n", escape_line(line, Sgr::Escaped));
    }
    text
}

/// What the daemon is.
pub(crate) fn daemon(status: &herder_api::status::DaemonStatus, now_ms: u64) -> String {
    format!(
        "The daemon runs as process {} for {}, herder {}, with {} in {}.\n",
        status.pid,
        age(now_ms.saturating_sub(status.since_ms)),
        escape(&status.version),
        count(status.apps as u64, "app"),
        escape(&status.home.display().to_string())
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use herder_api::App;
    use herder_api::app::{Scalar, Workers};
    use herder_api::status::{Proxied, Usage};
    use herder_api::units::Period;

    use super::*;
    use crate::render::list::tests::{NOW, apps};
    use crate::render::snapshot;

    fn worker(id: u64, phase: &str) -> WorkerStatus {
        WorkerStatus {
            id,
            pid: 4000 + i32::try_from(id).expect("small"),
            phase: phase.to_owned(),
            generation: 2,
            age_ms: 65_000,
            usage: Some(Usage {
                cpu: 12.4,
                memory: 9_000_000,
            }),
            ..WorkerStatus::default()
        }
    }

    #[test]
    fn what_a_proxy_knows_of_its_workers_is_shown() {
        let mut out = worker(5, "ready");
        out.proxied = Some(Proxied {
            address: "127.0.0.1:4040".to_owned(),
            open: 2,
            served: 333,
            failed: 7,
            ejected: true,
        });
        let mut herd = HerdStatus {
            slots: vec![SlotStatus {
                workers: vec![worker(1, "draining"), out],
                ..SlotStatus::default()
            }],
            ..HerdStatus::default()
        };
        let text = behind_proxy(&herd, Style::PLAIN);
        let line = "  0 #5  127.0.0.1:4040  open 2, served 333, failed 7, left out for now: it fails too often";
        assert_eq!(text, format!("\nbehind the proxy\n{line}\n"));
        herd.slots[0].workers.truncate(1);
        assert_eq!(behind_proxy(&herd, Style::PLAIN), "");
    }

    fn detail() -> AppDetail {
        let mut status = apps().remove(1);
        let slot = |slot, workers, rests: &str, retry_in_ms| SlotStatus {
            slot,
            rests: rests.to_owned(),
            retry_in_ms,
            restarts: 3,
            failures: 3,
            workers,
        };
        let mut library = worker(1, "ready");
        library.part = "library kv".to_owned();
        let mut guessed = worker(9, "ready");
        guessed.guessed = true;
        status.failures = 3;
        status.herd = Some(HerdStatus {
            master: 4001,
            keeper: 4000,
            version: "0.1.0".to_owned(),
            generation: 2,
            dispatch: "pass".to_owned(),
            listening: vec!["http://0.0.0.0:8080".to_owned()],
            busy: false,
            wanted: 4,
            slots: vec![
                slot(0, vec![worker(5, "ready"), worker(2, "draining")], "", None),
                slot(1, vec![guessed], "", None),
                slot(2, vec![], "waiting", Some(1250)),
                slot(3, vec![], "quarantined", Some(59_000)),
            ],
            others: vec![library],
            connections: Some(1234),
            verdict: Some(Verdict {
                operation: "reload".to_owned(),
                outcome: "rolled_back".to_owned(),
                generation: 3,
                reason: "worker 7 ended with 1 before it was ready".to_owned(),
                last_lines: vec!["Error: \x1b[1mboom".to_owned()],
                at: "2026-11-21T10:00:00Z".to_owned(),
                took_ms: 310,
            }),
        });
        let mut app = App {
            name: "api".to_owned(),
            script: Some(PathBuf::from("/srv/api/server.js")),
            args: vec!["--port".to_owned(), "80\n80".to_owned()],
            cwd: Some(PathBuf::from("/srv/api")),
            workers: Workers::Count(4),
            grace: Some(Period::secs(5)),
            ..App::default()
        };
        app.env.insert("PORT".to_owned(), Scalar::Integer(8080));
        app.env
            .insert("API_KEY".to_owned(), Scalar::Text("***".to_owned()));
        app.logs.keep = 3;
        AppDetail {
            status,
            app,
            profile: Some("production".to_owned()),
            logs: vec![PathBuf::from("/root/.herder/logs/api-out.log")],
        }
    }

    #[test]
    fn descriptions_are_as_recorded() {
        let detail = detail();
        let mut stopped = detail.clone();
        stopped.status.herd = None;
        stopped.status.note = None;
        stopped.app = App {
            command: vec!["python3".to_owned(), "app.py".to_owned()],
            ..App::default()
        };
        let narrow = Style {
            colour: true,
            width: Some(60),
        };
        let text = [
            describe(&detail, NOW, Style::PLAIN),
            describe(&detail, NOW, narrow),
            describe(&stopped, NOW, Style::PLAIN),
        ];
        snapshot::check("describe", &text.join("---\n"));
    }

    #[test]
    fn the_daemon_is_told_in_a_sentence() {
        let status = herder_api::status::DaemonStatus {
            pid: 17,
            version: "0.1.0".to_owned(),
            home: PathBuf::from("/root/.herder"),
            since_ms: NOW - 61_000,
            apps: 1,
        };
        assert_eq!(
            daemon(&status, NOW),
            "The daemon runs as process 17 for 1m 1s, herder 0.1.0, with 1 app in /root/.herder.\n"
        );
    }
}
