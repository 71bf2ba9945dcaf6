//! Processes that print, and their streams.

use std::time::Instant;

use super::Printer;
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
    pub(super) lost: u64,
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
}

impl Seat {
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
