//! What one process of the herd prints.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::Tick;
use herder_logs::Ending;
use herder_sys::{clock, pipe};

use super::lines::Splitter;
use super::queue::{Line, Queue, Stream};
use super::wall::Stamp;
use crate::part::Process;

/// How many of a process's last lines are kept for a report about its end.
pub(super) const TAIL_LINES: usize = 20;

/// How much of each of them is kept, in bytes: a report is read by people.
pub(super) const TAIL_LINE_LIMIT: usize = 1024;

/// The two pipes of a process, and the last it printed.
pub(super) struct Source {
    process: Process,
    stdout: Tube,
    stderr: Tube,
    tail: VecDeque<Vec<u8>>,
    /// The process is gone. Its children may still hold the pipes.
    pub(super) exited: bool,
    /// When it printed something last, or was here first.
    pub(super) heard: Tick,
}

struct Tube {
    /// The end to read; `None` after the end of the stream.
    fd: Option<OwnedFd>,
    splitter: Splitter,
}

/// What a turn of reading came to.
pub(super) enum Turn {
    /// The stream has ended; here is its descriptor, to be forgotten and closed.
    Ended(OwnedFd),
    /// Nothing is there now.
    Empty,
    /// So many bytes were read; more may be there.
    Read(usize),
}

impl Source {
    /// The pipes of `process`; both ends to read are non-blocking.
    pub(super) fn new(process: Process, stdout: OwnedFd, stderr: OwnedFd) -> Source {
        let tube = |fd| Tube {
            fd: Some(fd),
            splitter: Splitter::default(),
        };
        Source {
            process,
            stdout: tube(stdout),
            stderr: tube(stderr),
            tail: VecDeque::new(),
            exited: false,
            heard: now(),
        }
    }

    /// Whether nothing more is expected of this process.
    pub(super) fn is_over(&self) -> bool {
        self.exited || (self.stdout.fd.is_none() && self.stderr.fd.is_none())
    }

    /// The end to read; `None` after the end of the stream.
    pub(super) fn fd(&mut self, stream: Stream) -> Option<BorrowedFd<'_>> {
        self.tube(stream).fd.as_ref().map(AsFd::as_fd)
    }

    /// Reads once, as much as `buffer` holds, and puts the lines into the queue.
    pub(super) fn read(&mut self, stream: Stream, buffer: &mut [u8], queue: &Queue) -> Turn {
        let Some(fd) = &self.tube(stream).fd else {
            return Turn::Empty;
        };
        match pipe::read(fd.as_fd(), buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::Empty,
            Ok(length @ 1..) => {
                self.split(stream, Some(&buffer[..length]), queue);
                Turn::Read(length)
            }
            // A pipe that cannot be read (which no pipe is known to do) has ended for us too.
            Ok(0) | Err(_) => self.close(stream, queue).map_or(Turn::Empty, Turn::Ended),
        }
    }

    /// Ends a stream: passes on what stands there without a newline, and gives the descriptor.
    pub(super) fn close(&mut self, stream: Stream, queue: &Queue) -> Option<OwnedFd> {
        let fd = self.tube(stream).fd.take()?;
        self.split(stream, None, queue);
        Some(fd)
    }

    /// The last lines of both streams in the order in which they were read, then what stands in
    /// either of them without a newline: a program that hangs often does so behind `loading ...`.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let unfinished = [&self.stdout, &self.stderr].map(|tube| tube.splitter.unfinished());
        let unfinished = unfinished.into_iter().filter(|line| !line.is_empty());
        let lines: Vec<&[u8]> = self
            .tail
            .iter()
            .map(Vec::as_slice)
            .chain(unfinished)
            .collect();
        let surplus = lines.len().saturating_sub(TAIL_LINES);
        lines[surplus..].iter().map(|line| shown(line)).collect()
    }

    /// Cuts `bytes` (or what is left at the end of the stream) into lines for queue and tail.
    fn split(&mut self, stream: Stream, bytes: Option<&[u8]>, queue: &Queue) {
        let Source {
            process,
            stdout,
            stderr,
            tail,
            ..
        } = self;
        let tube = match stream {
            Stream::Stderr => stderr,
            Stream::Stdout => stdout,
        };
        let stamp = Stamp::now();
        let take = |line: &[u8], ending: Ending| {
            remember(tail, line);
            queue.print(
                stamp,
                Line {
                    printer: *process,
                    stream,
                    bytes: line.into(),
                    ending,
                },
            );
        };
        match bytes {
            Some(bytes) => tube.splitter.feed(bytes, take),
            None => tube.splitter.finish(take),
        }
    }

    fn tube(&mut self, stream: Stream) -> &mut Tube {
        match stream {
            Stream::Stderr => &mut self.stderr,
            Stream::Stdout => &mut self.stdout,
        }
    }
}

