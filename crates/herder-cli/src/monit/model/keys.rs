//! What keys do.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most keys mean nothing at most times"
)]

use super::details::Details;
use super::dialog::{Dialog, MOST_WORKERS, Proposal, What};
use super::{Model, Page, Pane, Wish};

/// Rows at a time, for those keys that leap.
const LEAP: usize = 10;

/// The longest text to look for, in characters.
const LONGEST_FILTER: usize = 200;

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::monit) enum Key {
    Char(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    BackTab,
    Enter,
    Escape,
    Backspace,
    /// Control and C.
    Interrupt,
    /// Control and L.
    Redraw,
    /// Control and U.
    Erase,
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Up,
    Down,
}

impl Model {
    pub(super) fn press(&mut self, key: Key) -> Vec<Wish> {
        match key {
            Key::Interrupt => return vec![Wish::Quit],
            Key::Redraw => return vec![Wish::Redraw],
            _ => {}
        }
        if self.problem().is_some() {
            if matches!(key, Key::Enter | Key::Escape | Key::Char('q' | ' ')) {
                self.deeds.seen();
            }
            return Vec::new();
        }
        match self.dialog.take() {
            Some(Dialog::Help) => self.on_help(key),
            Some(Dialog::Confirm(proposal)) => self.on_proposal(proposal, key),
            Some(Dialog::Filter(filter)) => {
                self.on_filter(filter, key);
                Vec::new()
            }
            None => self.on_page(key),
        }
    }

    fn on_help(&mut self, key: Key) -> Vec<Wish> {
        if !matches!(key, Key::Enter | Key::Escape | Key::Char('q' | ' ' | '?')) {
            self.dialog = Some(Dialog::Help);
        }
        Vec::new()
    }

    fn on_proposal(&mut self, mut proposal: Proposal, key: Key) -> Vec<Wish> {
        match key {
            Key::Enter | Key::Char('y' | 'Y') => {
                let deed = self.deeds.begin(&proposal, self.now_ms);
                let action = proposal.action();
                return vec![Wish::Act { deed, action }];
            }
            Key::Escape | Key::Char('n' | 'N' | 'q') => return Vec::new(),
            Key::Char('+' | '=') | Key::Up => proposal.scale(1),
            Key::Char('-') | Key::Down => proposal.scale(-1),
            _ => {}
        }
        self.dialog = Some(Dialog::Confirm(proposal));
        Vec::new()
    }

    fn on_filter(&mut self, mut filter: super::log::Filter, key: Key) {
        match key {
            Key::Enter => {
                self.log.filter(filter);
                return;
            }
            Key::Escape => return,
            Key::Tab | Key::BackTab => filter.turn(),
            Key::Backspace => {
                filter.text.pop();
            }
            Key::Erase => filter.text.clear(),
            Key::Char(c) if filter.text.chars().count() < LONGEST_FILTER => filter.text.push(c),
            _ => {}
        }
        self.dialog = Some(Dialog::Filter(filter));
    }

    /// A text goes where texts go, and nowhere else.
    pub(super) fn paste(&mut self, text: &str) {
        self.touch();
        if let Some(Dialog::Filter(filter)) = &mut self.dialog {
            let room = LONGEST_FILTER.saturating_sub(filter.text.chars().count());
            let first = text.lines().next().unwrap_or_default();
            filter.text.extend(first.chars().take(room));
        }
    }

    fn on_page(&mut self, key: Key) -> Vec<Wish> {
        match key {
            Key::Char('q') => return vec![Wish::Quit],
            Key::Char('?') => self.dialog = Some(Dialog::Help),
            Key::Char('/') => self.dialog = Some(Dialog::Filter(self.log.filter.clone())),
            Key::Char('o') => {
                let mut filter = self.log.filter.clone();
                filter.turn();
                self.log.filter(filter);
            }
            Key::Char('l') => self.toggle_log(),
            Key::Enter => return self.open(),
            Key::Escape => self.back(),
            Key::Tab | Key::BackTab => self.turn(key),
            Key::Char('r') => self.propose(What::Reload),
            Key::Char('R') => self.propose(What::Restart),
            Key::Char('s') => self.propose(What::Stop),
            Key::Char('S') => self.propose(What::Start),
            Key::Char('+' | '=') => self.propose_scale(1),
            Key::Char('-') => self.propose_scale(-1),
            _ => self.go(key),
        }
        Vec::new()
    }

    fn toggle_log(&mut self) {
        self.page = match self.page {
            Page::Log => Page::Overview,
            Page::Overview | Page::Details => Page::Log,
        };
    }

    fn open(&mut self) -> Vec<Wish> {
        if self.page == Page::Details {
            self.page = Page::Overview;
            return Vec::new();
        }
        let Some(app) = self.apps.chosen() else {
            return Vec::new();
        };
        let name = app.name.clone();
        self.details = Some(Details::of(&name));
        self.page = Page::Details;
        vec![Wish::Look(name.clone()), Wish::Recall(name)]
    }

    /// One step back to where everything is seen.
    fn back(&mut self) {
        if self.page != Page::Overview {
            self.page = Page::Overview;
        } else if self.log.back() > 0 {
            self.log.down(usize::MAX);
        } else {
            self.log.filter(super::log::Filter::default());
        }
    }

    fn turn(&mut self, key: Key) {
        let order = [Pane::Apps, Pane::Workers, Pane::Log, Pane::Events];
        let here = order.iter().position(|pane| *pane == self.pane);
        let by = if key == Key::Tab { 1 } else { order.len() - 1 };
        self.pane = order[(here.unwrap_or(0) + by) % order.len()];
    }

    fn propose(&mut self, what: What) {
        let app = self.apps.chosen().map(|app| app.name.clone());
        self.dialog = app.map(|app| Dialog::Confirm(Proposal { app, what }));
    }

    fn propose_scale(&mut self, by: i16) {
        let Some(from) = self.apps.chosen().map(|app| app.workers) else {
            return;
        };
        let to = from.saturating_add_signed(by).clamp(1, MOST_WORKERS);
        self.propose(What::Scale { from, to });
    }

    /// Keys that move what is shown.
    fn go(&mut self, key: Key) {
        let (way, by) = match key {
            Key::Up | Key::Char('k') => (Way::Up, 1),
            Key::Down | Key::Char('j') => (Way::Down, 1),
            Key::PageUp => (Way::Up, LEAP),
            Key::PageDown | Key::Char(' ') => (Way::Down, LEAP),
            Key::Home | Key::Char('g') => (Way::Up, usize::MAX),
            Key::End | Key::Char('G') => (Way::Down, usize::MAX),
            Key::Left | Key::Right => {
                self.sideways(key);
                return;
            }
            _ => return,
        };
        match (self.page, self.pane) {
            (Page::Details, _) => {
                let rows = self.rows;
                if let Some(details) = &mut self.details {
                    details.top = moved(details.top, way, by, rows.details_all, rows.details);
                }
            }
            (Page::Log, _) | (Page::Overview, Pane::Log) => match way {
                Way::Up => self.log.up(by, self.rows.log),
                Way::Down => self.log.down(by),
            },
            (Page::Overview, Pane::Apps) => {
                let by = isize::try_from(by).unwrap_or(isize::MAX);
                self.apps.choose(if way == Way::Up { -by } else { by });
            }
            (Page::Overview, Pane::Workers) => {
                let rows = self.rows;
                self.workers_top = moved(self.workers_top, way, by, rows.workers_all, rows.workers);
            }
            (Page::Overview, Pane::Events) => match way {
                Way::Up => self.events.up(by, self.rows.events),
                Way::Down => self.events.down(by),
            },
        }
    }

    fn sideways(&mut self, key: Key) {
        if self.page == Page::Details {
            return;
        }
        match key {
            Key::Left => self.log.left(),
            _ => self.log.right(),
        }
    }
}

/// The first row that is shown, moved.
fn moved(top: usize, way: Way, by: usize, all: usize, room: usize) -> usize {
    let last = all.saturating_sub(room);
    match way {
        Way::Up => top.min(last).saturating_sub(by),
        Way::Down => top.saturating_add(by).min(last),
    }
}
