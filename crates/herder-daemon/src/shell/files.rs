//! The log files of apps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use herder_api::App;
use rustix::fs::{CWD, OFlags};

use super::Shell;
use super::journal;
use crate::books::{AppId, workers};
use crate::desk::AppFiles;
use crate::home;

impl Shell {
    /// Where an app's files are.
    pub(super) fn files_of(&self, id: AppId) -> Option<AppFiles> {
        let entry = self.books.entry(id)?;
        let app = &entry.definition.app;
        let settings = herder_logs::Settings::of(app, &self.home.logs_path()).ok();
        let (out, error) = settings.map(|it| (it.out, it.error)).unwrap_or_default();
        Some(AppFiles {
            id,
            name: app.name.clone(),
            workers: entry
                .herd
                .as_ref()
                .map_or_else(|| workers(app, self.books.cpus()), |herd| herd.wanted),
            logs: app.logs.clone(),
            out,
            error,
            events: self
                .home
                .logs_path()
                .join(format!("{}-herder.jsonl", app.name)),
            daemon: self.home.path().join(journal::NAME),
        })
    }
}

/// Empties the log files of an app whose herd does not run. What cannot be opened, or is no file of
/// ours, stays as it is.
pub(super) fn flush(app: &App, logs: &Path) {
    let Ok(settings) = herder_logs::Settings::of(app, logs) else {
        return;
    };
    let present = settings.present().into_iter().map(|file| file.path);
    let own = [settings.out, settings.error].into_iter().flatten();
    let files: BTreeSet<PathBuf> = present.chain(own).collect();
    for file in files {
        let Some(path) = file.to_str() else {
            continue;
        };
        if let Ok(file) = home::open_file(CWD, path, OFlags::WRONLY) {
            let _left = rustix::fs::ftruncate(&file, 0);
        }
    }
}