/// What the clock of all deadlines says.
pub(super) fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}

/// Keeps the beginning of a line, with a byte more when it had to be cut.
fn remember(tail: &mut VecDeque<Vec<u8>>, line: &[u8]) {
    // The memory of the line that leaves serves for the one that comes.
    let mut kept = if tail.len() == TAIL_LINES {
        tail.pop_front()
    } else {
        None
    }
    .unwrap_or_default();
    kept.clear();
    kept.extend_from_slice(&line[..line.len().min(TAIL_LINE_LIMIT + 1)]);
    tail.push_back(kept);
}

fn shown(line: &[u8]) -> String {
    match line.get(..TAIL_LINE_LIMIT) {
        Some(cut) if line.len() > TAIL_LINE_LIMIT => format!("{}…", String::from_utf8_lossy(cut)),
        _ => String::from_utf8_lossy(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::event::WorkerInfo;
    use crate::part::Part;

    const WEB: Process = Process {
        part: Part::Workers,
        info: WorkerInfo {
            slot: 0,
            id: 1,
            pid: 100,
        },
    };

    fn source() -> (Source, File, File) {
        let (stdout, print) = pipe::pipe().unwrap();
        let (stderr, complain) = pipe::pipe().unwrap();
        (
            Source::new(WEB, stdout, stderr),
            print.into(),
            complain.into(),
        )
    }

    #[test]
    fn the_tail_holds_the_last_lines_of_both_streams_and_unfinished_ones() {
        let (mut source, mut print, mut complain) = source();
        let (queue, mut buffer) = (Queue::default(), [0; 65_536]);
        for n in 0..30 {
            writeln!(print, "out {n}").unwrap();
        }
        source.read(Stream::Stdout, &mut buffer, &queue);
        write!(
            complain,
            "err\n{}\nloading ...",
            "x".repeat(2 * TAIL_LINE_LIMIT)
        )
        .unwrap();
        source.read(Stream::Stderr, &mut buffer, &queue);

        let lines = source.last_lines();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[0], "out 13");
        assert_eq!(lines[16..18], ["out 29", "err"]);
        assert_eq!(lines[18], format!("{}…", "x".repeat(TAIL_LINE_LIMIT)));
        assert_eq!(lines[19], "loading ...");
    }

    #[test]
    fn the_end_of_both_streams_is_the_end_of_the_source() {
        let (mut source, print, mut complain) = source();
        let (queue, mut buffer) = (Queue::default(), [0; 64]);
        drop(print);
        assert!(matches!(
            source.read(Stream::Stdout, &mut buffer, &queue),
            Turn::Ended(_)
        ));
        assert!(matches!(
            source.read(Stream::Stdout, &mut buffer, &queue),
            Turn::Empty
        ));
        assert!(!source.is_over());
        write!(complain, "last words").unwrap();
        drop(complain);
        assert!(matches!(
            source.read(Stream::Stderr, &mut buffer, &queue),
            Turn::Read(10)
        ));
        assert!(matches!(
            source.read(Stream::Stderr, &mut buffer, &queue),
            Turn::Ended(_)
        ));
        assert!(source.is_over());
        assert_eq!(source.last_lines(), ["last words"]);
        assert!(queue.try_next().is_some());
        assert!(queue.try_next().is_none());
    }
}
