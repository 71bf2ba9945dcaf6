//! The chosen app: its workers, and all that is known of it.

use herder_api::status::{AppStatus, HerdStatus, SlotStatus, WorkerStatus};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::apps::{Cell, Column, column, row, table};
use super::{Theme, focus, part};
use crate::monit::model::{Model, Pane, Rows};
use crate::render::describe::describe;
use crate::render::history::history;
use crate::render::list::percent;
use crate::render::text::{age, bytes, escape, wait};
use crate::render::{Paint, Style};

const COLUMNS: [Column; 8] = [
    column("slot", 8, 0),
    column("pid", 8, 0),
    column("state", 0, 0),
    column("gen", 4, 0),
    column("restarts", 8, 0),
    column("cpu", 6, 0),
    column("memory", 7, 0),
    column("uptime", 8, 64),
];

/// How many rows the workers want.
pub(super) fn height(model: &Model) -> u16 {
    let Some(app) = model.apps.chosen() else {
        return 3;
    };
    let rows = app.herd.as_ref().map_or(0, |herd| cells(herd).len());
    let notes = usize::from(app.note.is_some());
    u16::try_from(rows + notes + 2).unwrap_or(u16::MAX)
}

/// The workers of the chosen app.
pub(super) fn workers(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    theme: Theme,
    rows: &mut Rows,
) {
    let focus = focus(model, Pane::Workers);
    let Some(app) = model.apps.chosen() else {
        frame.render_widget(part("Workers".to_owned(), focus, theme), area);
        return;
    };
    let block = part(title(app), focus, theme);
    let mut inner = block.inner(area);
    frame.render_widget(block, area);
    if let Some(note) = &app.note {
        let line = Line::styled(escape(note), theme.style(Paint::Yellow));
        frame.render_widget(line, Rect { height: 1, ..inner });
        inner.y += 1;
        inner.height = inner.height.saturating_sub(1);
    }
    let Some(herd) = &app.herd else {
        if app.note.is_none() {
            frame.render_widget(Line::from("It does not run. S starts it."), inner);
        }
        return;
    };
    let cells = cells(herd);
    rows.workers = usize::from(inner.height.saturating_sub(1)).max(1);
    rows.workers_all = cells.len();
    let top = model
        .workers_top
        .min(cells.len().saturating_sub(rows.workers));
    let shown = cells.iter().skip(top);
    let shown = shown.map(|cells| row(cells, &COLUMNS, area.width, theme));
    frame.render_widget(table(shown.collect(), &COLUMNS, area.width, theme), inner);
}

fn title(app: &AppStatus) -> String {
    let name = escape(&app.name);
    let Some(herd) = &app.herd else {
        return format!("Workers of {name}");
    };
    let dispatch = escape(&herd.dispatch);
    let busy = if herd.busy { ", busy" } else { "" };
    format!(
        "Workers of {name}: {} of {}, generation {}, {dispatch}{busy}",
        app.ready, app.workers, herd.generation
    )
}

fn cells(herd: &HerdStatus) -> Vec<Vec<Cell>> {
    let mut all: Vec<Vec<Cell>> = herd.slots.iter().flat_map(of_slot).collect();
    let others = herd.others.iter();
    all.extend(others.map(|other| of_worker(&escape(&other.part), other, None)));
    all
}

fn of_slot(slot: &SlotStatus) -> Vec<Vec<Cell>> {
    let number = slot.slot.to_string();
    let restarts = Some(slot.restarts);
    let workers = slot.workers.iter().enumerate();
    let mut rows: Vec<Vec<Cell>> = workers
        .map(|(place, worker)| of_worker(&number, worker, restarts.filter(|_| place == 0)))
        .collect();
    if rows.is_empty() {
        rows.push(at_rest(slot, number));
    }
    rows
}

/// A slot in which nobody lives.
fn at_rest(slot: &SlotStatus, number: String) -> Vec<Cell> {
    let rests = match slot.rests.as_str() {
        "" => "empty".to_owned(),
        rests => escape(rests),
    };
    let retry = slot
        .retry_in_ms
        .map(|millis| format!(", next start in {}", wait(millis)));
    let paint = match slot.rests.as_str() {
        "quarantined" => Paint::Red,
        "done" => Paint::Dim,
        _ => Paint::Yellow,
    };
    vec![
        Cell::painted(Paint::Bold, number),
        Cell::plain(""),
        Cell::painted(paint, rests + &retry.unwrap_or_default()),
        Cell::plain(""),
        Cell::plain(slot.restarts.to_string()),
        Cell::plain(""),
        Cell::plain(""),
        Cell::plain(""),
    ]
}

fn of_worker(place: &str, worker: &WorkerStatus, restarts: Option<u64>) -> Vec<Cell> {
    let paint = match worker.phase.as_str() {
        "ready" => Paint::Green,
        "starting" | "standby" => Paint::Cyan,
        "suspect" | "draining" => Paint::Yellow,
        "killing" => Paint::Red,
        _ => Paint::Plain,
    };
    let usage = worker.usage;
    vec![
        Cell::painted(Paint::Bold, place),
        Cell::plain(worker.pid.to_string()),
        Cell::painted(paint, escape(&worker.phase)),
        Cell::plain(worker.generation.to_string()),
        Cell::plain(restarts.map_or_else(String::new, |count| count.to_string())),
        Cell::plain(usage.map_or_else(String::new, |usage| percent(usage.cpu))),
        Cell::plain(usage.map_or_else(String::new, |usage| bytes(usage.memory))),
        Cell::plain(age(worker.age_ms)),
    ]
}

/// All that is known of the app.
pub(super) fn details(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    theme: Theme,
    rows: &mut Rows,
) {
    let Some(known) = &model.details else { return };
    let title = format!("Details of {}", escape(&known.name));
    let block = part(title, super::Focus::Here, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(detail) = &known.detail else {
        frame.render_widget(Line::from("It is asked for."), inner);
        return;
    };
    let style = Style {
        colour: false,
        width: Some(usize::from(inner.width)),
    };
    let text = describe(detail, model.now_ms, style);
    let past = history(&known.past, style);
    let mut lines: Vec<Line<'_>> = text
        .lines()
        .map(|line| Line::from(line.to_owned()))
        .collect();
    lines.push(Line::default());
    lines.push(Line::styled("History", theme.style(Paint::Bold)));
    lines.extend(past.lines().map(|line| Line::from(line.to_owned())));
    rows.details = usize::from(inner.height).max(1);
    rows.details_all = lines.len();
    let top = known.top.min(lines.len().saturating_sub(rows.details));
    let shown: Vec<Line<'_>> = lines.into_iter().skip(top).take(rows.details).collect();
    frame.render_widget(Paragraph::new(shown), inner);
}
