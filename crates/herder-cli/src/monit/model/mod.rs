//! What is shown, and what becomes of it by data and keys. Pure: nothing is asked here, only wished for.

pub(super) mod apps;
pub(super) mod deeds;
pub(super) mod details;
pub(super) mod dialog;
pub(super) mod events;
mod keys;
pub(super) mod log;

use herder_api::Problem;
use herder_api::control::{Action, DaemonEvent, Incident, LogLine, Progress};
use herder_api::status::{AppDetail, AppStatus, DaemonStatus};
use herder_client::LogQuery;

use apps::Apps;
use deeds::Deeds;
use details::Details;
use dialog::Dialog;
use events::Events;
pub(super) use keys::Key;
use log::Log;

/// Of so many apps the past is asked for at the beginning.
const PASTS: usize = 16;

/// What comes in.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Somebody pressed a key.
    Key(Key),
    /// Somebody pasted a text: it is no command.
    Pasted(String),
    /// The terminal has another size, or shows something that we did not draw.
    Disturbed,
    /// A daemon answers.
    Found(DaemonStatus),
    /// How the apps are.
    Apps(Vec<AppStatus>),
    /// Why no daemon answers. It is tried again.
    Lost(String),
    /// Something happened.
    Event(DaemonEvent),
    /// What happened to an app before.
    Past { app: String, past: Vec<Incident> },
    /// All that is known of an app.
    Detail(Box<AppDetail>),
    /// Lines of a log.
    Lines { follow: u64, lines: Vec<LogLine> },
    /// There are no more lines of it, and why, if that is known.
    LinesEnded { follow: u64, why: Option<String> },
    /// How far something has come.
    Progress { deed: u64, news: Progress },
    /// It ended without saying how, or was not begun.
    DeedLost { deed: u64, why: Problem },
}

/// What is wished for.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Wish {
    /// The end.
    Quit,
    /// Everything is to be drawn anew.
    Redraw,
    /// This is to be done.
    Act { deed: u64, action: Action },
    /// These lines are to be followed, and no others.
    Follow { follow: u64, query: LogQuery },
    /// No lines.
    Unfollow,
    /// All that is known of an app.
    Look(String),
    /// What happened to an app before.
    Recall(String),
}

/// A part of the screen that keys go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Pane {
    #[default]
    Apps,
    Workers,
    Log,
    Events,
}

/// What fills the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Page {
    /// A part of everything.
    #[default]
    Overview,
    /// All that is known of the chosen app.
    Details,
    /// The log of the chosen app.
    Log,
}

/// Whether there is a daemon.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Link {
    /// That is not known yet.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Lost {
        /// Since when, in milliseconds since 1970.
        since_ms: u64,
        /// Why.
        why: String,
    },
}

/// How many rows of what there was room for when it was drawn last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rows {
    pub(super) workers: usize,
    pub(super) log: usize,
    pub(super) events: usize,
    pub(super) details: usize,
    /// How many rows the details have altogether.
    pub(super) details_all: usize,
    /// How many rows the workers have altogether.
    pub(super) workers_all: usize,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows {
            workers: 1,
            log: 1,
            events: 1,
            details: 1,
            details_all: 0,
            workers_all: 0,
        }
    }
}

/// Whether what is shown is what is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Freshness {
    /// It must be drawn.
    #[default]
    Stale,
    /// It is on the screen.
    Drawn,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) link: Link,
    pub(super) daemon: Option<DaemonStatus>,
    pub(super) apps: Apps,
    pub(super) pane: Pane,
    pub(super) page: Page,
    pub(super) dialog: Option<Dialog>,
    pub(super) log: Log,
    pub(super) events: Events,
    pub(super) details: Option<Details>,
    pub(super) deeds: Deeds,
    /// How many rows of the workers are above what is shown.
    pub(super) workers_top: usize,
    /// Milliseconds since 1970.
    pub(super) now_ms: u64,
    freshness: Freshness,
    rows: Rows,
    /// Whether the past was asked for since a daemon was found.
    recalled: bool,
}

