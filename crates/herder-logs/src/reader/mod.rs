//! Reading log files: the last lines, and those that come.

mod back;
mod follow;
mod mark;
mod parse;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use herder_api::app::LogFormat;
use herder_api::control::LogLine;
use rustix::fs::{OFlags, Stat};

use crate::place::{Missing, Place, Refusal, open_plain};
use crate::time::TimeFormat;

pub use follow::{Follower, follow, go_on};
pub use mark::{Marks, NoMarks};

/// The longest line that is given in one piece, in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// Whose words a file holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stream {
    /// What workers print to stdout.
    Out,
    /// What they print to stderr.
    Error,
    /// The herd's own events, as JSON.
    Herder,
}

impl Stream {
    /// `out`, `error` or `herder`, as in [`LogLine::stream`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stream::Out => "out",
            Stream::Error => "error",
            Stream::Herder => "herder",
        }
    }
}

/// A log file to be read, whether or not it is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFile {
    /// The app's name.
    pub app: String,
    /// Its path. What was put away stands beside it.
    pub path: PathBuf,
    /// Whose words it holds. (A JSON line that says another stream is believed.)
    pub stream: Stream,
    /// Whose file it is, when each worker has its own.
    pub slot: Option<u16>,
    /// How it is written.
    pub format: LogFormat,
    /// With [`LogFormat::Time`]: how.
    pub time: TimeFormat,
}

/// Which lines are wanted. The default: all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of this stream.
    pub stream: Option<Stream>,
    /// Of this slot. Lines of which it is not known do not pass.
    pub slot: Option<u16>,
    /// With this text in them.
    pub contains: Option<String>,
}

impl Filter {
    /// Whether a line is wanted.
    #[must_use]
    pub fn passes(&self, line: &LogLine) -> bool {
        self.stream
            .is_none_or(|stream| stream.name() == line.stream)
            && self.slot.is_none_or(|slot| line.slot == Some(slot))
            && self
                .contains
                .as_ref()
                .is_none_or(|text| line.line.contains(text))
    }
}

/// The last `lines` lines of each of these files that pass the filter, those that were put away included.
/// Where every line has a time that can be compared (RFC 3339 in UTC, as in JSON), they are sorted by it;
/// otherwise one file comes after the other.
///
/// # Errors
///
/// When a file is there and cannot be read. A file that is not there has no lines.
pub fn tail(files: &[LogFile], lines: usize, filter: &Filter) -> io::Result<Vec<LogLine>> {
    let mut all = Vec::new();
    for file in files {
        let open = open(file)?.map(|(file, _)| file);
        all.extend(back::last(file, open.as_ref(), None, lines, filter)?);
    }
    sort(&mut all);
    Ok(all)
}

fn sort(lines: &mut [LogLine]) {
    let is_utc = |line: &LogLine| line.time.as_ref().is_some_and(|time| time.ends_with('Z'));
    if lines.iter().all(is_utc) {
        lines.sort_by(|one, other| one.time.cmp(&other.time));
    }
}

/// Opens the file as it is now; `None` when it is not there.
fn open(file: &LogFile) -> io::Result<Option<(File, Stat)>> {
    let place = match Place::find(&file.path, Missing::Fails) {
        Err(error) if error.problem.is_absence() => return Ok(None),
        place => place.map_err(io::Error::other)?,
    };
    open_at(&place, &place.name)
}

fn open_at(place: &Place, name: &OsStr) -> io::Result<Option<(File, Stat)>> {
    match open_plain(place.directory(), name, OFlags::RDONLY) {
        Ok(open) => Ok(Some(open)),
        Err(problem) if problem.is_absence() => Ok(None),
        Err(Refusal::Io(error)) => {
            let path = place.path.display();
            let text = format!("the log file {path} cannot be read: {error}");
            Err(io::Error::new(error.kind(), text))
        }
        Err(problem) => Err(io::Error::other(place.refused(problem))),
    }
}
