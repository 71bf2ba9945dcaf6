//! The daemon as a service: what its guard is told, who tells the service manager; and the reload of
//! everything, which is what a service manager can ask for.

use herder_api::control::Progress;

use super::Shell;
use crate::books::{CourseId, Entry, Todo};
use crate::part::Managed;
use crate::sign::{Sign, Signs};

/// How the daemon stands with its guard.
#[derive(Debug, Default)]
pub(super) struct Service {
    signs: Signs,
    /// How often a sign of life is given, in milliseconds, and when next.
    beat: Option<(u64, u64)>,
    /// The reload that goes on, because of a signal.
    reload: Option<CourseId>,
    /// Another one is wanted after it: whatever was deployed last shall be what runs.
    again: bool,
    has_told_end: bool,
}

impl Service {
    pub(super) fn next_beat(&self) -> Option<u64> {
        self.beat.map(|(_, next)| next)
    }
}

impl Shell {
    /// From now on the guard is told.
    pub(crate) fn tell_guard(&mut self, signs: Signs, managed: Option<Managed>) {
        let patience = managed.and_then(|managed| managed.patience);
        let period = patience.map(|limit| {
            let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            // The guard looks twice in that time.
            (millis / 4).max(1)
        });
        self.service.signs = signs;
        self.service.beat = period.map(|period| (period, 0));
    }

    /// What a turn of the loop has to tell: that it turned, and whether the daemon ends.
    pub(super) fn give_signs(&mut self) {
        let now = self.now().mono;
        if let Some((period, next)) = self.service.beat
            && next <= now
        {
            self.service.signs.give(&Sign::Beat);
            self.service.beat = Some((period, now.saturating_add(period)));
        }
        if self.books.is_closing() && !self.service.has_told_end {
            self.service.has_told_end = true;
            self.service.signs.give(&Sign::Stopping);
        }
    }

    /// Reloads all apps that run, as they are in the list.
    pub(super) fn reload_all(&mut self) {
        if self.books.is_closing() {
            return;
        }
        if self.service.reload.is_some() {
            self.service.again = true;
            return;
        }
        let running = self.books.entries().filter(|entry| Entry::has_herd(entry));
        let stage: Vec<_> = running
            .map(|entry| (entry.id, Todo::Reload(None)))
            .collect();
        let text = format!("SIGHUP: {} reloaded", apps(stage.len(), "is", "are"));
        self.journal.note("", "reloading", "info", text);
        self.service.signs.give(&Sign::Reloading);
        let now = self.now();
        self.service.reload = Some(self.books.begin(vec![stage], now));
    }

    /// How far something has come: if it is that reload, its end is told.
    pub(super) fn note_reload(&mut self, course: CourseId, progress: &Progress) {
        if self.service.reload != Some(course) {
            return;
        }
        let Progress::End { done, failed } = progress else {
            return;
        };
        self.service.reload = None;
        let (done, failed) = (usize::try_from(*done), usize::try_from(*failed));
        let (done, failed) = (done.unwrap_or(usize::MAX), failed.unwrap_or(usize::MAX));
        let mut text = format!("{} reloaded", apps(done, "was", "were"));
        if failed > 0 {
            text += &format!(", {} not: see herder list", apps(failed, "was", "were"));
        }
        let level = if failed > 0 { "warning" } else { "info" };
        self.journal.note("", "reloaded", level, text.clone());
        if std::mem::take(&mut self.service.again) {
            return self.reload_all();
        }
        self.service.signs.give(&Sign::Reloaded(text));
    }
}

fn apps(count: usize, one: &str, more: &str) -> String {
    match count {
        1 => format!("1 app {one}"),
        _ => format!("{count} apps {more}"),
    }
}
