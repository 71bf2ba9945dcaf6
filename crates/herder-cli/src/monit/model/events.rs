//! What happened lately.

use std::collections::VecDeque;

use herder_api::control::{DaemonEvent, Incident, Reason};

use crate::render::history;

/// So many are kept.
pub(in crate::monit) const KEPT: usize = 500;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monit) struct Happening {
    /// RFC 3339 in UTC.
    pub(in crate::monit) time: String,
    /// Empty = the daemon itself.
    pub(in crate::monit) app: String,
    pub(in crate::monit) message: String,
    pub(in crate::monit) weight: Weight,
}

/// How much it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::monit) enum Weight {
    Info,
    Warning,
}

/// What happened lately, the newest last.
#[derive(Debug, Default)]
pub(in crate::monit) struct Events {
    all: VecDeque<Happening>,
    /// How many are below what is shown.
    back: usize,
}

impl Events {
    pub(in crate::monit) fn all(&self) -> &VecDeque<Happening> {
        &self.all
    }

    pub(in crate::monit) fn back(&self) -> usize {
        self.back
    }

    pub(super) fn push(&mut self, event: DaemonEvent) {
        let weight = match event.level.as_str() {
            "warning" => Weight::Warning,
            _ => Weight::Info,
        };
        self.insert(Happening {
            time: event.time,
            app: event.app,
            message: event.message,
            weight,
        });
        if self.back > 0 {
            self.back = (self.back + 1).min(self.all.len().saturating_sub(1));
        }
    }

    /// What happened before; what of it is known already is not taken twice.
    pub(super) fn recall(&mut self, app: &str, past: Vec<Incident>) {
        for incident in past {
            let happening = Happening {
                time: incident.time,
                app: app.to_owned(),
                message: incident.message,
                weight: weight(incident.reason),
            };
            self.insert(happening);
        }
    }

    /// Where it belongs by its time: times have one form and one zone, so they sort as texts.
    fn insert(&mut self, happening: Happening) {
        let mut place = self.all.len();
        while place > 0 {
            let before = &self.all[place - 1];
            let same = before.time == happening.time
                && before.app == happening.app
                && before.message == happening.message;
            if same {
                return;
            }
            if before.time < happening.time {
                break;
            }
            place -= 1;
        }
        // Of what is equally old, what came last is last.
        while self
            .all
            .get(place)
            .is_some_and(|next| next.time == happening.time)
        {
            place += 1;
        }
        self.all.insert(place, happening);
        let excess = self.all.len().saturating_sub(KEPT);
        self.all.drain(..excess);
    }

    pub(super) fn up(&mut self, by: usize, room: usize) {
        let most = self.all.len().saturating_sub(room.max(1));
        self.back = self.back.saturating_add(by).min(most);
    }

    pub(super) fn down(&mut self, by: usize) {
        self.back = self.back.saturating_sub(by);
    }
}

/// In red is what is so in a history, too.
fn weight(reason: Reason) -> Weight {
    match history::Weight::of(reason) {
        history::Weight::Failure => Weight::Warning,
        history::Weight::Notable | history::Weight::Wanted => Weight::Info,
    }
}
