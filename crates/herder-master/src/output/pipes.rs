//! The thread that takes what the workers print, always and at once.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::{Blocking, set_blocking};
use herder_sys::wake::Wake;

use super::custody::Streams;
use super::queue::{Queue, Stream};
use super::source::{self, Source, Turn};
use crate::event::HerdEvent;
use crate::part::{PartNumber, Process, ProcessId};

/// How much is read from one pipe before the next has its turn: all that a pipe usually holds.
const CHUNK: usize = 64 * 1024;

/// How much is read from one pipe on behalf of a report (its worker is gone, or is asked about):
/// all that a pipe can hold, and an end even if a child of the worker goes on printing.
const REPORT: usize = 1024 * 1024;

/// Of how many workers that are gone the last lines (and pipes that their children may still hold)
/// are kept. It bounds the descriptors that a crash loop of a daemonizing program can cost.
pub(super) const KEPT: usize = 64;

/// The token of the bell; a process's tokens are twice its life, plus one for its stderr, below the
/// bits that name its part.
const BELL: u64 = u64::MAX;
const PART_SHIFT: u32 = 56;

/// The workers' pipes. One thread [`run`](Pipes::run)s; others attach workers and ask about them.
///
/// Each worker has a lock of its own, so that a question about one waits for at most one turn of
/// reading from that one.
pub(super) struct Pipes {
    epoll: Epoll,
    bell: Wake,
    ending: AtomicBool,
    queue: Arc<Queue>,
    sources: Mutex<BTreeMap<ProcessId, Arc<Mutex<Source>>>>,
}

impl Pipes {
    /// No pipes yet.
    ///
    /// # Errors
    ///
    /// When no descriptor is left.
    pub(super) fn new(queue: Arc<Queue>) -> io::Result<Pipes> {
        let (epoll, bell) = (Epoll::new()?, Wake::new()?);
        epoll.add(bell.as_fd(), BELL, Interest::READABLE)?;
        let (ending, sources) = (AtomicBool::new(false), Mutex::default());
        Ok(Pipes {
            epoll,
            bell,
            ending,
            queue,
            sources,
        })
    }

    /// Keeps the pipes of `process`, which are read from [`watch`](Pipes::watch) on.
    ///
    /// # Errors
    ///
    /// When they cannot be made non-blocking. They are closed then.
    pub(super) fn attach(&self, process: Process, streams: Streams) -> io::Result<()> {
        for pipe in &streams.pipes {
            set_blocking(pipe.as_fd(), Blocking::No)?;
        }
        let [stdout, stderr] = streams.pipes;
        // (Who writes no files leaves nothing on the way into one.)
        let source = Source::new(process, stdout, stderr);
        let mut sources = lock(&self.sources);
        sources.insert(process.id(), Arc::new(Mutex::new(source)));
        self.prune(&mut sources);
        Ok(())
    }

