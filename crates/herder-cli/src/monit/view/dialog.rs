//! The head, the foot, and what stands before everything else.

use herder_api::Problem;
use herder_api::status::AppPhase;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Padding, Paragraph, Wrap};

use super::Theme;
use crate::monit::model::deeds::{Deed, How};
use crate::monit::model::dialog::{Dialog, Proposal};
use crate::monit::model::{Link, Model, Page};
use crate::render::Paint;
use crate::render::list::{percent, word};
use crate::render::text::{Sgr, age, bytes, count, escape, escape_line};

const HELP: [(&str, &str); 14] = [
    ("↑ ↓ j k", "choose, scroll"),
    ("tab", "next part"),
    ("enter", "details, and back"),
    ("l", "log full screen"),
    ("/  o", "filter, stream"),
    ("← →", "long lines"),
    ("g G", "first, last"),
    ("r", "reload, no loss"),
    ("R", "restart"),
    ("s  S", "stop, start"),
    ("+ -", "scale"),
    ("esc", "back, no filter"),
    ("^L", "draw anew"),
    ("q", "quit"),
];

/// Who the daemon is, and how its apps are.
pub(super) fn head(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let line = match &model.link {
        Link::Unknown => Line::from(" herder: looking for the daemon"),
        Link::Lost { since_ms, why } => {
            let lasted = age(model.now_ms.saturating_sub(*since_ms));
            let text = format!(
                " herder: no daemon for {lasted}; waiting for it. {}",
                escape(why)
            );
            Line::styled(text, theme.style(Paint::Red))
        }
        Link::Up => summary(model, area.width, theme),
    };
    frame.render_widget(line, area);
}

fn summary<'a>(model: &Model, width: u16, theme: Theme) -> Line<'a> {
    let mut spans = vec![Span::styled(" herder ", theme.style(Paint::Bold))];
    if let Some(daemon) = &model.daemon {
        let up = age(model.now_ms.saturating_sub(daemon.since_ms));
        let version = escape(&daemon.version);
        spans.push(Span::raw(format!("{version}  up {up}  ")));
    }
    let apps = model.apps.all();
    let all = u64::try_from(apps.len()).unwrap_or(u64::MAX);
    spans.push(Span::raw(" ".to_owned() + &count(all, "app")));
    for (phase, paint) in [
        (AppPhase::Online, Paint::Green),
        (AppPhase::Degraded, Paint::Yellow),
        (AppPhase::Errored, Paint::Red),
    ] {
        let number = apps.iter().filter(|app| app.phase == phase).count();
        if number > 0 {
            spans.push(Span::raw(", "));
            spans.push(Span::styled(
                format!("{number} {}", word(phase)),
                theme.style(paint),
            ));
        }
    }
    let usage = apps.iter().filter_map(|app| app.usage);
    let (cpu, memory) = usage.fold((0.0, 0), |(cpu, memory), usage| {
        (cpu + usage.cpu, memory + usage.memory)
    });
    let used = format!("   cpu {}  memory {}", percent(cpu), bytes(memory));
    let taken: usize = spans.iter().map(Span::width).sum();
    if !apps.is_empty() && taken + used.len() <= usize::from(width) {
        spans.push(Span::raw(used));
    }
    Line::from(spans)
}

