//! A file that may be full for a while: what cannot be written is lost, and that is told.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attic::Attic;
use crate::writer::Writer;

/// How often a file that fails is complained about at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What is worth telling about log files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// So many lines of a process were lost: they could not be written, or not fast enough.
    Lost {
        /// The process, by the number that it was attached with.
        process: u64,
        /// How many.
        lines: u64,
    },
    /// Something that the operator should know, as a sentence.
    Warning(String),
}

/// Who is told.
pub type Tell = Arc<dyn Fn(News) + Send + Sync>;

pub(crate) struct Outlet {
    pub(crate) writer: Writer,
    /// What a half-written line is ended with.
    mend: &'static [u8],
    state: State,
    failing: bool,
    complained: Option<Instant>,
    tell: Tell,
}

/// How the file ends, as far as it concerns what is written next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// With what was written last.
    Known,
    /// A line could be written in part only.
    Torn,
    /// Whoever wrote to it before may have been killed within a line.
    Unknown,
}

impl Outlet {
    pub(crate) fn new(path: &Path, attic: &Attic, mend: &'static [u8], tell: Tell) -> Outlet {
        let mut outlet = Outlet {
            writer: Writer::closed(path, attic),
            mend,
            state: State::Unknown,
            failing: false,
            complained: None,
            tell,
        };
        if let Err(error) = outlet.writer.reopen() {
            outlet.complain(&error, Instant::now());
        }
        outlet
    }

    /// Writes; gives how many bytes were written. All, unless the file cannot take them.
    pub(crate) fn write(&mut self, bytes: &[u8], now: Instant) -> usize {
        let (written, error) = match self.begin() {
            Ok(()) => write_counted(&mut self.writer, bytes),
            Err(error) => (0, Some(error)),
        };
        match error {
            None => self.failing = false,
            Some(error) => {
                if written > 0 && bytes[written - 1] != b'\n' {
                    self.state = State::Torn;
                }
                self.fail(&error, now);
            }
        }
        written
    }

    /// Whether what comes next can be moved there without looking at it. A line that somebody else was
    /// killed within is ended for that.
    pub(crate) fn is_clean(&mut self) -> bool {
        !self.failing && self.begin().is_ok()
    }

    /// A line that stands there in part will not be continued.
    pub(crate) fn tear(&mut self) {
        self.state = State::Torn;
    }

    pub(crate) fn fail(&mut self, error: &io::Error, now: Instant) {
        if !std::mem::replace(&mut self.failing, true) {
            self.complain(error, now);
        }
    }

    pub(crate) fn put_away(&mut self, now: Instant) {
        match self.writer.put_away(now) {
            Ok(()) => self.state = State::Known,
            Err(error) => self.warn(format!("{error}; the one before is written on")),
        }
    }

    pub(crate) fn reopen(&mut self) {
        match self.writer.reopen() {
            Ok(()) => self.state = State::Unknown,
            Err(error) => self.warn(error.to_string()),
        }
    }

    pub(crate) fn empty(&mut self) {
        match self.writer.empty() {
            Ok(()) => self.state = State::Known,
            Err(error) => {
                let path = self.writer.path().display();
                self.warn(format!("the log file {path} cannot be emptied: {error}"));
            }
        }
    }

    fn warn(&self, text: String) {
        (self.tell)(News::Warning(text));
    }

    fn begin(&mut self) -> io::Result<()> {
        let mark: &[u8] = match self.state {
            State::Known => return Ok(()),
            State::Torn => self.mend,
            State::Unknown if self.writer.ends_whole()? => b"",
            State::Unknown => b"\n",
        };
        if let (_, Some(error)) = write_counted(&mut self.writer, mark) {
            return Err(error);
        }
        self.state = State::Known;
        Ok(())
    }

    fn complain(&mut self, error: &dyn std::fmt::Display, now: Instant) {
        let recently = |at: Instant| now.saturating_duration_since(at) < COMPLAIN_EVERY;
        if self.complained.is_some_and(recently) {
            return;
        }
        self.complained = Some(now);
        let path = self.writer.path().display();
        self.warn(format!(
            "{path} cannot be written, so lines are lost until it can: {error}"
        ));
    }
}

/// Like `write_all`, but says how many bytes were written, whatever stopped it.
pub fn write_counted<W: Write + ?Sized>(
    writer: &mut W,
    bytes: &[u8],
) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match writer.write(&bytes[written..]) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}
