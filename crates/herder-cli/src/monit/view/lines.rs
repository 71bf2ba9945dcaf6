//! The log, and what happened.

use herder_api::control::LogLine;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{Focus, Theme, focus, part};
use crate::monit::model::events::{Happening, Weight};
use crate::monit::model::log::{Log, State};
use crate::monit::model::{Model, Page, Pane};
use crate::render::Paint;
use crate::render::text::{Sgr, escape, escape_line};

/// Where tabs end.
const TAB: usize = 8;

/// The log of the chosen app. Returns how many lines there is room for.
pub(super) fn log(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> usize {
    let focus = match model.page {
        Page::Log => Focus::Here,
        Page::Overview | Page::Details => focus(model, Pane::Log),
    };
    let log = &model.log;
    let block = part(title(log), focus, theme);
    let inner = block.inner(area);
    let room = usize::from(inner.height);
    let end = log.lines().len().saturating_sub(log.back());
    let start = end.saturating_sub(room);
    let end = end.max(room.min(log.lines().len()));
    let shown = log.lines().range(start..end);
    // Where some lines have a slot, all of them stand below each other.
    let slots = shown.clone().any(|line| line.slot.is_some());
    let width = if slots { 3 } else { 0 };
    let lines: Vec<Line<'_>> = shown
        .map(|line| of_log(line, width, model, theme))
        .collect();
    let lines = if lines.is_empty() {
        vec![Line::styled(nothing(log), theme.style(Paint::Dim))]
    } else {
        lines
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
    room
}

fn nothing(log: &Log) -> &'static str {
    match (&log.app, log.filter.is_empty()) {
        (None, _) => "",
        (Some(_), true) => "Nothing is printed yet.",
        (Some(_), false) => "Nothing passes the filter yet.",
    }
}

fn title(log: &Log) -> String {
    let Some(app) = &log.app else {
        return "Log".to_owned();
    };
    let mut title = format!("Log of {}", escape(app));
    if log.filter.stream.is_some() {
        title += &format!(", {} only", log.filter.stream());
    }
    if !log.filter.text.is_empty() {
        title += &format!(", with \"{}\"", escape(&log.filter.text));
    }
    title += &match &log.state {
        State::Ended(Some(why)) => format!(": {}", escape(why)),
        State::Ended(None) => ": it has ended".to_owned(),
        State::Idle | State::Follows if log.back() > 0 => {
            format!(": {} more below (end follows)", log.back())
        }
        State::Idle | State::Follows => ": live".to_owned(),
    };
    title
}

/// With so many columns for the slot.
fn of_log<'a>(line: &LogLine, slot: usize, model: &Model, theme: Theme) -> Line<'a> {
    // Without colours the stream must be seen otherwise.
    let (mark, paint) = match line.stream.as_str() {
        "error" => ("!", Paint::Red),
        "herder" => ("*", Paint::Cyan),
        _ => ("|", Paint::Green),
    };
    let mut spans = Vec::new();
    if let Some(time) = line.time.as_deref().filter(|_| model.page == Page::Log) {
        spans.push(Span::styled(escape(time) + " ", theme.style(Paint::Dim)));
    }
    let number = line
        .slot
        .map_or_else(String::new, |slot| format!("{slot:>2} "));
    let number = format!("{number:<slot$}");
    spans.push(Span::styled(number, theme.style(Paint::Dim)));
    spans.push(Span::styled(format!("{mark} "), theme.style(paint)));
    let text = untabbed(&escape_line(&line.line, Sgr::Dropped));
    let text: String = text.chars().skip(model.log.left).collect();
    mark_text(&mut spans, &text, &model.log.filter.text, theme);
    Line::from(spans)
}

/// Makes visible what was looked for.
fn mark_text(spans: &mut Vec<Span<'_>>, text: &str, wanted: &str, theme: Theme) {
    if wanted.is_empty() {
        spans.push(Span::raw(text.to_owned()));
        return;
    }
    for (place, piece) in text.split(wanted).enumerate() {
        if place > 0 {
            spans.push(Span::styled(escape(wanted), theme.style(Paint::Yellow)));
        }
        spans.push(Span::raw(piece.to_owned()));
    }
}

/// With spaces where tabs are: a cell of the screen has none.
fn untabbed(text: &str) -> String {
    if !text.contains('\t') {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + TAB);
    let mut column = 0;
    for c in text.chars() {
        let width = if c == '\t' { TAB - column % TAB } else { 1 };
        if c == '\t' {
            shown.extend(std::iter::repeat_n(' ', width));
        } else {
            shown.push(c);
        }
        column += width;
    }
    shown
}

/// What happened lately. Returns how many lines there is room for.
pub(super) fn events(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> usize {
    let events = &model.events;
    let below = match events.back() {
        0 => String::new(),
        back => format!(": {back} more below"),
    };
    let block = part(
        format!("Events (UTC){below}"),
        focus(model, Pane::Events),
        theme,
    );
    let inner = block.inner(area);
    let room = usize::from(inner.height);
    let all = events.all();
    let end = all.len().saturating_sub(events.back());
    let start = end.saturating_sub(room);
    let end = end.max(room.min(all.len()));
    let shown = all.range(start..end);
    let lines: Vec<Line<'_>> = shown
        .map(|event| of_event(event, area.width, theme))
        .collect();
    let lines = if lines.is_empty() {
        let text = "Nothing has happened yet.";
        vec![Line::styled(text, theme.style(Paint::Dim))]
    } else {
        lines
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
    room
}

fn of_event<'a>(event: &Happening, width: u16, theme: Theme) -> Line<'a> {
    let day = event.time.get(5..10).filter(|_| width >= 76);
    let clock = event.time.get(11..19).unwrap_or(&event.time);
    let time = day.map_or_else(String::new, |day| escape(day) + " ") + &escape(clock);
    let paint = match event.weight {
        Weight::Info => Paint::Plain,
        Weight::Warning => Paint::Yellow,
    };
    let mut spans = vec![Span::styled(time + "  ", theme.style(Paint::Dim))];
    let about = &event.app;
    if !about.is_empty() && !event.message.starts_with(about.as_str()) {
        spans.push(Span::styled(
            format!("{}: ", escape(about)),
            theme.style(Paint::Bold),
        ));
    }
    spans.push(Span::styled(escape(&event.message), theme.style(paint)));
    Line::from(spans)
}