    /// Reads what `process` prints from now on, and what it has printed already.
    ///
    /// # Errors
    ///
    /// When the pipes cannot be watched. They are closed then.
    pub(super) fn watch(&self, process: ProcessId) -> io::Result<()> {
        let Some(source) = self.find(process) else {
            return Ok(());
        };
        let mut source = lock(&source);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(fd) = source.fd(stream) else {
                continue;
            };
            let token = token(process, stream);
            if let Err(error) = self.epoll.add(fd, token, Interest::READABLE) {
                self.close(&mut source);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The process is gone: what it printed before is put into the queue now, so that it stands
    /// before the news of its end.
    pub(super) fn exited(&self, process: ProcessId) {
        if let Some(source) = self.find(process) {
            let mut source = lock(&source);
            self.drain(&mut source);
            source.exited = true;
        }
        self.prune(&mut lock(&self.sources));
    }

    /// What the process has printed up to this moment is put into the queue now.
    pub(super) fn catch_up(&self, process: ProcessId) {
        if let Some(source) = self.find(process) {
            self.drain(&mut lock(&source));
        }
    }

    /// The last lines that the process printed, up to this moment.
    pub(super) fn last_lines(&self, process: ProcessId) -> Vec<String> {
        let Some(source) = self.find(process) else {
            return Vec::new();
        };
        let mut source = lock(&source);
        self.drain(&mut source);
        source.last_lines()
    }

    /// Whether a process has printed nothing for this long. Who has closed its output is not heard, and
    /// not judged.
    pub(super) fn is_silent_for(&self, process: ProcessId, limit: Duration, now: Tick) -> bool {
        let Some(source) = self.find(process) else {
            return false;
        };
        // If somebody reads from it at this moment, it is not silent.
        let Ok(mut source) = source.try_lock() else {
            return false;
        };
        if now.since(source.heard) < limit {
            return false;
        }
        // What it has printed may lie unread.
        self.drain(&mut source);
        !source.is_over() && now.since(source.heard) >= limit
    }

    /// Its silence up to now does not count.
    pub(super) fn excuse_silence(&self, process: ProcessId, now: Tick) {
        if let Some(source) = self.find(process)
            && let Ok(mut source) = source.try_lock()
        {
            source.heard = now;
        }
    }

    /// The body of the thread: reads until [`end`](Pipes::end), then what is left.
    pub(super) fn run(&self) {
        let mut buffer = vec![0; CHUNK];
        let mut events = Events::with_capacity(64);
        while !self.ending.load(Ordering::Acquire) {
            if let Err(error) = self.epoll.wait(&mut events, None) {
                let text = format!("the workers' output can no longer be read: {error}");
                self.queue.tell(HerdEvent::Warning { text });
                break;
            }
            for event in events.iter() {
                if event.token == BELL {
                    self.bell.clear();
                } else if let Some(source) = self.find(owner(event.token)) {
                    self.turn(&mut lock(&source), stream(event.token), &mut buffer);
                }
            }
        }
        let sources = std::mem::take(&mut *lock(&self.sources));
        for source in sources.into_values() {
            let mut source = lock(&source);
            self.drain(&mut source);
            self.close(&mut source);
        }
    }

    /// Asks the thread to read what is left and to end.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.bell.wake();
    }

    fn find(&self, process: ProcessId) -> Option<Arc<Mutex<Source>>> {
        lock(&self.sources).get(&process).cloned()
    }

    /// Reads once from one stream; gives how much it was, `None` when there is nothing.
    fn turn(&self, source: &mut Source, stream: Stream, buffer: &mut [u8]) -> Option<usize> {
        match source.read(stream, buffer, &self.queue) {
            Turn::Ended(fd) => {
                self.forget(fd);
                None
            }
            Turn::Empty => None,
            Turn::Read(length) => {
                source.heard = source::now();
                Some(length)
            }
        }
    }

    /// Reads all that both streams hold at this moment.
    fn drain(&self, source: &mut Source) {
        let mut buffer = vec![0; CHUNK];
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut read = 0;
            while read < REPORT
                && let Some(more) = self.turn(source, stream, &mut buffer)
            {
                read += more;
            }
        }
    }

    /// Gives up the oldest of the workers that are gone, beyond [`KEPT`].
    fn prune(&self, sources: &mut BTreeMap<ProcessId, Arc<Mutex<Source>>>) {
        let gone: Vec<_> = sources
            .iter()
            .filter(|(_, source)| lock(source).is_over())
            .map(|(&process, _)| process)
            .collect();
        for process in &gone[..gone.len().saturating_sub(KEPT)] {
            if let Some(source) = sources.remove(process) {
                self.close(&mut lock(&source));
            }
        }
    }

    fn close(&self, source: &mut Source) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(fd) = source.close(stream, &self.queue) {
                self.forget(fd);
            }
        }
    }

    /// Closes a pipe. It is taken off the list first: a child that is just being launched may hold
    /// a duplicate for a moment, and the kernel watches the open file, not the number.
    fn forget(&self, fd: OwnedFd) {
        let _not_watched = self.epoll.remove(fd.as_fd());
    }
}

fn token(ProcessId { part, life }: ProcessId, stream: Stream) -> u64 {
    let part = u64::from(part.0);
    let stream = match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    };
    (part << PART_SHIFT) | (life * 2 + stream)
}

fn owner(token: u64) -> ProcessId {
    let part = PartNumber(u8::try_from(token >> PART_SHIFT).unwrap_or(u8::MAX));
    let life = (token & ((1 << PART_SHIFT) - 1)) / 2;
    ProcessId { part, life }
}

fn stream(token: u64) -> Stream {
    if token.is_multiple_of(2) {
        Stream::Stdout
    } else {
        Stream::Stderr
    }
}

/// A panic under one of these locks would be a bug, but no reason to lose the workers' output too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
