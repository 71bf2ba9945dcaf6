//! Where what processes print becomes lines in files.
//!
//! Each stream of each process is a source. A file takes whole lines of one source after another: bytes
//! as they come stay as they come, but nobody's line is torn by somebody else's. Two ways lead into it:
//!
//! - With the format `raw` much at a time is moved from the pipe to the file within the kernel, and never
//!   looked at. Little is read and written: that costs the same, and what was printed last is known.
//! - With a time, or as JSON, everything is read once, and written once.
//!
//! When the disk is slow, the source waits; or (`overflow = drop`) another thread writes, and what does not
//! fit into its memory is dropped and counted. When the disk is full, lines are dropped and counted too.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_api::app::{LogFiles, LogFormat, Overflow};
use herder_sys::pipe;

use crate::attic::{Attic, Each, Family};
use crate::clerk::{Clerk, newlines, put_away_old};
use crate::name::{self, Owner};
use crate::outlet::{News, Outlet, Tell};
use crate::place::LogError;
use crate::reader::Stream;
use crate::render::Render;
use crate::settings::Settings;
use crate::split::{MAX_LINE, split};
use crate::tail::Tail;
use crate::writer::Writer;

/// How much is read or moved at a time.
const CHUNK: usize = 256 * 1024;

/// Less than this is copied instead of moved.
const WORTH_MOVING: usize = 16 * 1024;

/// A pipe that is found this full may hold more from then on, so that its writer is woken less often.
const FULL: usize = 60 * 1024;
const ENLARGED: usize = 256 * 1024;

/// How long others wait for the end of a line.
const HOLD: Duration = Duration::from_millis(50);

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
    render: Render,
    printers: BTreeMap<u64, Seat>,
    files: Vec<Sheet>,
    buffer: Vec<u8>,
}

struct Seat {
    printer: Printer,
    tail: Tail,
    out: Source,
    error: Source,
    lost: u64,
}

/// A stream of a process.
#[derive(Default)]
struct Source {
    /// `None` = what comes is thrown away.
    file: Option<usize>,
    /// A line that has begun, and stands in no file yet.
    partial: Vec<u8>,
    begun: Option<Instant>,
    /// The rest of a line is lost, as its begin was.
    skipping: bool,
    enlarged: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    process: u64,
    stream: Stream,
}

/// A file, as those see it who write to it.
struct Sheet {
    path: PathBuf,
    /// `None` = the clerk writes.
    outlet: Option<Outlet>,
    /// Who wrote last, and when.
    last: Option<(Key, Instant)>,
    line: Line,
    /// Somebody waits for the end of the line, or the file is to be put away there.
    wanted: bool,
}

