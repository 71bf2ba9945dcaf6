//! What the daemon says, and a screen that can be read.

use std::path::PathBuf;

use herder_api::App;
use herder_api::control::{DaemonEvent, Incident, LogLine, Reason};
use herder_api::status::{
    AppDetail, AppPhase, AppStatus, DaemonStatus, HerdStatus, SlotStatus, Usage, WorkerStatus,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::monit::model::{Input, Key, Model, Wish};
use crate::monit::view::{Theme, draw};

pub(super) const NOW: u64 = 1_800_000_000_000;

pub(super) fn daemon() -> DaemonStatus {
    DaemonStatus {
        pid: 77,
        version: "0.1.0".to_owned(),
        home: PathBuf::from("/home/me/.herder"),
        since_ms: NOW - 3_700_000,
        apps: 4,
    }
}

pub(super) fn app(id: u32, name: &str, phase: AppPhase) -> AppStatus {
    AppStatus {
        id,
        name: name.to_owned(),
        namespace: "default".to_owned(),
        phase,
        note: None,
        workers: 2,
        ready: 0,
        herd: None,
        restarts: 0,
        failures: 0,
        since_ms: None,
        usage: None,
        watching: false,
        healthy: None,
    }
}

/// An app that serves.
pub(super) fn online(id: u32, name: &str) -> AppStatus {
    let slots = (0..2).map(|slot| SlotStatus {
        slot,
        restarts: u64::from(slot),
        workers: vec![worker(u64::from(slot) + 1, "ready")],
        ..SlotStatus::default()
    });
    AppStatus {
        ready: 2,
        herd: Some(HerdStatus {
            master: 4000,
            keeper: 3999,
            generation: 3,
            dispatch: "pass".to_owned(),
            listening: vec!["http://0.0.0.0:8080".to_owned()],
            wanted: 2,
            slots: slots.collect(),
            connections: Some(1000),
            ..HerdStatus::default()
        }),
        restarts: 1,
        since_ms: Some(NOW - 200_000),
        usage: Some(Usage {
            cpu: 12.5,
            memory: 80 << 20,
        }),
        ..app(id, name, AppPhase::Online)
    }
}

fn worker(id: u64, phase: &str) -> WorkerStatus {
    WorkerStatus {
        id,
        pid: 4000 + i32::try_from(id).expect("small"),
        phase: phase.to_owned(),
        generation: 3,
        age_ms: 190_000,
        usage: Some(Usage {
            cpu: 6.2,
            memory: 40 << 20,
        }),
        ..WorkerStatus::default()
    }
}

/// One that serves, one with a slot at rest, one that was stopped, one that failed.
pub(super) fn apps() -> Vec<AppStatus> {
    let mut degraded = online(1, "api");
    degraded.phase = AppPhase::Degraded;
    degraded.ready = 1;
    degraded.note = Some("slot 1 failed; the next start is in 20 s".to_owned());
    let herd = degraded.herd.as_mut().expect("it runs");
    herd.slots[1] = SlotStatus {
        slot: 1,
        rests: "waiting".to_owned(),
        retry_in_ms: Some(20_000),
        restarts: 12,
        failures: 12,
        ..SlotStatus::default()
    };
    herd.slots[0].workers.push(worker(9, "draining"));
    herd.others.push(WorkerStatus {
        part: "gateway".to_owned(),
        ..worker(3, "ready")
    });
    let mut errored = app(3, "bill\u{1b}[2Jing", AppPhase::Errored);
    errored.note = Some("no worker became ready: \u{1b}[31mboom".to_owned());
    vec![
        online(0, "web"),
        degraded,
        app(2, "mail", AppPhase::Stopped),
        errored,
    ]
}

pub(super) fn log_line(stream: &str, line: &str) -> LogLine {
    LogLine {
        app: "web".to_owned(),
        stream: stream.to_owned(),
        slot: (stream == "out").then_some(1),
        time: Some("2026-11-21T10:00:00Z".to_owned()),
        line: line.to_owned(),
    }
}

pub(super) fn event(seconds: u32, app: &str, message: &str, level: &str) -> DaemonEvent {
    DaemonEvent {
        time: format!("2026-11-21T10:00:{seconds:02}.000Z"),
        app: app.to_owned(),
        event: "any".to_owned(),
        message: message.to_owned(),
        level: level.to_owned(),
        fields: std::collections::BTreeMap::new(),
    }
}

pub(super) fn incident(seconds: u32, reason: Reason, message: &str) -> Incident {
    Incident {
        time: format!("2026-11-21T10:00:{seconds:02}.000Z"),
        reason,
        slot: Some(1),
        id: Some(4),
        message: message.to_owned(),
    }
}

pub(super) fn detail() -> AppDetail {
    AppDetail {
        status: online(0, "web"),
        app: App {
            name: "web".to_owned(),
            script: Some(PathBuf::from("/srv/web/server.js")),
            cwd: Some(PathBuf::from("/srv/web")),
            ..App::default()
        },
        profile: None,
        logs: vec![PathBuf::from("/home/me/.herder/logs/web-out.log")],
    }
}

/// A model that has seen apps once.
pub(super) fn model() -> Model {
    let mut model = Model::default();
    model.take(Input::Found(daemon()), NOW - 1000);
    model.take(Input::Apps(apps()), NOW);
    model
}

/// A model that has seen everything once.
pub(super) fn full() -> Model {
    let mut model = model();
    let follow = followed(&model.take(Input::Found(daemon()), NOW));
    let lines = vec![
        log_line("out", "GET / 200"),
        log_line(
            "error",
            "\u{1b}[31mError\u{1b}[0m: \u{1b}[2Jboom\tat line 3",
        ),
        log_line("herder", "worker 3 is ready"),
    ];
    model.take(Input::Lines { follow, lines }, NOW);
    let mut apps = apps();
    let herd = apps[0].herd.as_mut().expect("it runs");
    herd.connections = Some(1250);
    model.take(Input::Apps(apps), NOW + 1000);
    let past = vec![incident(3, Reason::Crash, "worker 4 ended with 1")];
    let app = "web".to_owned();
    model.take(Input::Past { app, past }, NOW + 1000);
    let news = [
        event(5, "web", "web was started", "info"),
        event(9, "", "the list was \u{7}saved", "info"),
    ];
    for news in news {
        model.take(Input::Event(news), NOW + 1000);
    }
    model
}

/// Which log is to be followed.
pub(super) fn followed(wishes: &[Wish]) -> u64 {
    let found = wishes.iter().find_map(|wish| {
        let Wish::Follow { follow, .. } = wish else {
            return None;
        };
        Some(*follow)
    });
    found.expect("a log is to be followed")
}

pub(super) fn press(model: &mut Model, keys: &[Key]) -> Vec<Wish> {
    let pressed = keys
        .iter()
        .map(|key| model.take(Input::Key(*key), NOW + 1000));
    pressed.flatten().collect()
}

pub(super) fn frame(model: &mut Model, width: u16, height: u16, theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it has no errors");
    let mut rows = crate::monit::model::Rows::default();
    let shown = terminal
        .draw(|frame| rows = draw(frame, model, theme))
        .expect("it has no errors");
    let buffer = shown.buffer.clone();
    model.drawn(rows);
    buffer
}

/// The rows of a frame, as they can be read.
pub(super) fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width);
    let rows = rows.map(|row| {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        row.trim_end().to_owned() + "\n"
    });
    rows.collect()
}
