//! Frames out of bytes that arrive in any pieces.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{Frame, FrameError, PREFIX_SIZE};
use super::prefix::Prefix;

/// How much room a read gets at least, in bytes.
const READ_SIZE: usize = 16 * 1024;

/// How much it gets as long as reads fill what they are given: the fewer frames a read cuts, the
/// less is moved.
const BUSY_READ_SIZE: usize = 4 * READ_SIZE;

/// Shorter bodies are copied out, so that a small call that waits does not hold the memory that
/// it was received in; longer ones share it.
const SHARED_BODY: usize = 16 * 1024;

/// An empty decoder gives memory back when it holds more than this many bytes.
const KEPT_CAPACITY: usize = BUSY_READ_SIZE;

/// Turns bytes that arrive in any pieces into frames.
///
/// Memory grows with the bytes that have arrived, never with what they claim. The first error is
/// final: [`Decoder::next`] repeats it, since nobody knows where the next frame begins.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    limit: usize,
    /// How much room the next read gets at least.
    room: usize,
    /// How long the buffer was when a read was given its space, and how long it is when that is full.
    reading: Option<(usize, usize)>,
    skipped: u64,
    failure: Option<FrameError>,
}

impl Decoder {
    /// A decoder that holds nothing and refuses frames of more than `limit` bytes, length field
    /// included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Decoder {
            buffer: BytesMut::new(),
            limit,
            room: READ_SIZE,
            reading: None,
            skipped: 0,
            failure: None,
        }
    }

    /// Changes the limit; the frames that follow are held to it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds received bytes. Call [`Decoder::next`] until it returns `None` before the next push,
    /// so that at most one unfinished frame is held.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Where a read puts its bytes, instead of [`Decoder::push`]: append to it, change nothing.
    /// It has room for at least 16 KiB, and for as much again as an unfinished frame holds.
    pub fn space(&mut self) -> &mut BytesMut {
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(self.buffer.len().max(self.room));
        self.reading = Some((self.buffer.len(), self.buffer.capacity()));
        &mut self.buffer
    }

    /// The next frame, or `None` when more bytes are needed. Unknown types that need not be
    /// understood are skipped.
    ///
    /// # Errors
    ///
    /// The first [`FrameError`], at this and at every later call.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not resume after `None`"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.learn();
        self.advance().inspect_err(|failure| {
            self.failure = Some(*failure);
            self.buffer = BytesMut::new();
        })
    }

    /// Whether no unfinished frame is held: the peer may close now without having cut one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// How many frames of unknown types were skipped.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How much memory is held for bytes that wait, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// A read that filled its space is followed by larger ones, one that hardly used it by smaller ones.
    fn learn(&mut self) {
        let Some((before, full)) = self.reading.take() else {
            return;
        };
        if self.buffer.len() >= full {
            self.room = BUSY_READ_SIZE;
        } else if self.buffer.len() - before < READ_SIZE / 2 {
            self.room = READ_SIZE;
        }
    }

    fn advance(&mut self) -> Result<Option<Frame>, FrameError> {
        while let Some(prefix) = Prefix::read(&self.buffer, self.limit)? {
            if self.buffer.len() < prefix.length {
                break;
            }
            let frame = self.take(prefix)?;
            if frame.is_some() {
                return Ok(frame);
            }
            self.skipped += 1;
        }
        Ok(None)
    }

    fn take(&mut self, prefix: Prefix) -> Result<Option<Frame>, FrameError> {
        let body_start = PREFIX_SIZE + prefix.header;
        if prefix.length - body_start >= SHARED_BODY {
            let whole = self.buffer.split_to(prefix.length).freeze();
            return prefix.frame(&whole[PREFIX_SIZE..body_start], whole.slice(body_start..));
        }
        let body = Bytes::copy_from_slice(&self.buffer[body_start..prefix.length]);
        let frame = prefix.frame(&self.buffer[PREFIX_SIZE..body_start], body);
        self.buffer.advance(prefix.length);
        frame
    }
}
