//! The decisions: what is to be done with which herd. Pure: news in, [`Do`]s out, the time as an
//! argument.
//!
//! Something that was asked for is a *course*: todos for apps, perhaps in stages. Each app has at most
//! one *task* (it is started or stopped) and may have *requests* under way at its herd.

mod answers;
mod courses;
mod ends;
mod entry;
mod list;
mod news;
mod notes;
mod plan;
mod resurrection;
#[cfg(test)]
mod simulation;
mod starts;
mod stops;
mod targets;
#[cfg(test)]
mod tests;
mod todos;
mod trials;
mod waits;
mod word;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use herder_api::herd::HerdOrder;
use herder_api::status::AppStatus;

use courses::Course;
pub(crate) use entry::{Entry, Pace, Phase, Seen, is_serving, workers};
#[cfg(test)]
pub(crate) use list::Listed;
pub(crate) use list::{List, Rest, VERSION};
pub(crate) use targets::Choice;
pub(crate) use waits::check as check_dependencies;
pub(crate) use word::{AppId, CourseId, Definition, Do, End, Ending, News, Now, Todo};

/// Where the herds' things are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    /// For sockets and locks.
    pub(crate) run: PathBuf,
    /// For log files.
    pub(crate) logs: PathBuf,
}

/// The list of apps, and what goes on with them.
#[derive(Debug)]
pub(crate) struct Books {
    places: Places,
    /// How many workers `max` is.
    cpus: u16,
    /// The start of the machine.
    boot: String,
    entries: BTreeMap<AppId, Entry>,
    next_id: AppId,
    courses: BTreeMap<CourseId, Course>,
    next_course: u64,
    next_request: u64,
    actions: VecDeque<Do>,
    /// Whether the daemon ends.
    closing: bool,
}

impl Books {
    /// Empty books.
    pub(crate) fn new(places: Places, cpus: u16, boot: String) -> Books {
        Books {
            places,
            cpus,
            boot,
            entries: BTreeMap::new(),
            next_id: 0,
            courses: BTreeMap::new(),
            next_course: 1,
            next_request: 1,
            actions: VecDeque::new(),
            closing: false,
        }
    }

    /// Takes over a list that was written down, and looks for the herds.
    pub(crate) fn restore(&mut self, list: List, now: Now) {
        let is_new_boot = list.boot != self.boot;
        self.next_id = list.next_id;
        for listed in list.apps {
            let mut entry = Entry::of(listed, now);
            if is_new_boot {
                entry.rest = entry.rest.after_boot(entry.definition.app.autostart);
            }
            self.next_id = self.next_id.max(entry.id.saturating_add(1));
            let id = entry.id;
            self.entries.insert(id, entry);
            self.adopt(id);
        }
        self.forget_ids();
        self.save();
    }

    /// Takes an app into the list. It rests. If the name is known, it is that app, unchanged.
    pub(crate) fn add(&mut self, definition: Definition, now: Now) -> AppId {
        if let Some(known) = self.by_name(&definition.app.name) {
            return known;
        }
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.entries.insert(id, Entry::new(id, definition, now));
        self.save();
        id
    }

    /// Takes an app into the list that nobody wrote down, but whose herd runs.
    pub(crate) fn find(&mut self, definition: Definition, now: Now) {
        let id = self.add(definition, now);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.rest = Rest::None;
            entry.proven = true;
        }
        self.adopt(id);
    }

    fn adopt(&mut self, id: AppId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.phase = Phase::Adopting;
        entry.life += 1;
        let life = entry.life;
        // It may not have read yet what it is to be.
        let held = entry.trial.as_ref().map(|trial| trial.next.clone());
        let held = held.unwrap_or_else(|| entry.definition.clone());
        let order = Box::new(self.order_of(&held));
        self.actions.push_back(Do::Adopt { id, life, order });
    }

    /// What is to be done next.
    pub(crate) fn poll_action(&mut self) -> Option<Do> {
        self.actions.pop_front()
    }

    /// The list as it is to be written down.
    pub(crate) fn list(&self) -> List {
        List {
            version: VERSION,
            boot: self.boot.clone(),
            next_id: self.next_id,
            apps: self.entries.values().map(Entry::listed).collect(),
        }
    }

    /// The list was written.
    pub(crate) fn note_written(&mut self) {
        for entry in self.entries.values_mut() {
            entry.is_redefined = false;
        }
    }

    /// Whether it may be started before the list is written: a daemon that dies in between leaves a herd
    /// that the next one knows by the list, or, where that has no such app, by its order.
    pub(crate) fn may_go_ahead(&self, action: &Do) -> bool {
        let Do::Launch { id, .. } = action else {
            return false;
        };
        self.entry(*id).is_some_and(|entry| !entry.is_redefined)
    }

    /// The app of that number.
    pub(crate) fn entry(&self, id: AppId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// All apps, by number.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// An app is looked after from outside: what its status is to say of that.
    pub(crate) fn see(&mut self, id: AppId, seen: Seen) {
        if let Some(entry) = self.entries.get_mut(&id) {
            match seen {
                Seen::Watching(watching) => entry.watching = watching,
                Seen::Healthy(healthy) => entry.healthy = healthy,
            }
        }
    }

    /// The number of the app of that name.
    pub(crate) fn by_name(&self, name: &str) -> Option<AppId> {
        let mut entries = self.entries.values();
        entries.find(|entry| entry.name() == name).map(|it| it.id)
    }

    /// How an app stands.
    pub(crate) fn status(&self, id: AppId, now: Now) -> Option<AppStatus> {
        Some(self.entries.get(&id)?.status(self.cpus, now))
    }

    /// Whether herds are being looked for.
    pub(crate) fn is_looking(&self) -> bool {
        self.entries().any(|entry| entry.phase == Phase::Adopting)
    }

    /// How many CPUs there are.
    pub(crate) fn cpus(&self) -> u16 {
        self.cpus
    }

    /// Whether the daemon ends.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// What the herd is run from.
    fn order(&self, id: AppId) -> HerdOrder {
        let entry = self
            .entries
            .get(&id)
            .expect("only apps of the list are ordered");
        self.order_of(&entry.definition)
    }

    /// What a herd of that definition is run from.
    pub(crate) fn order_of(&self, definition: &Definition) -> HerdOrder {
        let name = &definition.app.name;
        HerdOrder {
            app: definition.app.clone(),
            inherited: definition.inherited.clone(),
            profile: definition.profile.clone(),
            socket: self.places.run.join(format!("{name}.sock")),
            log_dir: self.places.logs.clone(),
            event_log: self.places.logs.join(format!("{name}-herder.jsonl")),
        }
    }

    fn save(&mut self) {
        if self.actions.back() != Some(&Do::Save) {
            self.actions.push_back(Do::Save);
        }
    }

    /// As [`Books::save`], for what a daemon finds out by itself that does not know it: nobody waits for it.
    fn jot(&mut self) {
        if !self.actions.contains(&Do::Jot) {
            self.actions.push_back(Do::Jot);
        }
    }

    fn note(&mut self, app: &str, event: &'static str, level: &'static str, message: String) {
        self.actions.push_back(Do::Note {
            app: app.to_owned(),
            event,
            level,
            message,
        });
    }

    /// Numbers begin anew when nobody has one.
    fn forget_ids(&mut self) {
        if self.entries.is_empty() {
            self.next_id = 0;
        }
    }
}
