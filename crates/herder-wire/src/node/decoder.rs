//! Lines out of bytes that arrive in any pieces.

use super::from_node::{self, FromNode};
use super::json::JsonError;
use super::{BUN_MARK, Framing, MAX_LINE, shapes};

/// How every internal line begins, beside its mark: that is how Node writes it.
const INTERNAL_START: &[u8] = br#"{"cmd":"NODE_"#;

/// A decoder gives memory back when it holds more than this many bytes and needs a quarter.
const KEPT_CAPACITY: usize = 4096;

/// Why a line is no message. All of them are what no Node writes: the worker is to be given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    /// A field of a message of Node's is missing, or is not what it must be.
    #[error("`{name}` of a cluster message is missing or malformed")]
    BadField {
        /// Name of the field.
        name: &'static str,
    },
    /// There is nothing in the line.
    #[error("blank line")]
    Blank,
    /// The line is not JSON.
    #[error("line is {0}")]
    Json(#[from] JsonError),
    /// The line is not UTF-8.
    #[error("line is not UTF-8 at byte {column}")]
    NotUtf8 {
        /// The first byte that is not, counted from 1.
        column: usize,
    },
    /// The line is longer than allowed, and is no message of a program, which would be left out.
    #[error("line exceeds the limit of {limit} bytes")]
    TooLong {
        /// The longest line allowed, without its end, in bytes.
        limit: usize,
    },
}

/// Turns a worker's bytes, which arrive in any pieces, into messages.
///
/// The first error is final: [`Decoder::next`] repeats it and further bytes are ignored. A message of a
/// program that is longer than the limit is no error: it is left out, unread, and counted by
/// [`Decoder::take_skipped`].
///
/// ```
/// use herder_wire::node::{Decoder, FromNode};
///
/// let mut decoder = Decoder::new();
/// decoder.push(br#"{"cmd":"NODE_CLUSTER","act":"onl"#);
/// assert_eq!(decoder.next()?, None);
/// decoder.push(b"ine\",\"seq\":0}\n\"ready\"\n");
/// assert_eq!(decoder.next()?, Some(FromNode::Online));
/// let Some(FromNode::User(value)) = decoder.next()? else {
///     panic!("a string is a message of the program");
/// };
/// assert!(value.is_text("ready"));
/// # Ok::<(), herder_wire::node::LineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that earlier calls have decoded.
    consumed: usize,
    /// Bytes of `buffer` in which no further line ends.
    searched: usize,
    limit: usize,
    framing: Framing,
    /// What comes up to the next end of a line belongs to one that is left out. Nothing else is held
    /// then.
    skips: bool,
    skipped: u64,
    failure: Option<LineError>,
    /// The next line may have lost its beginning to somebody else.
    may_be_cut: bool,
}

/// Where in a worker's lines somebody begins to read who did not read what came before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Beginning {
    /// At the beginning of a line.
    Line,
    /// Nobody knows.
    Unknown,
    /// Within a line: the rest of it is left out.
    Within,
}

