//! Reading log files: the last lines, and those that come.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use herder_api::app::LogFormat;
use herder_api::control::LogLine;

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

/// The last `lines` lines of each of these files that pass the filter, those that were put away included.
/// Where all lines have times that can be compared (JSON), all are sorted by them; otherwise one file
/// comes after the other.
///
/// # Errors
///
/// When a file is there and cannot be read. A file that is not there has no lines.
pub fn tail(files: &[LogFile], lines: usize, filter: &Filter) -> io::Result<Vec<LogLine>> {
    let (_, _, _) = (files, lines, filter);
    Err(io::ErrorKind::Unsupported.into())
}

/// Follows files from their present ends on, over rotation, truncation, and their being made in the
/// first place.
///
/// # Errors
///
/// When there is no descriptor left, or a file is there and cannot be read.
pub fn follow(files: Vec<LogFile>, filter: Filter) -> io::Result<Follower> {
    let (_, _) = (files, filter);
    Err(io::ErrorKind::Unsupported.into())
}

/// What comes in log files. Its descriptor is readable when there may be something: wait for it, by
/// [`wait`](Follower::wait) or in an event loop, then [`read`](Follower::read).
#[derive(Debug)]
pub struct Follower {
    watch: std::os::fd::OwnedFd,
}

impl Follower {
    /// Follows one more file, from its beginning on.
    ///
    /// # Errors
    ///
    /// As those of [`follow`].
    pub fn add(&mut self, file: LogFile) -> io::Result<()> {
        drop(file);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The lines that have come, never waiting; at most about 1 MiB of them at a time, so call again
    /// until there are none.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<LogLine>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until there may be something, at most so long.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