impl Model {
    /// Takes what comes at `now_ms`, and says what is wished for.
    pub(super) fn take(&mut self, input: Input, now_ms: u64) -> Vec<Wish> {
        self.now_ms = now_ms;
        if self.deeds.forget(now_ms) {
            self.touch();
        }
        match input {
            Input::Key(key) => return self.pressed(key),
            Input::Found(daemon) => return self.found(daemon),
            Input::Apps(apps) => return self.sampled(apps),
            Input::Event(event) => return self.happened(event),
            Input::Pasted(text) => self.paste(&text),
            Input::Disturbed => self.touch(),
            Input::Lost(why) => self.lost(why),
            Input::Past { app, past } => self.remember(&app, past),
            Input::Detail(detail) => self.detailed(*detail),
            Input::Lines { follow, lines } => {
                if self.log.take(follow, lines) {
                    self.touch();
                }
            }
            Input::LinesEnded { follow, why } => {
                if self.log.end(follow, why) {
                    self.touch();
                }
            }
            Input::Progress { deed, news } => {
                self.touch();
                self.deeds.take(deed, news, now_ms);
            }
            Input::DeedLost { deed, why } => {
                self.touch();
                self.deeds.lose(deed, why, now_ms);
            }
        }
        Vec::new()
    }

    /// Whether it must be drawn.
    pub(super) fn is_stale(&self) -> bool {
        self.freshness == Freshness::Stale
    }

    /// It was drawn, with room for so many rows.
    pub(super) fn drawn(&mut self, rows: Rows) {
        self.freshness = Freshness::Drawn;
        self.rows = rows;
    }

    /// What needs an answer before anything else: a problem that nobody has seen yet.
    pub(super) fn problem(&self) -> Option<&(String, Problem)> {
        self.deeds.problem().filter(|_| self.dialog.is_none())
    }

    fn touch(&mut self) {
        self.freshness = Freshness::Stale;
    }

    fn pressed(&mut self, key: Key) -> Vec<Wish> {
        self.touch();
        let mut wishes = self.press(key);
        wishes.extend(self.follow_chosen());
        wishes
    }

    fn happened(&mut self, event: DaemonEvent) -> Vec<Wish> {
        self.touch();
        let asked = self.details.as_ref().filter(|_| self.page == Page::Details);
        let concerned = asked.is_some_and(|details| details.name == event.app);
        let wish = concerned.then(|| Wish::Recall(event.app.clone()));
        self.events.push(event);
        wish.into_iter().collect()
    }

    fn remember(&mut self, app: &str, past: Vec<Incident>) {
        self.touch();
        if let Some(details) = self.details.as_mut().filter(|known| known.name == app) {
            details.past.clone_from(&past);
        }
        self.events.recall(app, past);
    }

    fn found(&mut self, daemon: DaemonStatus) -> Vec<Wish> {
        self.touch();
        self.link = Link::Up;
        self.daemon = Some(daemon);
        self.recalled = false;
        // Whatever was followed, ended with the daemon before.
        self.log.forget();
        self.follow_chosen()
    }

    fn lost(&mut self, why: String) {
        self.touch();
        let since_ms = match self.link {
            Link::Lost { since_ms, .. } => since_ms,
            Link::Unknown | Link::Up => self.now_ms,
        };
        self.link = Link::Lost { since_ms, why };
    }

    fn sampled(&mut self, apps: Vec<AppStatus>) -> Vec<Wish> {
        if self.apps.take(apps, self.now_ms) || self.deeds.are_under_way() {
            self.touch();
        }
        let mut wishes = self.follow_chosen();
        if !self.recalled {
            self.recalled = true;
            let names = self.apps.all().iter().take(PASTS);
            wishes.extend(names.map(|app| Wish::Recall(app.name.clone())));
        }
        if self.page == Page::Details {
            wishes.extend(self.look_again());
        }
        wishes
    }

    /// The details of an app that is gone are closed.
    fn look_again(&mut self) -> Option<Wish> {
        let name = self.details.as_ref().map(|details| details.name.clone());
        let chosen = self.apps.chosen().map(|app| app.name.clone());
        if chosen == name {
            return name.map(Wish::Look);
        }
        self.page = Page::Overview;
        self.touch();
        None
    }

    fn detailed(&mut self, detail: AppDetail) {
        if let Some(details) = &mut self.details
            && details.name == detail.status.name
        {
            details.detail = Some(Box::new(detail));
            self.touch();
        }
    }

    /// Follows the log of the app that is chosen, if another one is followed, or none.
    fn follow_chosen(&mut self) -> Vec<Wish> {
        if self.link != Link::Up {
            return Vec::new();
        }
        let name = self.apps.chosen().map(|app| app.name.clone());
        let wish = self.log.aim(name);
        if wish.is_some() {
            self.workers_top = 0;
            self.touch();
        }
        wish.into_iter().collect()
    }
}
