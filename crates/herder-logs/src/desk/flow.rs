//! How what a source says comes into its file.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use herder_api::app::LogFormat;
use herder_sys::pipe;

use super::seat::Key;
use super::sheet::Line;
use super::{CHUNK, Desk, FULL, HOLD, Pumped, SURPLUS};
use crate::clerk::newlines;
use crate::outlet::News;
use crate::reader::Stream;
use crate::split::{Ending, MAX_LINE, split};

impl Desk {
    /// Whether it is this source's turn. If not, it is known that somebody waits.
    pub(super) fn may_write(&mut self, key: Key, now: Instant) -> bool {
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
    pub(super) fn rotate(&mut self, at: usize, now: Instant) {
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
    pub(super) fn fetch(&mut self, at: usize) {
        let Some(outlet) = &self.files[at].outlet else {
            return;
        };
        for seat in self.printers.values_mut() {
            seat.tail
                .fetch(at, |place, length| outlet.writer.read_back(place, length));
        }
    }

    /// Moves bytes within the kernel, if that is possible: what is never in our hands is not lost when we
    /// are killed.
    pub(super) fn shift(&mut self, key: Key, from: BorrowedFd<'_>, now: Instant) -> Option<Pumped> {
        let waiting = pipe::waiting(from).unwrap_or(0);
        if waiting == 0 && self.source(key)?.landed().is_none() {
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
        if sheet.wanted {
            return None;
        }
        let outlet = sheet.outlet.as_mut()?;
        if !outlet.is_clean() {
            return None;
        }
        if let Some(landing) = &mut source.landing {
            landing.fill(from, waiting, now);
        }
        match outlet.writer.splice(source.landed().unwrap_or(from), CHUNK) {
            Ok(Some(moved)) if moved.length > 0 => {
                sheet.last = Some((key, now));
                sheet.line = Line::Unknown;
                seat.tail.moved(key.stream, at, moved.at, moved.length);
                if waiting >= FULL {
                    self.provide_landing(key, now);
                }
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
    pub(super) fn take(&mut self, key: Key, bytes: &[u8], now: Instant) {
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
                split(MAX_LINE, &mut partial, bytes, |line, ending| {
                    block.line(line, ending);
                });
                seat.source(key.stream).partial = partial;
                self.write_block(key, at, now);
            }
        }
    }

    pub(super) fn write_block(&mut self, key: Key, at: usize, now: Instant) {
        let block = self.render.take();
        if !block.is_empty() {
            self.put(key, at, &block, now);
        }
        self.render.give_back(block);
    }

    pub(super) fn take_raw(&mut self, key: Key, at: usize, mut bytes: &[u8], now: Instant) {
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
    pub(super) fn put(&mut self, key: Key, at: usize, bytes: &[u8], now: Instant) {
        let written = self.write(at, key.process, bytes, now);
        self.files[at].note(Some(key), &bytes[..written], now);
        let Some(seat) = self.printers.get_mut(&key.process) else {
            return;
        };
        let rest = &bytes[written..];
        if rest.is_empty() {
            seat.owes = true;
            self.tell_loss(key.process, now);
        } else {
            seat.owes = false;
            seat.lost += newlines(rest);
            seat.source(key.stream).skipping = rest.last() != Some(&b'\n');
            // If a part of a line stands there, the file knows.
            self.files[at].line = Line::Whole;
        }
    }

    pub(super) fn write(&mut self, at: usize, process: u64, bytes: &[u8], now: Instant) -> usize {
        match (&mut self.files[at].outlet, &self.clerk) {
            (Some(outlet), _) => outlet.write(bytes, now),
            (None, Some(clerk)) => {
                clerk.write(at, process, bytes);
                bytes.len()
            }
            (None, None) => 0,
        }
    }

    /// Tells what a process has lost, if it is time.
    pub(super) fn tell_loss(&mut self, process: u64, now: Instant) {
        let Some(seat) = self.printers.get_mut(&process) else {
            return;
        };
        if seat.due(now).is_some_and(|at| at <= now) {
            seat.told = Some(now);
            let lost = std::mem::take(&mut seat.lost);
            self.lost(process, lost);
        }
    }

    pub(super) fn lost(&self, process: u64, lines: u64) {
        if lines > 0 {
            (self.tell)(News::Lost { process, lines });
        }
    }

    /// A stream has ended: what stands there without a newline is written.
    pub fn close(&mut self, process: u64, stream: Stream) {
        let (key, now) = (Key { process, stream }, Instant::now());
        self.give_up_landing(key);
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
                block.line(&partial, Ending::Whole);
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

    /// A line has begun and does not go on: somebody may want to read it.
    pub(super) fn write_begun(&mut self, key: Key, now: Instant) {
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
}
