//! Writing to a place that may be full, closed or stuck, without losing the count.

use std::collections::BTreeMap;
use std::io;

use herder_logs::write_counted;

use super::queue::{lost_events, lost_lines};
use super::standard::{Target, Terminal};
use crate::event::HerdEvent;
use crate::part::{Process, ProcessId};

/// A full buffer is written without waiting for more.
const FULL: usize = 32 * 1024;

/// How often a failing place is complained about at most, in microseconds.
const COMPLAIN_EVERY_US: u64 = 60_000_000;

/// What an entry of the buffer is, for the count when it is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    Event,
    LineOf(Process),
}

/// What a half-written line is ended with when writing works again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mend {
    /// A newline. An object without its end tells enough.
    Newline,
    /// A mark for people.
    Words,
}

/// Whole entries go in, whole entries go out, several at a time. What cannot be written is dropped
/// and counted; the count is told as soon as writing works again.
pub(super) struct Sink {
    target: Target,
    mend: Mend,
    buffer: Vec<u8>,
    /// Where each entry of the buffer ends.
    entries: Vec<(usize, Entry)>,
    /// The last entry was written in part.
    torn: bool,
    failing: bool,
    complained_us: Option<u64>,
    lost_lines: BTreeMap<ProcessId, (Process, u64)>,
    lost_events: u64,
}

impl Sink {
    pub(super) fn new(target: Target, mend: Mend) -> Sink {
        Sink {
            target,
            mend,
            buffer: Vec::new(),
            entries: Vec::new(),
            torn: false,
            failing: false,
            complained_us: None,
            lost_lines: BTreeMap::new(),
            lost_events: 0,
        }
    }

    pub(super) fn terminal(&self) -> Terminal {
        self.target.terminal
    }

    /// Adds an entry: what `render` appends, which ends with a newline. Nothing is written yet.
    pub(super) fn push(&mut self, entry: Entry, render: impl FnOnce(&mut Vec<u8>)) {
        render(&mut self.buffer);
        self.entries.push((self.buffer.len(), entry));
    }

    /// Whether it is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    /// Writes everything; waits as long as that takes. Gives what is worth telling about it: that
    /// writing fails now, or what was lost while it did.
    pub(super) fn flush(&mut self) -> Vec<HerdEvent> {
        if self.buffer.is_empty() {
            return Vec::new();
        }
        let result = self.write();
        self.buffer.clear();
        self.entries.clear();
        match result {
            Ok(()) => {
                self.failing = false;
                self.losses()
            }
            Err(error) => {
                let news = !std::mem::replace(&mut self.failing, true);
                self.complain(news, &error).into_iter().collect()
            }
        }
    }

    /// Takes what was lost and not told yet.
    pub(super) fn losses(&mut self) -> Vec<HerdEvent> {
        let lines = std::mem::take(&mut self.lost_lines)
            .into_values()
            .map(|(printer, lines)| lost_lines(printer, lines));
        let events = std::mem::take(&mut self.lost_events);
        lines
            .chain((events > 0).then(|| lost_events(events)))
            .collect()
    }

    fn write(&mut self) -> io::Result<()> {
        if self.torn {
            let mark: &[u8] = match self.mend {
                Mend::Newline => b"\n",
                Mend::Words => b" [cut off here]\n",
            };
            if let (_, Some(error)) = write_counted(&mut *self.target.writer, mark) {
                self.count_lost(0);
                return Err(error);
            }
            self.torn = false;
        }
        let (written, error) = write_counted(&mut *self.target.writer, &self.buffer);
        let Some(error) = error else { return Ok(()) };
        self.count_lost(written);
        Err(error)
    }

    /// Counts the entries that do not lie wholly within the first `written` bytes.
    fn count_lost(&mut self, written: usize) {
        let whole = self.entries.partition_point(|(end, _)| *end <= written);
        let whole_bytes = whole.checked_sub(1).map_or(0, |last| self.entries[last].0);
        self.torn |= whole_bytes < written;
        for (_, entry) in self.entries.drain(whole..) {
            match entry {
                Entry::Event => self.lost_events += 1,
                Entry::LineOf(printer) => {
                    let lost = self.lost_lines.entry(printer.id()).or_insert((printer, 0));
                    lost.1 += 1;
                }
            }
        }
    }

