//! Where what processes print becomes lines in files.
//!
//! Each stream of each process is a source. A file takes whole lines of one source after another: bytes
//! as they come stay as they come, but nobody's line is torn by somebody else's. Two ways lead into it:
//!
//! - With the format `raw` it is moved from the pipe to the file within the kernel, and not looked at: that is
//!   fast, and whoever is killed meanwhile loses nothing. Only where somebody waits for the end of a line, or
//!   where the file cannot be moved to, it is read and written. What a process says that says a lot goes
//!   through a second pipe (its landing), so that it can go on meanwhile.
//! - With a time, or as JSON, everything is read once, and written once.
//!
//! When the disk is slow, the source waits; or (`overflow = drop`) another thread writes, and what does not
//! fit into its memory is dropped and counted. When the disk is full, lines are dropped and counted too.

mod flow;
mod landing;
mod seat;
mod sheet;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_api::app::{LogFiles, LogFormat, Overflow};
use herder_sys::pipe;

pub use self::landing::Keep;
use self::seat::{Key, Seat, Source};
use self::sheet::{Line, Sheet};
use crate::attic::{Attic, Each, Family};
use crate::clerk::{Clerk, put_away_old};
use crate::name::{self, Owner};
use crate::outlet::{Outlet, Tell};
use crate::place::LogError;
use crate::reader::Stream;
use crate::render::Render;
use crate::settings::Settings;
use crate::tail::Tail;
use crate::writer::Writer;

/// How much is read or moved at a time.
const CHUNK: usize = 256 * 1024;

/// A pipe that is found this full may hold more from then on, so that its writer is woken less often. (What is
/// written in pieces fills pages in part. A full pipe holds half of what it can, at least.)
const FULL: usize = 32 * 1024;
const ENLARGED: usize = 256 * 1024;

/// How long others wait for the end of a line.
const HOLD: Duration = Duration::from_millis(100);

/// How much too large a file may become until a line ends.
const SURPLUS: u64 = 1024 * 1024;

/// A process that prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printer {
    /// A number that no other has that is attached. Below 2⁶³.
    pub process: u64,
    /// `None` = a worker; otherwise `gateway` or `library-NAME`.
    pub part: Option<String>,
    /// Its slot.
    pub slot: u16,
    /// Its life, as it is called in logs.
    pub id: u64,
}

/// What became of what was in a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pumped {
    /// Nothing is there now.
    Empty,
    /// Every writer has closed.
    Ended,
    /// So many bytes were taken; more may be there.
    Moved(usize),
    /// Somebody else is within a line: ask again after [`deadline`](Desk::deadline), or when something was
    /// written.
    Waits,
}

/// The log files of a herd, and who writes to them.
pub struct Desk {
    settings: Settings,
    attic: Attic,
    tell: Tell,
    clerk: Option<Clerk>,
    keep: Option<Box<dyn Keep>>,
    render: Render,
    printers: BTreeMap<u64, Seat>,
    files: Vec<Sheet>,
    buffer: Vec<u8>,
}

