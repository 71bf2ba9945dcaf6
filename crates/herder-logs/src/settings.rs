//! Where an app's lines go, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_api::App;
use herder_api::app::{LogFiles, LogFormat, Overflow};
use herder_api::problem::{Problem, ProblemKind};

use crate::attic;
use crate::name::{self, Owner};
use crate::place::{Missing, Place};
use crate::reader::{LogFile, Stream};
use crate::time::TimeFormat;

/// Where an app's lines go, and how. [`Settings::of`] makes them of the app's definition, for whoever
/// writes the files and for whoever reads them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The app's name, for lines in JSON.
    pub app: String,
    /// The file for stdout, an absolute path; `None` = it is read and thrown away.
    pub out: Option<PathBuf>,
    /// The file for stderr; it may be the same.
    pub error: Option<PathBuf>,
    /// One file for all workers, or one for each.
    pub files: LogFiles,
    /// How lines are written.
    pub format: LogFormat,
    /// With [`LogFormat::Time`]: how.
    pub time: TimeFormat,
    /// When files are put away, and what becomes of them.
    pub rotation: Rotation,
    /// What happens when the disk is slow.
    pub overflow: Overflow,
}

/// When a file is put away, and what becomes of it then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// At this size in bytes; 0 = never. A line is never cut for it.
    pub size: u64,
    /// When it is this old; zero = never. An empty file stays.
    pub age: Duration,
    /// How many that were put away are kept, of each file.
    pub keep: u32,
    /// Whether they are compressed.
    pub compression: Compression,
    /// How many bytes all files may have together, those that are written included; the oldest that
    /// were put away go first; 0 = any number.
    pub total: u64,
}

/// Whether files that were put away are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// By gzip.
    #[default]
    Gzip,
    /// They stay as they are.
    None,
}

impl Default for Rotation {
    /// 64 MiB, ten of them, compressed, 1 GiB in all.
    fn default() -> Rotation {
        Rotation {
            size: 64 << 20,
            age: Duration::ZERO,
            keep: 10,
            compression: Compression::Gzip,
            total: 1 << 30,
        }
    }
}

impl Rotation {
    /// Of files with a herd's own events: 8 MiB, five of them, compressed.
    #[must_use]
    pub fn of_events() -> Rotation {
        Rotation {
            size: 8 << 20,
            keep: 5,
            total: 0,
            ..Rotation::default()
        }
    }
}

impl Settings {
    /// What the definition of an app says. Relative paths, and files that are not named, are
    /// `directory`'s.
    ///
    /// # Errors
    ///
    /// When `logs.time_format` is no format of a time, a file has no name, or the app's name cannot be one.
    pub fn of(app: &App, directory: &Path) -> Result<Settings, Problem> {
        let logs = &app.logs;
        if app.name.is_empty() || app.name.contains(['/', '\0']) {
            let text = format!("{:?} is no name of an app.", app.name);
            return Err(Problem::new(ProblemKind::Invalid, text).place("name"));
        }
        let time = match &logs.time_format {
            None => TimeFormat::default(),
            Some(text) => text.parse().map_err(|error| {
                Problem::new(ProblemKind::Invalid, format!("{error}."))
                    .place("logs.time_format")
                    .hint("use letters as of strftime: \"%Y-%m-%d %H:%M:%S\"")
            })?,
        };
        let place = |given: Option<&PathBuf>, default: &str, setting: &str| {
            if !logs.enabled {
                return Ok(None);
            }
            let path = match given {
                None => directory.join(format!("{}-{default}.log", app.name)),
                Some(path) => directory.join(path),
            };
            if path == Path::new("/dev/null") {
                return Ok(None);
            }
            if path.file_name().is_none() {
                let text = format!("{} names no file.", path.display());
                return Err(Problem::new(ProblemKind::Invalid, text).place(setting));
            }
            Ok(Some(path))
        };
        Ok(Settings {
            app: app.name.clone(),
            out: place(logs.out.as_ref(), "out", "logs.out")?,
            error: place(logs.error.as_ref(), "error", "logs.error")?,
            files: logs.files,
            format: logs.format,
            time,
            rotation: Rotation {
                size: logs.rotate_size.0,
                age: logs.rotate_age.0,
                keep: logs.keep,
                compression: if logs.compress {
                    Compression::Gzip
                } else {
                    Compression::None
                },
                total: logs.total_size.0,
            },
            overflow: logs.overflow,
        })
    }

    /// The files to read: what [`tail`](crate::tail) and [`follow`](crate::follow) want. One for all workers
    /// is named whether or not it is there; those of single workers when they are, or something of them
    /// was put away. (Add those that come later to what is followed.)
    #[must_use]
    pub fn present(&self) -> Vec<LogFile> {
        let out = self.out.iter().map(|path| (path, Stream::Out));
        let error = self.error.iter().map(|path| (path, Stream::Error));
        let error = error.filter(|(path, _)| self.out.as_ref() != Some(path));
        let mut files = Vec::new();
        for (path, stream) in out.chain(error) {
            let file = |path: PathBuf, slot| LogFile {
                app: self.app.clone(),
                path,
                stream,
                slot,
                format: self.format,
                time: self.time.clone(),
            };
            match self.files {
                LogFiles::Merged => files.push(file(path.clone(), None)),
                LogFiles::PerWorker => {
                    files.extend(of_each(path).into_iter().map(|(owner, path)| match owner {
                        Owner::Slot(slot) => file(path, Some(slot)),
                        Owner::Part(_) => file(path, None),
                    }));
                }
            }
        }
        files
    }
}

/// The files of single processes that are there, by slot.
fn of_each(path: &Path) -> BTreeMap<Owner, PathBuf> {
    let mut found = BTreeMap::new();
    let Some(base) = path.file_name() else {
        return found;
    };
    let Ok(place) = Place::find(path, Missing::Fails) else {
        return found;
    };
    for name in attic::list(place.directory()).unwrap_or_default() {
        let name = match name::parse(&name) {
            Some((base, ..)) => base,
            None => name,
        };
        if let Some(owner) = name::owner(base, &name) {
            found.insert(owner, path.with_file_name(name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Settings, Problem> {
        let app: App = serde_json::from_str(text).expect("an app");
        Settings::of(&app, Path::new("/logs"))
    }

    #[test]
    fn files_have_the_apps_name_and_stand_in_the_directory() {
        let settings = of(r#"{"name":"web"}"#).expect("settings");
        assert_eq!(settings.out, Some("/logs/web-out.log".into()));
        assert_eq!(settings.error, Some("/logs/web-error.log".into()));
        let text = r#"{"name":"web","logs":{"out":"/var/log/a.log","error":"b/c.log"}}"#;
        let settings = of(text).expect("settings");
        assert_eq!(settings.out, Some("/var/log/a.log".into()));
        assert_eq!(settings.error, Some("/logs/b/c.log".into()));
        let settings = of(r#"{"name":"web","logs":{"enabled":false}}"#).expect("settings");
        assert_eq!((settings.out, settings.error), (None, None));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        for (text, place) in [
            (r#"{"name":"../web"}"#, "name"),
            (
                r#"{"name":"web","logs":{"time_format":"%!"}}"#,
                "logs.time_format",
            ),
            (r#"{"name":"web","logs":{"error":"/"}}"#, "logs.error"),
            (r#"{"name":"web","logs":{"out":"a/.."}}"#, "logs.out"),
        ] {
            let problem = of(text).expect_err(text);
            assert_eq!(problem.place.as_deref(), Some(place), "{problem}");
        }
    }
}
