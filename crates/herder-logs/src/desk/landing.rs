//! Where bytes lie between a pipe and a file.
//!
//! While the kernel moves bytes from a pipe into a file, nobody can write into that pipe. So what a process
//! says that says a lot goes into a second pipe first, which takes next to no time, because nothing is copied;
//! and while it goes from there into the file, the process fills its own pipe again. What lies there when
//! we are killed must not be lost, so somebody else [holds](Keep) that pipe, too.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use herder_sys::fd::{Blocking, set_blocking};
use herder_sys::{failpoint, pipe};

use super::seat::Key;
use super::{CHUNK, Desk, ENLARGED};
use crate::reader::Stream;

/// How many there are at once. Kernel memory for pipes is limited for each user, and processors are few.
const MOST: usize = 16;

/// One that was not used for so long may be taken from who has it.
const IDLE: Duration = Duration::from_secs(10);

/// Less than this is moved into the file at once.
const WORTHWHILE: usize = 16 * 1024;

/// Who outlives this process, and holds what is on its way into a file.
pub trait Keep: Send {
    /// Holds a duplicate of the end to read of a pipe that lies between this stream and its file, in place
    /// of another one.
    ///
    /// # Errors
    ///
    /// When it is not certain that it is held. Nothing is put into it then, and it may be tried again.
    fn hold(&self, process: u64, stream: Stream, pipe: BorrowedFd<'_>) -> io::Result<()>;

    /// That pipe is not used any more, if there is one.
    fn let_go(&self, process: u64, stream: Stream);
}

/// A pipe between a pipe and a file.
pub(super) struct Landing {
    exit: OwnedFd,
    /// `None` = nothing more is put into it.
    entry: Option<OwnedFd>,
    used: Instant,
}

impl Landing {
    fn new(now: Instant) -> io::Result<Landing> {
        let (exit, entry) = pipe::pipe()?;
        set_blocking(exit.as_fd(), Blocking::No)?;
        // Beyond the limits of the user it is as large as any.
        let _small = pipe::enlarge(exit.as_fd(), ENLARGED);
        Ok(Landing {
            exit,
            entry: Some(entry),
            used: now,
        })
    }

    /// What somebody else has left.
    pub(super) fn left(exit: OwnedFd, now: Instant) -> io::Result<Landing> {
        set_blocking(exit.as_fd(), Blocking::No)?;
        Ok(Landing {
            exit,
            entry: None,
            used: now,
        })
    }

    /// The end to read, if there is something to be read.
    pub(super) fn filled(&self) -> Option<BorrowedFd<'_>> {
        let waiting = pipe::waiting(self.exit.as_fd()).unwrap_or(0);
        (waiting > 0).then(|| self.exit.as_fd())
    }

    /// Puts into it what waits in a pipe, as far as there is room and it is worthwhile.
    pub(super) fn fill(&mut self, from: BorrowedFd<'_>, waiting: usize, now: Instant) {
        if let Some(entry) = &self.entry
            && waiting >= WORTHWHILE
        {
            self.used = now;
            // What cannot be moved, because there is no room, stays where it is.
            let _stays = pipe::splice(from, entry.as_fd(), CHUNK);
            failpoint::hit("logs.landed");
        }
    }

    fn is_open(&self) -> bool {
        self.entry.is_some()
    }

    fn is_idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE && self.filled().is_none()
    }
}

impl Desk {
    /// From now on pipes may lie between those of processes and their files: this is who holds them.
    pub fn be_kept_by(&mut self, keep: Box<dyn Keep>) {
        self.keep = Some(keep);
    }

    /// What another desk has moved out of the pipe of a process, and not into a file: it stands there before
    /// everything that the process says from now on.
    ///
    /// # Errors
    ///
    /// When it is nothing that can be read.
    pub fn go_on(&mut self, process: u64, stream: Stream, left: OwnedFd) -> io::Result<()> {
        let landing = Landing::left(left, Instant::now())?;
        if let Some(source) = self.source(Key { process, stream }) {
            source.landing = Some(landing);
        }
        Ok(())
    }

    /// The process is gone, and with it the reason to hold anything of it. Its children may still speak.
    pub fn exited(&mut self, process: u64) {
        let Some(seat) = self.printers.get_mut(&process) else {
            return;
        };
        seat.exited = true;
        for stream in [Stream::Out, Stream::Error] {
            if let Some(landing) = &mut seat.source(stream).landing {
                landing.entry = None;
                if let Some(keep) = &self.keep {
                    keep.let_go(process, stream);
                }
            }
        }
    }

    /// A process says so much that a landing is worthwhile.
    pub(super) fn provide_landing(&mut self, key: Key, now: Instant) {
        let is_wanted = self.printers.get(&key.process).is_some_and(|seat| {
            let landing = seat.look(key.stream).landing.as_ref();
            let is_free = |it: &Landing| !it.is_open() && it.filled().is_none();
            !seat.exited && landing.is_none_or(is_free)
        });
        if !is_wanted || !self.has_room(now) {
            return;
        }
        let Some(keep) = &self.keep else {
            return;
        };
        let held = Landing::new(now).and_then(|landing| {
            keep.hold(key.process, key.stream, landing.exit.as_fd())?;
            Ok(landing)
        });
        // Without one it works as well, though not as fast.
        if let (Ok(landing), Some(source)) = (held, self.source(key)) {
            source.landing = Some(landing);
        }
    }

    /// Whether there may be one more. One that lies idle is given up for it.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.keep.is_none() {
            return false;
        }
        let (mut count, mut idle) = (0, None);
        for (&process, seat) in &self.printers {
            for stream in [Stream::Out, Stream::Error] {
                if let Some(landing) = &seat.look(stream).landing {
                    count += 1;
                    if landing.is_idle(now) {
                        idle = Some(Key { process, stream });
                    }
                }
            }
        }
        if count < MOST {
            return true;
        }
        idle.map(|key| self.give_up_landing(key)).is_some()
    }

    /// What is still in it is lost.
    pub(super) fn give_up_landing(&mut self, key: Key) {
        let landing = self.source(key).and_then(|it| it.landing.take());
        if let (Some(_), Some(keep)) = (landing, &self.keep) {
            keep.let_go(key.process, key.stream);
        }
    }
}