/// What the files of these settings are called, for the attic.
pub(crate) fn families(settings: &Settings) -> Vec<Family> {
    let each = match settings.files {
        LogFiles::Merged => Each::Shares,
        LogFiles::PerWorker => Each::HasItsOwn,
    };
    let mut families: Vec<Family> = Vec::new();
    for path in settings.out.iter().chain(&settings.error) {
        let family = Family {
            path: path.clone(),
            each,
        };
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}

impl Desk {
    /// No files yet.
    ///
    /// # Errors
    ///
    /// When a thread is needed, and there is none left.
    pub fn new(settings: Settings, tell: Tell) -> io::Result<Desk> {
        let attic = Attic::new(settings.rotation.clone(), families(&settings));
        attic.tidy();
        let clerk = match settings.overflow {
            Overflow::Block => None,
            Overflow::Drop => Some(Clerk::start(
                attic.clone(),
                mend(settings.format),
                Arc::clone(&tell),
            )?),
        };
        Ok(Desk {
            render: Render::new(&settings),
            settings,
            attic,
            tell,
            clerk,
            keep: None,
            printers: BTreeMap::new(),
            files: Vec::new(),
            buffer: vec![0; CHUNK],
        })
    }

    /// Sees whether files can be opened, before anything is written. (Those of single workers are named
    /// later; one of the first slot stands for them.)
    ///
    /// # Errors
    ///
    /// Why the first of those that cannot be opened is refused.
    pub fn check(settings: &Settings) -> Result<(), LogError> {
        let owner = match settings.files {
            LogFiles::Merged => None,
            LogFiles::PerWorker => Some(Owner::Slot(0)),
        };
        for path in settings.out.iter().chain(&settings.error) {
            Writer::check(&of_owner(path, owner.as_ref()))?;
        }
        Ok(())
    }

    /// A process begins to print.
    pub fn attach(&mut self, printer: Printer) {
        let owner = match (&self.settings.files, &printer.part) {
            (LogFiles::Merged, _) => None,
            (LogFiles::PerWorker, None) => Some(Owner::Slot(printer.slot)),
            (LogFiles::PerWorker, Some(part)) => Some(Owner::Part(part.clone())),
        };
        let (out, error) = (self.settings.out.clone(), self.settings.error.clone());
        let mut source = |path: Option<PathBuf>| Source {
            file: path.map(|path| self.file(&of_owner(&path, owner.as_ref()))),
            ..Source::default()
        };
        let seat = Seat {
            out: source(out),
            error: source(error),
            printer,
            tail: Tail::default(),
            lost: 0,
            told: None,
            owes: false,
            exited: false,
        };
        self.printers.insert(seat.printer.process, seat);
    }

    fn file(&mut self, path: &Path) -> usize {
        if let Some(known) = self.files.iter().position(|it| it.path == path) {
            return known;
        }
        let outlet = match &self.clerk {
            Some(clerk) => {
                clerk.add(path.to_owned());
                None
            }
            None => {
                let mend = mend(self.settings.format);
                Some(Outlet::new(path, &self.attic, mend, Arc::clone(&self.tell)))
            }
        };
        self.files.push(Sheet {
            path: path.to_owned(),
            outlet,
            last: None,
            line: Line::Whole,
            wanted: false,
        });
        self.files.len() - 1
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Takes what is in a pipe (or a socket) of a process, which has to be non-blocking. It waits for the
    /// disk, where that was asked for.
    pub fn pump(&mut self, process: u64, stream: Stream, from: BorrowedFd<'_>) -> Pumped {
        let (key, now) = (Key { process, stream }, Instant::now());
        if !self.may_write(key, now) {
            return Pumped::Waits;
        }
        if self.settings.format == LogFormat::Raw
            && let Some(pumped) = self.shift(key, from, now)
        {
            return pumped;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let landed = self.source(key).and_then(|it| it.landed());
        let pumped = match pipe::read(landed.unwrap_or(from), &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pumped::Empty,
            Ok(length @ 1..) => {
                self.enlarge(key, from, length);
                self.take(key, &buffer[..length], now);
                Pumped::Moved(length)
            }
            // A pipe that cannot be read (which no pipe is known to do) has ended for us too.
            Ok(0) | Err(_) => Pumped::Ended,
        };
        self.buffer = buffer;
        pumped
    }

    fn source(&mut self, Key { process, stream }: Key) -> Option<&mut Source> {
        self.printers.get_mut(&process).map(|it| it.source(stream))
    }

    fn enlarge(&mut self, key: Key, from: BorrowedFd<'_>, length: usize) {
        if length >= FULL
            && let Some(source) = self.source(key)
            && !std::mem::replace(&mut source.enlarged, true)
        {
            // Beyond the limits of the user it stays as it is, as does what is no pipe.
            let _as_it_was = pipe::enlarge(from, ENLARGED);
        }
    }

    /// The process is forgotten, with what it printed last.
    pub fn forget(&mut self, process: u64) {
        self.close(process, Stream::Out);
        self.close(process, Stream::Error);
        if let Some(seat) = self.printers.remove(&process) {
            self.lost(process, seat.lost);
        }
        if let Some(clerk) = &self.clerk {
            clerk.forget(process);
        }
    }

    /// Up to 20 of the last lines of a process, of any length up to 1 KiB, as it wrote them.
    #[must_use]
    pub fn last_lines(&self, process: u64) -> Vec<String> {
        let read = |file: usize, at, length| {
            let outlet = self.files.get(file).and_then(|it| it.outlet.as_ref());
            outlet.map_or_else(Vec::new, |it| it.writer.read_back(at, length))
        };
        let seat = self.printers.get(&process);
        seat.map_or_else(Vec::new, |seat| seat.tail.lines(read))
    }

    /// When [`tick`](Desk::tick) is to be called; `None` = nothing waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let sources = self.printers.values().flat_map(|it| [&it.out, &it.error]);
        let begun = sources.filter_map(|it| it.begun).map(|at| at + HOLD);
        let held = self.files.iter().filter(|it| it.wanted);
        let held = held.filter_map(|it| it.last).map(|(_, at)| at + HOLD);
        let outlets = self.files.iter().filter_map(|it| it.outlet.as_ref());
        let old = outlets.filter_map(|it| it.writer.expires());
        let now = Instant::now();
        let losses = self.printers.values().filter_map(|it| it.due(now));
        begun.chain(held).chain(old).chain(losses).min()
    }

    /// Does what is due.
    pub fn tick(&mut self) {
        let now = Instant::now();
        let due = |source: &Source| source.begun.is_some_and(|at| at + HOLD <= now);
        let mut begun = Vec::new();
        for (&process, seat) in &self.printers {
            for stream in [Stream::Out, Stream::Error] {
                if due(seat.look(stream)) {
                    begun.push(Key { process, stream });
                }
            }
        }
        for key in begun {
            self.write_begun(key, now);
        }
        for process in self.printers.keys().copied().collect::<Vec<_>>() {
            self.tell_loss(process, now);
        }
        for sheet in &mut self.files {
            if sheet.last.is_none_or(|(_, since)| since + HOLD <= now) {
                sheet.wanted = false;
            }
        }
        for at in 0..self.files.len() {
            let outlet = self.files[at].outlet.as_ref();
            if outlet
                .and_then(|it| it.writer.expires())
                .is_some_and(|at| at <= now)
            {
                self.fetch(at);
                put_away_old(self.files[at].outlet.as_mut());
                self.files[at].line = Line::Whole;
            }
        }
    }

    /// Opens all files again: somebody has renamed them. What goes wrong is told.
    pub fn reopen(&mut self) {
        for at in 0..self.files.len() {
            self.fetch(at);
            self.files[at].anew(Outlet::reopen);
        }
        if let Some(clerk) = &self.clerk {
            clerk.reopen();
        }
    }

    /// Empties all files. What was put away stays.
    pub fn empty(&mut self) {
        for at in 0..self.files.len() {
            self.fetch(at);
            self.files[at].anew(Outlet::empty);
        }
        if let Some(clerk) = &self.clerk {
            clerk.empty();
        }
    }

    /// Writes what is left of all processes, and waits until it is written. What lies between a pipe and a
    /// file stays there, and is [held](Keep) on.
    pub fn finish(mut self) {
        // What did not come into a file is for who goes on.
        self.keep = None;
        for process in self.printers.keys().copied().collect::<Vec<_>>() {
            self.forget(process);
        }
        if let Some(clerk) = &mut self.clerk {
            clerk.finish();
        }
    }
}

fn of_owner(path: &Path, owner: Option<&Owner>) -> PathBuf {
    match (owner, path.file_name()) {
        (Some(owner), Some(base)) => path.with_file_name(name::of_owner(base, owner)),
        _ => path.to_owned(),
    }
}

fn mend(format: LogFormat) -> &'static [u8] {
    match format {
        LogFormat::Json => b"\n",
        LogFormat::Raw | LogFormat::Time => b" [cut off here]\n",
    }
}
