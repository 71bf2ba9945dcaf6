//! Processes that print, and their streams.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::Printer;
use super::landing::Landing;
use crate::clerk::TELL_EVERY;
use crate::reader::Stream;
use crate::tail::Tail;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) process: u64,
    pub(super) stream: Stream,
}

pub(super) struct Seat {
    pub(super) printer: Printer,
    pub(super) tail: Tail,
    pub(super) out: Source,
    pub(super) error: Source,
    /// Lines that were lost since that was told last, and when that was.
    pub(super) lost: u64,
    pub(super) told: Option<Instant>,
    /// Writing works again, so the loss is to be told.
    pub(super) owes: bool,
    /// Only its children may still speak.
    pub(super) exited: bool,
}

/// A stream of a process.
#[derive(Default)]
pub(super) struct Source {
    /// `None` = what comes is thrown away.
    pub(super) file: Option<usize>,
    /// A line that has begun, and stands in no file yet.
    pub(super) partial: Vec<u8>,
    pub(super) begun: Option<Instant>,
    /// The rest of a line is lost, as its begin was.
    pub(super) skipping: bool,
    pub(super) enlarged: bool,
    /// What lies in it was said before what lies in the pipe.
    pub(super) landing: Option<Landing>,
}

impl Source {
    /// Where something was put that goes into the file before everything else.
    pub(super) fn landed(&self) -> Option<BorrowedFd<'_>> {
        self.landing.as_ref().and_then(Landing::filled)
    }
}

impl Seat {
    /// When the loss may be told.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let owes = self.owes && self.lost > 0;
        owes.then(|| self.told.map_or(now, |at| at + TELL_EVERY))
    }

    pub(super) fn source(&mut self, stream: Stream) -> &mut Source {
        match stream {
            Stream::Error => &mut self.error,
            Stream::Out | Stream::Herder => &mut self.out,
        }
    }

    pub(super) fn look(&self, stream: Stream) -> &Source {
        match stream {
            Stream::Error => &self.error,
            Stream::Out | Stream::Herder => &self.out,
        }
    }
}