/// How far what was asked for has come, and how it ended.
pub(super) fn deeds(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let all = model.deeds.all();
    let first = all.len().saturating_sub(usize::from(area.height));
    let lines: Vec<Line<'_>> = all[first..]
        .iter()
        .map(|deed| of_deed(deed, model.now_ms, theme))
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn of_deed<'a>(deed: &Deed, now_ms: u64, theme: Theme) -> Line<'a> {
    let app = escape(&deed.app);
    if let Some(end) = &deed.end {
        let (mark, paint) = match end.how {
            How::Well => (" ✓ ", Paint::Green),
            How::Badly => (" ✗ ", Paint::Red),
        };
        // Many a problem names the app itself.
        let of_app = end.text.strip_prefix(&deed.app);
        let rest = of_app.and_then(|rest| rest.strip_prefix(": "));
        let text = escape(rest.unwrap_or(&end.text));
        let text = format!("{} {app}: {text}", deed.verb);
        return Line::from(vec![
            Span::styled(mark, theme.style(paint)),
            Span::raw(text),
        ]);
    }
    let seconds = now_ms.saturating_sub(deed.began_ms) / 1000;
    let lasted = match seconds {
        0 => String::new(),
        _ => format!(" ({})", age(seconds * 1000)),
    };
    let mut spans = vec![
        Span::styled(" … ", theme.style(Paint::Cyan)),
        Span::raw(format!("{} {app}{lasted}  ", deed.verb)),
    ];
    for phase in deed.slots.values() {
        let (paint, mark) = match phase.as_str() {
            "ready" => (Paint::Green, "●"),
            "starting" => (Paint::Cyan, "◐"),
            "leaving" => (Paint::Yellow, "◌"),
            "failed" => (Paint::Red, "✗"),
            _ => (Paint::Dim, "○"),
        };
        spans.push(Span::styled(mark, theme.style(paint)));
    }
    if !deed.slots.is_empty() {
        let ready = deed
            .slots
            .values()
            .filter(|phase| *phase == "ready")
            .count();
        spans.push(Span::raw(format!(
            "  {ready} of {} ready",
            deed.slots.len()
        )));
    }
    if let Some(note) = &deed.note {
        spans.push(Span::raw(format!("  {}", escape(note))));
    }
    Line::from(spans)
}

/// What can be pressed.
pub(super) fn foot(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    if let Some(Dialog::Filter(filter)) = &model.dialog {
        let line = Line::from(vec![
            Span::styled(
                format!(" filter [{}]: ", filter.stream()),
                theme.style(Paint::Cyan),
            ),
            Span::raw(escape(&filter.text)),
            Span::styled("█", theme.style(Paint::Dim)),
            Span::styled(
                "   tab stream  enter apply  esc cancel",
                theme.style(Paint::Dim),
            ),
        ]);
        frame.render_widget(line, area);
        return;
    }
    let keys: &[&str] = match model.page {
        Page::Overview => &[
            "? help",
            "q quit",
            "enter details",
            "l log",
            "r reload",
            "R restart",
            "s stop",
            "S start",
            "+- scale",
            "/ filter",
            "tab part",
        ],
        Page::Details => &[
            "esc back",
            "↑↓ scroll",
            "r reload",
            "R restart",
            "s stop",
            "S start",
            "q quit",
        ],
        Page::Log => &[
            "l back",
            "↑↓ scroll",
            "← → sideways",
            "G follow",
            "/ filter",
            "o stream",
            "q quit",
        ],
    };
    let mut text = String::new();
    for key in keys {
        let longer = text.chars().count() + 2 + key.chars().count();
        if longer > usize::from(area.width) {
            break;
        }
        text += &format!(" {key} ");
    }
    frame.render_widget(Line::styled(text, theme.style(Paint::Dim)), area);
}

/// What must be answered or read.
pub(super) fn above(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    match (&model.dialog, model.problem()) {
        (Some(Dialog::Help), _) => help(frame, area, theme),
        (Some(Dialog::Confirm(proposal)), _) => confirm(frame, area, proposal, theme),
        (None, Some((app, problem))) => trouble(frame, area, app, problem, theme),
        (Some(Dialog::Filter(_)), _) | (None, None) => {}
    }
}

/// A box in the middle with these lines in it.
fn boxed(frame: &mut Frame<'_>, area: Rect, border: Style, title: &str, lines: Vec<Line<'_>>) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let room = usize::from(area.width.saturating_sub(8)).min(72);
    let inner = widest.min(room).max(1);
    // Where words are kept whole, a row more may be needed.
    let rows = lines.iter().map(|line| match line.width() {
        width if width <= inner => 1,
        width => width.div_ceil(inner) + 1,
    });
    let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let width = narrow(inner + 4);
    let height = narrow(rows.sum::<usize>() + 2).min(area.height.saturating_sub(2));
    let middle = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::new()
        .borders(Borders::ALL)
        .border_style(border)
        .title(format!(" {title} "))
        .padding(Padding::horizontal(1));
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(Clear, middle);
    frame.render_widget(text.block(block), middle);
}

fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let (left, right) = HELP.split_at(HELP.len() / 2);
    let key = |key: &'static str| Span::styled(format!("{key:<8}"), theme.style(Paint::Cyan));
    let rows = left.iter().zip(right);
    let lines = rows.map(|(one, other)| {
        let first = Span::raw(format!("{:<19}", one.1));
        Line::from(vec![key(one.0), first, key(other.0), Span::raw(other.1)])
    });
    boxed(
        frame,
        area,
        theme.style(Paint::Cyan),
        "Keys",
        lines.collect(),
    );
}

fn confirm(frame: &mut Frame<'_>, area: Rect, proposal: &Proposal, theme: Theme) {
    let lines = vec![
        Line::styled(escape(&proposal.question()), theme.style(Paint::Bold)),
        Line::from(escape(&proposal.meaning())),
        Line::default(),
        Line::styled(
            "enter, y: do it    esc, n: leave it",
            theme.style(Paint::Cyan),
        ),
    ];
    boxed(frame, area, theme.style(Paint::Yellow), "Sure?", lines);
}

fn trouble(frame: &mut Frame<'_>, area: Rect, app: &str, problem: &Problem, theme: Theme) {
    let mut lines: Vec<Line<'_>> = problem
        .message
        .lines()
        .map(|line| Line::from(escape(line)))
        .collect();
    // What was printed last may be long; the end says most.
    let room = usize::from(area.height.saturating_sub(10));
    let first = problem.last_lines.len().saturating_sub(room);
    lines.extend(problem.last_lines[first..].iter().map(|line| {
        let text = escape_line(line, Sgr::Dropped).replace('\t', "    ");
        Line::styled(format!("| {text}"), theme.style(Paint::Dim))
    }));
    for hint in problem.hint.iter().flat_map(|hint| hint.lines()) {
        let head = Span::styled("hint: ", theme.style(Paint::Cyan));
        lines.push(Line::from(vec![head, Span::raw(escape(hint))]));
    }
    lines.push(Line::default());
    lines.push(Line::styled("enter: go on", theme.style(Paint::Cyan)));
    let title = escape(app);
    boxed(frame, area, theme.style(Paint::Red), &title, lines);
}