    fn complain(&mut self, news: bool, error: &io::Error) -> Option<HerdEvent> {
        let now = herder_sys::clock::monotonic_micros();
        let recently = self
            .complained_us
            .is_some_and(|last| now.saturating_sub(last) < COMPLAIN_EVERY_US);
        if !news || recently {
            return None;
        }
        self.complained_us = Some(now);
        let name = self.target.name;
        let text = format!("{name} cannot be written, so lines are lost until it can: {error}");
        Some(HerdEvent::Warning { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WorkerInfo;
    use crate::output::bench::{Disk, ENOSPC};
    use crate::part::Part;

    const WEB: Process = Process {
        part: Part::Workers,
        info: WorkerInfo {
            slot: 0,
            id: 1,
            pid: 100,
        },
    };
    const OTHER: Process = Process {
        part: Part::Workers,
        info: WorkerInfo {
            slot: 1,
            id: 2,
            pid: 200,
        },
    };

    fn sink(disk: &Disk, mend: Mend) -> Sink {
        Sink::new(disk.target("stdout"), mend)
    }

    fn push(sink: &mut Sink, printer: Process, text: &str) {
        sink.push(Entry::LineOf(printer), |into| {
            into.extend_from_slice(text.as_bytes());
        });
    }

    fn lost(printer: Process, lines: u64) -> HerdEvent {
        lost_lines(printer, lines)
    }

    #[test]
    fn r43_a_full_disk_loses_whole_lines_with_their_count_and_one_complaint() {
        let disk = Disk::with_room(6);
        let mut sink = sink(&disk, Mend::Words);
        push(&mut sink, WEB, "one\n");
        push(&mut sink, WEB, "two\n");
        push(&mut sink, OTHER, "three\n");
        let complaint = sink.flush();
        assert_eq!(complaint.len(), 1);
        assert!(format!("{complaint:?}").contains("stdout cannot be written"));
        assert!(
            format!("{complaint:?}").contains(&io::Error::from_raw_os_error(ENOSPC).to_string())
        );
        push(&mut sink, WEB, "four\n");
        assert_eq!(sink.flush(), [], "said once, not for every line");

        disk.add_room(1000);
        push(&mut sink, WEB, "five\n");
        assert_eq!(sink.flush(), [lost(WEB, 2), lost(OTHER, 1)]);
        assert_eq!(disk.content(), "one\ntw [cut off here]\nfive\n");
        assert_eq!(sink.losses(), []);
    }

    #[test]
    fn r43_a_disk_that_is_full_at_the_end_of_a_line_leaves_no_mark() {
        let disk = Disk::with_room(4);
        let mut sink = sink(&disk, Mend::Words);
        push(&mut sink, WEB, "one\n");
        push(&mut sink, WEB, "two\n");
        sink.flush();
        disk.add_room(1000);
        push(&mut sink, WEB, "three\n");
        assert_eq!(sink.flush(), [lost(WEB, 1)]);
        assert_eq!(disk.content(), "one\nthree\n");
    }

    #[test]
    fn r43_a_mark_that_does_not_fit_is_tried_again() {
        let disk = Disk::with_room(2);
        let mut sink = sink(&disk, Mend::Newline);
        push(&mut sink, WEB, "one\n");
        sink.flush();
        sink.push(Entry::Event, |into| into.extend_from_slice(b"two\n"));
        assert_eq!(sink.flush(), []);
        disk.add_room(1000);
        push(&mut sink, WEB, "three\n");
        assert_eq!(sink.flush(), [lost(WEB, 1), lost_events(1)]);
        assert_eq!(disk.content(), "on\nthree\n");
    }

    #[test]
    fn a_place_that_fails_again_and_again_is_complained_about_once_a_minute() {
        let disk = Disk::with_room(0);
        let mut sink = sink(&disk, Mend::Newline);
        for round in 0..3 {
            push(&mut sink, WEB, "no\n");
            assert_eq!(sink.flush().len(), usize::from(round == 0));
            disk.add_room(4);
            push(&mut sink, WEB, "yes\n");
            assert_eq!(sink.flush(), [lost(WEB, 1)]);
        }
    }
}
