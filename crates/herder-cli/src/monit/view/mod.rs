//! What is known, as a frame. Pure: the same state is the same frame.

mod app;
mod apps;
mod dialog;
mod lines;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::symbols::border;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::model::{Link, Model, Page, Pane, Rows};
use crate::render::Paint;
pub(crate) use theme::Theme;

/// The least columns and rows for anything to be seen.
pub(super) const LEAST: (u16, u16) = (60, 15);

/// From so many columns on, the log stands beside the rest.
const WIDE: u16 = 120;

/// With fewer rows than these, what is below the apps takes turns.
const TALL: u16 = 18;

/// Draws everything. Returns how many rows there are for what.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme) -> Rows {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(frame, area);
        return Rows::default();
    }
    let deeds = u16::try_from(model.deeds.all().len()).unwrap_or(0).min(4);
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(deeds),
        Constraint::Length(1),
    ]);
    let [head, body, done, foot] = parts.areas(area);
    dialog::head(frame, head, model, theme);
    let mut rows = Rows::default();
    match model.page {
        Page::Overview => overview(frame, body, model, theme, &mut rows),
        Page::Details => app::details(frame, body, model, theme, &mut rows),
        Page::Log => {
            rows.log = lines::log(frame, body, model, theme);
        }
    }
    if model.link != Link::Up {
        // It is what was known last.
        frame.buffer_mut().set_style(body, Modifier::DIM);
    }
    dialog::deeds(frame, done, model, theme);
    dialog::foot(frame, foot, model, theme);
    dialog::above(frame, area, model, theme);
    rows
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = vec![
        Line::from(format!("herder monit needs {}x{};", LEAST.0, LEAST.1)),
        Line::from(format!("this is {}x{}.", area.width, area.height)),
    ];
    let top = area.height.saturating_sub(2) / 2;
    let middle = Rect {
        y: area.y + top,
        height: area.height.saturating_sub(top),
        ..area
    };
    frame.render_widget(Paragraph::new(text).centered(), middle);
}

fn overview(frame: &mut Frame<'_>, body: Rect, model: &Model, theme: Theme, rows: &mut Rows) {
    let count = u16::try_from(model.apps.all().len()).unwrap_or(u16::MAX);
    let wanted = count.max(1).saturating_add(2);
    if body.height < TALL {
        let most = (body.height / 2).max(4);
        let parts = Layout::vertical([Constraint::Length(wanted.min(most)), Constraint::Min(3)]);
        let [above, below] = parts.areas(body);
        apps::draw(frame, above, model, theme);
        match model.pane {
            Pane::Apps | Pane::Workers => app::workers(frame, below, model, theme, rows),
            Pane::Log => rows.log = lines::log(frame, below, model, theme),
            Pane::Events => rows.events = lines::events(frame, below, model, theme),
        }
        return;
    }
    let most = (body.height / 3).max(5);
    let parts = Layout::vertical([Constraint::Length(wanted.min(most)), Constraint::Min(9)]);
    let [above, below] = parts.areas(body);
    apps::draw(frame, above, model, theme);
    let workers = app::height(model);
    if body.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Length(64), Constraint::Min(1)])
            .spacing(1)
            .areas(below);
        let most = below.height.saturating_sub(5) * 2 / 3;
        let parts = Layout::vertical([Constraint::Length(workers.min(most)), Constraint::Min(3)]);
        let [upper, lower] = parts.areas(left);
        app::workers(frame, upper, model, theme, rows);
        rows.events = lines::events(frame, lower, model, theme);
        rows.log = lines::log(frame, right, model, theme);
        return;
    }
    let parts = Layout::vertical([
        Constraint::Length(workers.min((below.height / 3).max(4))),
        Constraint::Min(3),
        Constraint::Length((below.height / 4).max(3)),
    ]);
    let [upper, middle, lower] = parts.areas(below);
    app::workers(frame, upper, model, theme, rows);
    rows.log = lines::log(frame, middle, model, theme);
    rows.events = lines::events(frame, lower, model, theme);
}

/// The frame of a part: a line with its title. The part that keys go to has a thick one.
fn part<'a>(title: String, focus: Focus, theme: Theme) -> Block<'a> {
    let (set, paint) = match focus {
        Focus::Here => (border::THICK, Paint::Cyan),
        Focus::Elsewhere => (border::PLAIN, Paint::Dim),
    };
    let title = Line::styled(format!(" {title} "), theme.style(Paint::Bold));
    Block::new()
        .borders(Borders::TOP)
        .border_set(set)
        .border_style(theme.style(paint))
        .title(title)
}

/// Whether keys go to a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Focus {
    Here,
    Elsewhere,
}

fn focus(model: &Model, pane: Pane) -> Focus {
    if model.pane == pane && model.page == Page::Overview {
        Focus::Here
    } else {
        Focus::Elsewhere
    }
}
