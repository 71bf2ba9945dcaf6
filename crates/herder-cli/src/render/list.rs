//! The table of apps.

use std::cmp::Ordering;
use std::str::FromStr;

use herder_api::status::{AppPhase, AppStatus};

use super::table::{Cell, Column, draw};
use super::text::{age, bytes, escape};
use super::{Paint, Style};

const COLUMNS: [Column; 10] = [
    Column::right("id", 1),
    Column::left("name", 0),
    Column::left("namespace", 6),
    Column::left("state", 0),
    Column::right("workers", 0),
    Column::right("restarts", 2),
    Column::right("uptime", 3),
    Column::right("cpu", 4),
    Column::right("memory", 5),
    Column::left("listening", 7),
];

/// What is said when there is nothing to list.
const NOTHING: &str =
    "There are no apps. `herder start PROGRAM` or `herder start FILE` starts some.\n";

/// The apps as a table, and below it what needs saying of some of them. `now_ms` is the time, in milliseconds
/// since 1970.
pub(crate) fn list(apps: &[AppStatus], now_ms: u64, style: Style) -> String {
    if apps.is_empty() {
        return NOTHING.to_owned();
    }
    let spaced = apps.iter().any(|app| app.namespace != "default");
    let rows: Vec<Vec<Cell>> = apps
        .iter()
        .map(|app| {
            let mut row = row(app, now_ms);
            if !spaced {
                row[2].text.clear();
            }
            row
        })
        .collect();
    let mut text = draw(&COLUMNS, &rows, style);
    for app in apps {
        if let Some(note) = &app.note {
            let name = style.paint(Paint::Bold, &escape(&app.name));
            text += &format!("{name}: {}\n", escape(note));
        }
    }
    text
}

/// The apps, several lines for each: for narrow places, and for those who do not like tables.
pub(crate) fn briefly(apps: &[AppStatus], now_ms: u64, style: Style) -> String {
    if apps.is_empty() {
        return NOTHING.to_owned();
    }
    let mut text = String::new();
    for app in apps {
        let cells = row(app, now_ms);
        text += &format!("+ {}\n", style.paint(Paint::Bold, &cells[1].text));
        for (column, cell) in COLUMNS.iter().zip(&cells) {
            if column.title != "name" && !cell.text.is_empty() {
                let value = style.paint(cell.paint, &cell.text);
                text += &format!("  {:<9}  {value}\n", column.title);
            }
        }
        if let Some(note) = &app.note {
            text += &format!("  {:<9}  {}\n", "note", escape(note));
        }
    }
    text
}

fn row(app: &AppStatus, now_ms: u64) -> Vec<Cell> {
    let runs = app.herd.is_some();
    let since = app.since_ms.filter(|_| runs);
    let uptime = since.map_or_else(String::new, |since| age(now_ms.saturating_sub(since)));
    let usage = app.usage.filter(|_| runs);
    let listening = app.herd.iter().flat_map(|herd| &herd.listening);
    let listening: Vec<String> = listening.map(|at| escape(at)).collect();
    vec![
        Cell::painted(Paint::Dim, app.id.to_string()),
        Cell::painted(Paint::Bold, escape(&app.name)),
        Cell::plain(escape(&app.namespace)),
        state(app),
        Cell::plain(format!("{}/{}", app.ready, app.workers)),
        Cell::plain(app.restarts.to_string()),
        Cell::plain(uptime),
        Cell::plain(usage.map_or_else(String::new, |usage| percent(usage.cpu))),
        Cell::plain(usage.map_or_else(String::new, |usage| bytes(usage.memory))),
        Cell::plain(listening.join(" ")),
    ]
}

/// `0%`, `0.3%`, `12%`.
pub(crate) fn percent(cpu: f64) -> String {
    if cpu < 0.05 {
        "0%".to_owned()
    } else if cpu < 9.95 {
        format!("{cpu:.1}%")
    } else {
        format!("{cpu:.0}%")
    }
}

/// What the app does, in its colour.
pub(super) fn state(app: &AppStatus) -> Cell {
    if app.healthy == Some(false) && app.phase == AppPhase::Online {
        return Cell::painted(Paint::Red, "unhealthy");
    }
    Cell::painted(paint(app.phase), word(app.phase))
}

/// An app's phase as a word.
pub(crate) fn word(phase: AppPhase) -> &'static str {
    match phase {
        AppPhase::Waiting => "waiting",
        AppPhase::Starting => "starting",
        AppPhase::Online => "online",
        AppPhase::Degraded => "degraded",
        AppPhase::Reloading => "reloading",
        AppPhase::Stopping => "stopping",
        AppPhase::Stopped => "stopped",
        AppPhase::Done => "done",
        AppPhase::Errored => "errored",
    }
}

/// An app's phase as a colour.
pub(crate) fn paint(phase: AppPhase) -> Paint {
    match phase {
        AppPhase::Online => Paint::Green,
        AppPhase::Waiting | AppPhase::Starting | AppPhase::Reloading | AppPhase::Stopping => {
            Paint::Cyan
        }
        AppPhase::Degraded => Paint::Yellow,
        AppPhase::Stopped | AppPhase::Done => Paint::Dim,
        AppPhase::Errored => Paint::Red,
    }
}

/// By what the list is sorted: `memory`, `cpu:desc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SortBy {
    field: Field,
    order: Order,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Ascending,
    Descending,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Id,
    Name,
    Namespace,
    State,
    Workers,
    Restarts,
    Uptime,
    Cpu,
    Memory,
}

