//! The table of apps, and how tables are drawn.

use herder_api::status::{AppPhase, AppStatus};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table};

use super::{Focus, Theme, focus, part};
use crate::monit::model::{Link, Model, Pane};
use crate::render::Paint;
use crate::render::list::{paint, percent, word};
use crate::render::text::{age, bytes, escape};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// 0 = what is left.
    pub(super) width: u16,
    /// From so many columns on it is shown.
    pub(super) from: u16,
}

/// What stands in a column of a row.
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) paint: Paint,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Cell {
        Cell::painted(Paint::Plain, text)
    }

    pub(super) fn painted(paint: Paint, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            paint,
        }
    }
}

const COLUMNS: [Column; 10] = [
    column("id", 4, 100),
    column("name", 0, 0),
    column("state", 10, 0),
    column("workers", 7, 0),
    column("restarts", 8, 0),
    column("cpu", 6, 0),
    column("memory", 7, 0),
    column("conn/s", 7, 0),
    column("uptime", 8, 76),
    column("listening", 30, 120),
];

/// In which the words stand at the left.
const LEFT: [&str; 5] = ["name", "state", "listening", "slot", "pid"];

pub(super) const fn column(title: &'static str, width: u16, from: u16) -> Column {
    Column { title, width, from }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let apps = model.apps.all();
    let focus = focus(model, Pane::Apps);
    let block = part(format!("Apps ({})", apps.len()), focus, theme);
    if apps.is_empty() {
        let text = match model.link {
            Link::Up => {
                "There are none. `herder start PROGRAM` or `herder start FILE` starts some."
            }
            Link::Unknown | Link::Lost { .. } => "None are known.",
        };
        frame.render_widget(Paragraph::new(text).block(block), area);
        return;
    }
    // The title, and the head of the table.
    let room = usize::from(area.height.saturating_sub(2)).max(1);
    let chosen = model.apps.place();
    let top = (chosen + 1).saturating_sub(room);
    let shown = apps.iter().enumerate().skip(top).take(room);
    let rows = shown.map(|(place, app)| {
        let row = row(&cells(app, model), &COLUMNS, area.width, theme);
        match (place == chosen, focus) {
            (true, Focus::Here) => row.style(Modifier::REVERSED),
            (true, Focus::Elsewhere) => row.style(Modifier::BOLD | Modifier::UNDERLINED),
            (false, _) => row,
        }
    });
    let table = table(rows.collect(), &COLUMNS, area.width, theme);
    frame.render_widget(table.block(block), area);
}

fn cells(app: &AppStatus, model: &Model) -> Vec<Cell> {
    let runs = app.herd.is_some();
    let since = app.since_ms.filter(|_| runs);
    // Of the time since the daemon went, nothing is known.
    let now_ms = match model.link {
        Link::Lost { since_ms, .. } => since_ms,
        Link::Unknown | Link::Up => model.now_ms,
    };
    let uptime = since.map(|since| age(now_ms.saturating_sub(since)));
    let usage = app.usage.filter(|_| runs);
    let listening = app.herd.iter().flat_map(|herd| &herd.listening);
    let listening: Vec<String> = listening.map(|at| escape(at)).collect();
    let rate = model.apps.per_second(app);
    vec![
        Cell::painted(Paint::Dim, app.id.to_string()),
        Cell::painted(Paint::Bold, escape(&app.name)),
        state(app),
        Cell::plain(format!("{}/{}", app.ready, app.workers)),
        Cell::plain(app.restarts.to_string()),
        Cell::plain(usage.map_or_else(String::new, |usage| percent(usage.cpu))),
        Cell::plain(usage.map_or_else(String::new, |usage| bytes(usage.memory))),
        Cell::plain(rate.map_or_else(String::new, per_second)),
        Cell::plain(uptime.unwrap_or_default()),
        Cell::plain(listening.join(" ")),
    ]
}

/// What an app does, in its colour.
pub(super) fn state(app: &AppStatus) -> Cell {
    if app.healthy == Some(false) && app.phase == AppPhase::Online {
        return Cell::painted(Paint::Red, "unhealthy");
    }
    Cell::painted(paint(app.phase), word(app.phase))
}

/// `0`, `0.5`, `12`, `3400`.
fn per_second(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else if rate < 9.95 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

/// Of a table that is `width` wide.
pub(super) fn row<'a>(cells: &[Cell], columns: &[Column], width: u16, theme: Theme) -> Row<'a> {
    let shown = columns.iter().zip(cells);
    let shown = shown.filter(|(column, _)| width >= column.from);
    Row::new(shown.map(|(column, cell)| {
        let line = Line::from(Span::styled(cell.text.clone(), theme.style(cell.paint)));
        if LEFT.contains(&column.title) {
            line
        } else {
            line.right_aligned()
        }
    }))
}

pub(super) fn table<'a>(
    rows: Vec<Row<'a>>,
    columns: &[Column],
    width: u16,
    theme: Theme,
) -> Table<'a> {
    let shown = columns.iter().filter(|column| width >= column.from);
    let widths = shown.map(|column| match column.width {
        0 => Constraint::Min(8),
        width => Constraint::Length(width),
    });
    let titles: Vec<Cell> = columns
        .iter()
        .map(|column| Cell::painted(Paint::Dim, column.title))
        .collect();
    Table::new(rows, widths)
        .header(row(&titles, columns, width, theme))
        .column_spacing(1)
}