/// Whether the last line is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Open,
    /// Nobody has looked.
    Unknown,
    Whole,
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
        let pumped = match pipe::read(from, &mut buffer) {
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

    /// Whether it is this source's turn. If not, it is known that somebody waits.
    fn may_write(&mut self, key: Key, now: Instant) -> bool {
        let Some(at) = self.source(key).and_then(|it| it.file) else {
            return true;
        };
        self.rotate(at, now);
        let sheet = &mut self.files[at];
        match sheet.last.filter(|(last, _)| *last != key) {
            Some((last, since)) if !sheet.is_whole() => {
                if now.saturating_duration_since(since) < HOLD {
                    sheet.wanted = true;
                    return false;
                }
                self.write(at, last.process, b"\n", now);
                self.files[at].note(None, b"\n", now);
                true
            }
            Some(_) | None => true,
        }
    }

    /// Puts the file away, if it is time and a line has ended.
    fn rotate(&mut self, at: usize, now: Instant) {
        let sheet = &mut self.files[at];
        let Some(surplus) = sheet.outlet.as_mut().and_then(|it| it.writer.due(now)) else {
            return;
        };
        if !sheet.is_whole() && surplus < SURPLUS {
            sheet.wanted = true;
            return;
        }
        self.fetch(at);
        let sheet = &mut self.files[at];
        sheet.line = Line::Whole;
        sheet.wanted = false;
        if let Some(outlet) = &mut sheet.outlet {
            outlet.put_away(now);
        }
    }

    /// What was printed last is read from the file, before it becomes another.
    fn fetch(&mut self, at: usize) {
        let Some(outlet) = &self.files[at].outlet else {
            return;
        };
        for seat in self.printers.values_mut() {
            seat.tail
                .fetch(at, |place, length| outlet.writer.read_back(place, length));
        }
    }

    /// Moves bytes within the kernel, if that is possible and worth it.
    fn shift(&mut self, key: Key, from: BorrowedFd<'_>, now: Instant) -> Option<Pumped> {
        let waiting = pipe::waiting(from).unwrap_or(0);
        if waiting < WORTH_MOVING {
            return None;
        }
        self.enlarge(key, from, waiting);
        let seat = self.printers.get_mut(&key.process)?;
        let source = seat.source(key.stream);
        let at = source.file?;
        if !source.partial.is_empty() || source.skipping {
            return None;
        }
        let sheet = &mut self.files[at];
        let outlet = sheet.outlet.as_mut().filter(|it| it.is_clean())?;
        if sheet.wanted {
            return None;
        }
        match outlet.writer.splice(from, CHUNK) {
            Ok(Some(moved)) if moved.length > 0 => {
                sheet.last = Some((key, now));
                sheet.line = Line::Unknown;
                seat.tail.moved(key.stream, at, moved.at, moved.length);
                Some(Pumped::Moved(moved.length))
            }
            // The end, or what goes wrong, is found in the same way as when it is copied.
            Ok(_) => None,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    if !sheet.is_whole() {
                        self.files[at].torn();
                    }
                    self.files[at].fail(&error, now);
                }
                None
            }
        }
    }

    /// Takes bytes that were read.
    fn take(&mut self, key: Key, bytes: &[u8], now: Instant) {
        let Some(seat) = self.printers.get_mut(&key.process) else {
            return;
        };
        seat.tail.push(key.stream, bytes);
        let source = seat.source(key.stream);
        let Some(at) = source.file else {
            return;
        };
        match self.settings.format {
            LogFormat::Raw => self.take_raw(key, at, bytes, now),
            LogFormat::Json | LogFormat::Time => {
                let mut partial = std::mem::take(&mut source.partial);
                let block = self.render.begin(&seat.printer, key.stream);
                split(&mut partial, bytes, |line, ending| block.line(line, ending));
                seat.source(key.stream).partial = partial;
                self.write_block(key, at, now);
            }
        }
    }

    fn write_block(&mut self, key: Key, at: usize, now: Instant) {
        let block = self.render.take();
        if !block.is_empty() {
            self.put(key, at, &block, now);
        }
        self.render.give_back(block);
    }

    fn take_raw(&mut self, key: Key, at: usize, mut bytes: &[u8], now: Instant) {
        let is_queued = self.files[at].outlet.is_none();
        let wanted = self.files[at].wanted || is_queued;
        let Some(seat) = self.printers.get_mut(&key.process) else {
            return;
        };
        let source = match key.stream {
            Stream::Error => &mut seat.error,
            Stream::Out | Stream::Herder => &mut seat.out,
        };
        if source.skipping {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return;
            };
            source.skipping = false;
            seat.lost += 1;
            bytes = &bytes[end + 1..];
        }
        // Where somebody waits for it, only whole lines are written.
        let end = if wanted {
            memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1)
        } else {
            bytes.len()
        };
        let (now_, later) = bytes.split_at(end);
        let mut partial = std::mem::take(&mut source.partial);
        if !now_.is_empty() {
            if partial.is_empty() {
                self.put(key, at, now_, now);
            } else {
                partial.extend_from_slice(now_);
                self.put(key, at, &partial, now);
                partial.clear();
            }
        }
        partial.extend_from_slice(later);
        let too_long = partial.len() > MAX_LINE;
        if too_long {
            self.put(key, at, &partial, now);
            partial.clear();
        }
        if let Some(source) = self.source(key) {
            source.begun = (!partial.is_empty()).then_some(source.begun.unwrap_or(now));
            source.partial = partial;
        }
        if end > 0 && !too_long {
            self.files[at].wanted = false;
        }
    }

    /// Writes what a source says; what cannot be written is counted.
    fn put(&mut self, key: Key, at: usize, bytes: &[u8], now: Instant) {
        let written = self.write(at, key.process, bytes, now);
        self.files[at].note(Some(key), &bytes[..written], now);
        let Some(seat) = self.printers.get_mut(&key.process) else {
            return;
        };
        let rest = &bytes[written..];
        if rest.is_empty() {
            let lost = std::mem::take(&mut seat.lost);
            self.lost(key.process, lost);
        } else {
            seat.lost += newlines(rest);
            seat.source(key.stream).skipping = rest.last() != Some(&b'\n');
            // If a part of a line stands there, the file knows.
            self.files[at].line = Line::Whole;
        }
    }

    fn write(&mut self, at: usize, process: u64, bytes: &[u8], now: Instant) -> usize {
        match (&mut self.files[at].outlet, &self.clerk) {
            (Some(outlet), _) => outlet.write(bytes, now),
            (None, Some(clerk)) => {
                clerk.write(at, process, bytes);
                bytes.len()
            }
            (None, None) => 0,
        }
    }

    fn lost(&self, process: u64, lines: u64) {
        if lines > 0 {
            (self.tell)(News::Lost { process, lines });
        }
    }

    /// A stream has ended: what stands there without a newline is written.
    pub fn close(&mut self, process: u64, stream: Stream) {
        let (key, now) = (Key { process, stream }, Instant::now());
        let Some(seat) = self.printers.get_mut(&process) else {
            return;
        };
        let source = seat.source(stream);
        let Some(at) = source.file else {
            return;
        };
        let partial = std::mem::take(&mut source.partial);
        source.begun = None;
        if !partial.is_empty() {
            if self.settings.format == LogFormat::Raw {
                self.end_line_of_others(key, at, now);
                self.put(key, at, &partial, now);
            } else {
                let block = self.render.begin(&seat.printer, stream);
                block.line(&partial, crate::split::Ending::Whole);
                self.write_block(key, at, now);
            }
        }
        let sheet = &mut self.files[at];
        if let Some((last, since)) = &mut sheet.last
            && *last == key
        {
            // Nobody waits for the end of this line.
            *since = now.checked_sub(HOLD).unwrap_or(*since);
        }
    }

    fn end_line_of_others(&mut self, key: Key, at: usize, now: Instant) {
        let sheet = &mut self.files[at];
        if let Some((last, _)) = sheet.last
            && last != key
            && !sheet.is_whole()
        {
            self.write(at, last.process, b"\n", now);
            self.files[at].note(None, b"\n", now);
        }
    }

    /// The process is forgotten, with what it printed last.
    pub fn forget(&mut self, process: u64) {
        self.close(process, Stream::Out);
        self.close(process, Stream::Error);
        if let Some(seat) = self.printers.remove(&process) {
            self.lost(process, seat.lost);
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
        begun.chain(held).chain(old).min()
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

    /// A line has begun and does not go on: somebody may want to read it.
    fn write_begun(&mut self, key: Key, now: Instant) {
        let Some(source) = self.source(key) else {
            return;
        };
        let Some(at) = source.file else {
            return;
        };
        let partial = std::mem::take(&mut source.partial);
        source.begun = None;
        self.end_line_of_others(key, at, now);
        self.put(key, at, &partial, now);
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

    /// Writes what is left of all processes, and waits until it is written.
    pub fn finish(mut self) {
        for process in self.printers.keys().copied().collect::<Vec<_>>() {
            self.forget(process);
        }
        if let Some(clerk) = &mut self.clerk {
            clerk.finish();
        }
    }
}

impl Seat {
    fn source(&mut self, stream: Stream) -> &mut Source {
        match stream {
            Stream::Error => &mut self.error,
            Stream::Out | Stream::Herder => &mut self.out,
        }
    }

    fn look(&self, stream: Stream) -> &Source {
        match stream {
            Stream::Error => &self.error,
            Stream::Out | Stream::Herder => &self.out,
        }
    }
}

impl Sheet {
    fn is_whole(&mut self) -> bool {
        if self.line == Line::Unknown {
            let ends = self.outlet.as_mut().map(|it| it.writer.ends_whole());
            self.line = match ends {
                Some(Ok(false)) => Line::Open,
                Some(Ok(true) | Err(_)) | None => Line::Whole,
            };
        }
        self.line == Line::Whole
    }

    fn note(&mut self, who: Option<Key>, written: &[u8], now: Instant) {
        let Some(last) = written.last() else {
            return;
        };
        self.last = who.map(|key| (key, now));
        self.line = if *last == b'\n' {
            Line::Whole
        } else {
            Line::Open
        };
    }

    fn torn(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            outlet.tear();
        }
        self.line = Line::Whole;
    }

    fn fail(&mut self, error: &io::Error, now: Instant) {
        if let Some(outlet) = &mut self.outlet {
            outlet.fail(error, now);
        }
    }

    fn anew(&mut self, change: impl FnOnce(&mut Outlet)) {
        self.line = Line::Whole;
        self.wanted = false;
        if let Some(outlet) = &mut self.outlet {
            change(outlet);
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