const FIELDS: [(&str, Field); 12] = [
    ("id", Field::Id),
    ("name", Field::Name),
    ("namespace", Field::Namespace),
    ("state", Field::State),
    ("workers", Field::Workers),
    ("restarts", Field::Restarts),
    ("uptime", Field::Uptime),
    ("cpu", Field::Cpu),
    ("memory", Field::Memory),
    // As PM2 calls them.
    ("pm_id", Field::Id),
    ("status", Field::State),
    ("instances", Field::Workers),
];

impl FromStr for SortBy {
    type Err = String;

    fn from_str(text: &str) -> Result<SortBy, String> {
        let (name, order) = text.split_once(':').unwrap_or((text, "asc"));
        let order = match order {
            "asc" => Order::Ascending,
            "desc" => Order::Descending,
            _ => return Err("behind the colon stands asc or desc".to_owned()),
        };
        let found = FIELDS.iter().find(|(known, _)| *known == name);
        let Some((_, field)) = found else {
            let names: Vec<_> = FIELDS[..9].iter().map(|(name, _)| *name).collect();
            return Err(format!("use one of {}", names.join(", ")));
        };
        Ok(SortBy {
            field: *field,
            order,
        })
    }
}

impl SortBy {
    /// Sorts; what is equal stays in its order.
    pub(crate) fn sort(self, apps: &mut [AppStatus]) {
        apps.sort_by(|a, b| {
            let order = self.compare(a, b);
            match self.order {
                Order::Ascending => order,
                Order::Descending => order.reverse(),
            }
        });
    }

    fn compare(self, a: &AppStatus, b: &AppStatus) -> Ordering {
        let cpu = |app: &AppStatus| app.usage.map_or(0.0, |usage| usage.cpu);
        let memory = |app: &AppStatus| app.usage.map_or(0, |usage| usage.memory);
        // The longest uptime has the earliest start; who does not run has none.
        let since = |app: &AppStatus| app.since_ms.unwrap_or(u64::MAX);
        match self.field {
            Field::Id => a.id.cmp(&b.id),
            Field::Name => a.name.cmp(&b.name),
            Field::Namespace => a.namespace.cmp(&b.namespace),
            Field::State => a.phase.cmp(&b.phase),
            Field::Workers => a.workers.cmp(&b.workers),
            Field::Restarts => a.restarts.cmp(&b.restarts),
            Field::Uptime => since(b).cmp(&since(a)),
            Field::Cpu => cpu(a).total_cmp(&cpu(b)),
            Field::Memory => memory(a).cmp(&memory(b)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use herder_api::status::{HerdStatus, Usage};

    use super::*;
    use crate::render::snapshot;

    pub(crate) const NOW: u64 = 1_800_000_000_000;

    /// An app that runs, and one for each way of not doing so.
    pub(crate) fn apps() -> Vec<AppStatus> {
        let base = AppStatus {
            id: 0,
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            phase: AppPhase::Online,
            note: None,
            workers: 4,
            ready: 4,
            herd: Some(HerdStatus {
                listening: vec!["http://0.0.0.0:8080".to_owned()],
                ..HerdStatus::default()
            }),
            restarts: 0,
            failures: 0,
            since_ms: Some(NOW - 200_000),
            usage: Some(Usage {
                cpu: 0.34,
                memory: 36_800_000,
            }),
            watching: false,
            healthy: None,
        };
        let other = |id, name: &str, phase| AppStatus {
            id,
            name: name.to_owned(),
            phase,
            ..base.clone()
        };
        let mut degraded = other(1, "api", AppPhase::Degraded);
        degraded.ready = 1;
        degraded.restarts = 12;
        degraded.note = Some("3 workers failed; the next start is in 20 s".to_owned());
        let mut stopped = other(2, "mail", AppPhase::Stopped);
        stopped.herd = None;
        stopped.ready = 0;
        let mut errored = other(3, "billing-and-invoices", AppPhase::Errored);
        errored.herd = None;
        errored.ready = 0;
        errored.namespace = "office".to_owned();
        errored.note = Some("no worker became ready: \x1b[31mboom".to_owned());
        let mut unhealthy = other(4, "shop", AppPhase::Online);
        unhealthy.healthy = Some(false);
        vec![base, degraded, stopped, errored, unhealthy]
    }

    #[test]
    fn lists_are_as_recorded() {
        let at = |width, colour| Style { colour, width };
        let apps = apps();
        let mut text = list(&[], NOW, Style::PLAIN);
        for style in [
            Style::PLAIN,
            at(Some(100), true),
            at(Some(70), false),
            at(Some(40), false),
        ] {
            text += &format!("--- {style:?}\n{}", list(&apps, NOW, style));
        }
        text += &format!("--- one namespace\n{}", list(&apps[..1], NOW, Style::PLAIN));
        text += &format!("--- briefly\n{}", briefly(&apps[..2], NOW, Style::PLAIN));
        snapshot::check("list", &text);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 20..140 {
            let style = Style {
                colour: false,
                width: Some(width),
            };
            let text = list(&apps(), NOW, style);
            let table = text.lines().take(apps().len() + 1);
            for line in table {
                let found = line.chars().count();
                assert!(found <= width.max(30), "{width}: {line}");
            }
        }
    }

    #[test]
    fn it_is_sorted_as_asked() {
        let by = |text: &str| {
            let mut apps = apps();
            text.parse::<SortBy>().expect(text).sort(&mut apps);
            apps.iter().map(|app| app.id).collect::<Vec<_>>()
        };
        assert_eq!(by("name"), [1, 3, 2, 4, 0]);
        assert_eq!(by("restarts:desc"), [1, 0, 2, 3, 4]);
        assert_eq!(by("status:asc"), [0, 4, 1, 2, 3]);
        assert!(
            "colour"
                .parse::<SortBy>()
                .is_err_and(|e| e.contains("memory"))
        );
        assert!("cpu:up".parse::<SortBy>().is_err());
    }
}