impl Decoder {
    /// A decoder that holds nothing and takes lines of at most [`MAX_LINE`] bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_LINE)
    }

    /// A decoder that holds nothing and takes lines of at most `limit` bytes, not counting their
    /// ends, and never more than [`MAX_LINE`].
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Decoder {
            buffer: Vec::new(),
            consumed: 0,
            searched: 0,
            limit: limit.min(MAX_LINE),
            framing: Framing::Node,
            skips: false,
            skipped: 0,
            failure: None,
            may_be_cut: false,
        }
    }

    /// A decoder that goes on where another one has ended, perhaps with its process. What cannot be read
    /// of a first line whose beginning may be lost is left out, and no error.
    ///
    /// ```
    /// use herder_wire::node::{Beginning, Decoder, Framing, FromNode};
    ///
    /// let mut decoder = Decoder::resuming(Framing::Node, Beginning::Unknown);
    /// decoder.push(b"\"accepted\":true,\"seq\":7}\n{\"cmd\":\"NODE_HANDLE_ACK\"}\n");
    /// assert_eq!(decoder.next()?, Some(FromNode::Acknowledged));
    /// # Ok::<(), herder_wire::node::LineError>(())
    /// ```
    #[must_use]
    pub fn resuming(framing: Framing, beginning: Beginning) -> Self {
        Decoder {
            framing,
            skips: beginning == Beginning::Within,
            may_be_cut: beginning == Beginning::Unknown,
            ..Decoder::new()
        }
    }

    /// What has come of a line that has not ended; `None` when it is one that is left out. Whoever goes on
    /// from here begins with these bytes.
    #[must_use]
    pub fn unfinished_line(&self) -> Option<&[u8]> {
        (!self.skips).then(|| &self.buffer[self.consumed..])
    }

    /// Adds received bytes. Call [`Decoder::next`] until it returns `None` before the next push,
    /// so that at most one unfinished line is held. One that is too long is not stored.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        let mut bytes = self.behind_skipped(bytes);
        if self.searched == self.buffer.len() {
            let room = self.limit - self.unfinished().min(self.limit);
            let start = &bytes[..bytes.len().min(room + 1)];
            if start.len() > room && !start.contains(&b'\n') {
                let shown = start.len().min(INTERNAL_START.len());
                self.buffer.extend_from_slice(&start[..shown]);
                if let Err(failure) = self.skip() {
                    return self.fail(failure);
                }
                bytes = self.behind_skipped(bytes);
            }
        }
        self.reserve(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// The first [`LineError`], at this and at every later call.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not resume after `None`"
    )]
    pub fn next(&mut self) -> Result<Option<FromNode>, LineError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.advance().inspect_err(|failure| self.fail(*failure))
    }

    /// What the peer writes, as far as it has shown, and what it is to be written to: Bun shows
    /// with its first internal message what it is. Its program may have spoken before.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether no line is unfinished: the peer may close now without having cut one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unfinished() == 0 && !self.skips
    }

    /// How many messages of the program were left out since this was last asked, because they are longer
    /// than the limit. One that has not ended counts already.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// How much memory is held for bytes that wait, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    fn advance(&mut self) -> Result<Option<FromNode>, LineError> {
        loop {
            let unsearched = &self.buffer[self.searched..];
            let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.unfinished() > self.limit {
                    self.skip()?;
                }
                self.compact();
                return Ok(None);
            };
            let line = self.consumed..self.searched + length;
            self.consumed = line.end + 1;
            self.searched = self.consumed;
            let may_be_cut = std::mem::take(&mut self.may_be_cut);
            if line.len() > self.limit {
                self.check_may_skip(&self.buffer[line])?;
                self.skipped += 1;
                continue;
            }
            let (framing, message) = match read(&self.buffer[line]) {
                Err(_) if may_be_cut => continue,
                result => result?,
            };
            if framing == Framing::Bun {
                self.framing = framing;
            }
            return Ok(Some(message));
        }
    }

    /// How many bytes are held of a line that has not ended, while no whole one is.
    fn unfinished(&self) -> usize {
        self.buffer.len() - self.consumed
    }

    /// Leaves out the unfinished line, of which at least the beginning is held, and what is to come of it.
    fn skip(&mut self) -> Result<(), LineError> {
        self.check_may_skip(&self.buffer[self.consumed..])?;
        self.buffer = Vec::new();
        self.consumed = 0;
        self.searched = 0;
        self.skips = true;
        self.skipped += 1;
        Ok(())
    }

    /// What comes after the line that is left out.
    fn behind_skipped<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if !self.skips {
            return bytes;
        }
        let Some(length) = bytes.iter().position(|byte| *byte == b'\n') else {
            return &[];
        };
        self.skips = false;
        &bytes[length + 1..]
    }

    /// A line that is too long may be a program's only. (Which of the two a line is that begins as both
    /// do must not depend on how much of it has come.)
    fn check_may_skip(&self, line: &[u8]) -> Result<(), LineError> {
        let shown = INTERNAL_START.len().min(self.limit + 1);
        let start = &line[..line.len().min(shown)];
        if start.first() == Some(&BUN_MARK) || INTERNAL_START.starts_with(start) {
            return Err(LineError::TooLong { limit: self.limit });
        }
        Ok(())
    }

    /// Makes room as a vector does, by doubling, but not beyond what a line may need: memory for
    /// a long line is its own size.
    fn reserve(&mut self, more: usize) {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            let doubled = self.buffer.capacity() * 2;
            let target = doubled.min(self.limit + 1).max(needed);
            self.buffer.reserve_exact(target - self.buffer.len());
        }
    }

    /// Moves the unfinished line to the front. Done only when all whole lines are gone, so that
    /// each byte is moved at most once however many lines came in one push.
    fn compact(&mut self) {
        if self.consumed > 0 {
            self.buffer.drain(..self.consumed);
            self.searched -= self.consumed;
            self.consumed = 0;
        }
        let capacity = self.buffer.capacity();
        if capacity > KEPT_CAPACITY && self.buffer.len() < capacity / 4 {
            self.buffer.shrink_to(self.buffer.len() * 2);
        }
    }

    fn fail(&mut self, failure: LineError) {
        self.failure = Some(failure);
        self.buffer = Vec::new();
        self.consumed = 0;
        self.searched = 0;
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads one line without its end.
fn read(line: &[u8]) -> Result<(Framing, FromNode), LineError> {
    let (framing, line) = match line.split_first() {
        Some((&BUN_MARK, rest)) => (Framing::Bun, rest),
        Some(_) | None => (Framing::Node, line),
    };
    if let Some(message) = shapes::recognise(line) {
        return Ok((framing, message));
    }
    let text = std::str::from_utf8(line).map_err(|error| LineError::NotUtf8 {
        column: error.valid_up_to() + 1,
    })?;
    if text.trim_ascii().is_empty() {
        return Err(LineError::Blank);
    }
    let message = from_node::read(text)?;
    Ok(match (framing, message) {
        // What Bun marks is its own, whatever it looks like.
        (Framing::Bun, FromNode::User(_)) => (framing, FromNode::Internal),
        (framing, message) => (framing, message),
    })
}
