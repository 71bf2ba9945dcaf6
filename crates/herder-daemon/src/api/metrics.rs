//! Metrics, in Prometheus' text format. They show names of apps and namespaces, and numbers: nothing of
//! environments, arguments, paths or clients.
//!
//! (The format is a handful of lines, and what it shows is asked of the books at that moment: a registry
//! of counters would have nothing to keep.)

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex};

use herder_api::control::DaemonEvent;
use herder_api::status::{AppPhase, AppStatus, DaemonStatus};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::history::reason;

/// The media type.
pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What has happened since the daemon was started.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By app and reason.
    incidents: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Events that came faster than they were counted.
    missed: u64,
}

impl Tally {
    fn add(&mut self, event: &DaemonEvent) {
        if event.event == "app_deleted" {
            self.incidents.remove(&event.app);
        } else if let Some(reason) = reason(event) {
            let app = self.incidents.entry(event.app.clone()).or_default();
            *app.entry(reason.name()).or_default() += 1;
        }
    }
}

/// Counts what happens, as long as something can happen.
pub(super) async fn count(mut events: broadcast::Receiver<DaemonEvent>, tally: Arc<Mutex<Tally>>) {
    loop {
        let event = events.recv().await;
        let mut tally = tally.lock().expect("no counter panics");
        match event {
            Ok(event) => tally.add(&event),
            Err(RecvError::Lagged(missed)) => tally.missed += missed,
            Err(RecvError::Closed) => return,
        }
    }
}

const PHASES: &[(AppPhase, &str)] = &[
    (AppPhase::Waiting, "waiting"),
    (AppPhase::Starting, "starting"),
    (AppPhase::Online, "online"),
    (AppPhase::Degraded, "degraded"),
    (AppPhase::Reloading, "reloading"),
    (AppPhase::Stopping, "stopping"),
    (AppPhase::Stopped, "stopped"),
    (AppPhase::Done, "done"),
    (AppPhase::Errored, "errored"),
];

/// All metrics.
pub(super) fn render(daemon: &DaemonStatus, apps: &[AppStatus], tally: &Tally) -> String {
    let mut page = Page(String::new());
    about_daemon(&mut page, daemon, apps, tally);
    about_apps(&mut page, apps);
    about_lives(&mut page, apps);
    about_use(&mut page, apps);
    about_slots(&mut page, apps);
    let incidents = tally.incidents.iter();
    page.family(
        "herder_incidents_total",
        "counter",
        "What ended or changed workers, by reason, since the daemon was started.",
        incidents.flat_map(|(app, reasons)| {
            let of = move |(reason, count): (&&'static str, &u64)| {
                (labels(&[("app", app), ("reason", reason)]), *count)
            };
            reasons.iter().map(of)
        }),
    );
    page.0
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// Of one CPU, to a tenth of a thousandth: percent are not known better.
fn ratio(percent: f64) -> f64 {
    (percent * 100.0).round() / 10_000.0
}

fn about_daemon(page: &mut Page, daemon: &DaemonStatus, apps: &[AppStatus], tally: &Tally) {
    page.family(
        "herder_info",
        "gauge",
        "The build of the daemon.",
        [(labels(&[("version", &daemon.version)]), 1)],
    );
    page.family(
        "herder_start_time_seconds",
        "gauge",
        "When the daemon was started, in seconds since 1970.",
        [(String::new(), seconds(daemon.since_ms))],
    );
    page.family(
        "herder_apps",
        "gauge",
        "How many apps are in each phase.",
        PHASES.iter().map(|(phase, name)| {
            let count = apps.iter().filter(|app| app.phase == *phase).count();
            (labels(&[("phase", name)]), count)
        }),
    );
    page.family(
        "herder_events_missed_total",
        "counter",
        "Events that came faster than they were counted.",
        [(String::new(), tally.missed)],
    );
}

fn about_apps(page: &mut Page, apps: &[AppStatus]) {
    let each = |of: fn(&AppStatus) -> u64| apps.iter().map(move |app| (label(app), of(app)));
    page.family(
        "herder_app_info",
        "gauge",
        "The apps, their namespaces, and how connections reach their workers.",
        apps.iter().map(|app| {
            let dispatch = app.herd.as_ref().map_or("", |herd| herd.dispatch.as_str());
            let pairs = [
                ("app", app.name.as_str()),
                ("namespace", &app.namespace),
                ("dispatch", dispatch),
            ];
            (labels(&pairs), 1)
        }),
    );
    page.family(
        "herder_app_up",
        "gauge",
        "Whether the app serves.",
        each(|app| {
            let serves = [AppPhase::Online, AppPhase::Degraded, AppPhase::Reloading];
            u64::from(serves.contains(&app.phase))
        }),
    );
    page.family(
        "herder_app_workers",
        "gauge",
        "How many workers the app shall have.",
        each(|app| app.workers.into()),
    );
    page.family(
        "herder_app_workers_ready",
        "gauge",
        "How many of them are ready.",
        each(|app| app.ready.into()),
    );
}

fn about_lives(page: &mut Page, apps: &[AppStatus]) {
    let restarts = apps.iter().flat_map(|app| {
        let planned = app.restarts.saturating_sub(app.failures);
        let of = |reason, count| {
            let pairs = [("app", app.name.as_str()), ("reason", reason)];
            (labels(&pairs), count)
        };
        [of("failure", app.failures), of("planned", planned)]
    });
    page.family(
        "herder_app_restarts_total",
        "counter",
        "How often a worker was started again since the app was started or its counters were reset.",
        restarts,
    );
    page.family(
        "herder_app_start_time_seconds",
        "gauge",
        "When the app was started, in seconds since 1970.",
        apps.iter()
            .filter_map(|app| Some((label(app), seconds(app.since_ms?)))),
    );
    page.family(
        "herder_app_healthy",
        "gauge",
        "Whether its health checks pass.",
        apps.iter()
            .filter_map(|app| Some((label(app), u8::from(app.healthy?)))),
    );
}

fn about_use(page: &mut Page, apps: &[AppStatus]) {
    let usage = apps
        .iter()
        .filter_map(|app| Some((label(app), app.usage.as_ref()?)));
    page.family(
        "herder_app_memory_bytes",
        "gauge",
        "Resident memory of the app's processes.",
        usage.clone().map(|(label, usage)| (label, usage.memory)),
    );
    page.family(
        "herder_app_cpu_ratio",
        "gauge",
        "What the app's processes use of one CPU: 1 = all of it.",
        usage.map(|(label, usage)| (label, ratio(usage.cpu))),
    );
    let herds = apps
        .iter()
        .filter_map(|app| Some((label(app), app.herd.as_ref()?)));
    page.family(
        "herder_app_connections_total",
        "counter",
        "Connections that the master of the app's herd has accepted.",
        herds
            .clone()
            .filter_map(|(label, herd)| Some((label, herd.connections?))),
    );
    page.family(
        "herder_app_generation",
        "gauge",
        "The version of the app in service, counted.",
        herds.map(|(label, herd)| (label, herd.generation)),
    );
}

fn about_slots(page: &mut Page, apps: &[AppStatus]) {
    let slots = apps.iter().flat_map(|app| {
        let slots = app.herd.iter().flat_map(|herd| &herd.slots);
        slots.map(move |slot| (app, slot))
    });
    let label = |app: &AppStatus, slot: u16| {
        let pairs = [("app", app.name.as_str()), ("slot", &slot.to_string())];
        labels(&pairs)
    };
    page.family(
        "herder_slot_restarts_total",
        "counter",
        "How often a worker was started again in a slot.",
        slots
            .clone()
            .map(|(app, slot)| (label(app, slot.slot), slot.restarts)),
    );
    // Of the worker that serves: it stands first.
    let serving = slots.filter_map(move |(app, slot)| {
        let worker = slot.workers.first()?;
        Some((label(app, slot.slot), worker))
    });
    page.family(
        "herder_worker_age_seconds",
        "gauge",
        "How long the worker of a slot has lived.",
        serving
            .clone()
            .map(|(label, worker)| (label, seconds(worker.age_ms))),
    );
    let usage = serving.filter_map(|(label, worker)| Some((label, worker.usage?)));
    page.family(
        "herder_worker_memory_bytes",
        "gauge",
        "Resident memory of the worker of a slot.",
        usage.clone().map(|(label, usage)| (label, usage.memory)),
    );
    page.family(
        "herder_worker_cpu_ratio",
        "gauge",
        "What the worker of a slot uses of one CPU: 1 = all of it.",
        usage.map(|(label, usage)| (label, ratio(usage.cpu))),
    );
}

fn label(app: &AppStatus) -> String {
    labels(&[("app", &app.name)])
}

/// `{name="value",…}`.
fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::from("{");
    for (name, value) in pairs {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                letter => text.push(letter),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

struct Page(String);

impl Page {
    /// A metric with all of its samples. One without samples is left out.
    fn family<N: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, N)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let write = "a text can always be written to memory";
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect(write);
        for (labels, value) in samples {
            writeln!(self.0, "{name}{labels} {value}").expect(write);
        }
    }
}
