//! The frame that the messages of `control`, `gateway`, `keeper` and `link` travel in.
//!
//! ```text
//! offset 0  u16  kind
//!        2  u16  flags    bit 0: mandatory; the others are reserved and zero
//!        4  u32  length   of the body that follows, without this header
//!        8  …    body
//! ```
//!
//! All numbers are little endian. A receiver skips a kind that it does not know, unless the frame
//! is mandatory: then the two sides do not understand each other, which is an error. A body that
//! is longer or shorter than its kind says is an error too; new fields come as new kinds.

use std::marker::PhantomData;

/// Length of the header before each body, in bytes.
pub const HEADER_SIZE: usize = 8;

const MANDATORY: u16 = 1;

/// An empty decoder gives memory back when it holds more than this many bytes: one large message
/// must not cost its size for the rest of a worker's life.
const KEPT_CAPACITY: usize = 4096;

/// A set of messages that travel in frames.
pub trait Message: Sized {
    /// The longest frame, header included, in bytes.
    const MAX_FRAME: usize;

    /// The number of this message's kind, and what a receiver that does not know it shall do.
    fn kind(&self) -> (u16, Necessity);

    /// Appends the body.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadBody`] when the message holds what a receiver would refuse.
    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError>;

    /// Reads a whole body; `None` when the kind is unknown.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadBody`] when the body is not what its kind says.
    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError>;
}

/// What a receiver does with a kind that it does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Necessity {
    /// Refuses the peer.
    Mandatory,
    /// Skips the frame.
    Optional,
}

/// Why bytes are not a frame, or a message cannot become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// The body is not what its kind says, or text in it is not UTF-8.
    #[error("body of frame kind {kind:#06x} is malformed")]
    BadBody {
        /// Number of the frame's kind.
        kind: u16,
    },
    /// A packet that must hold one frame holds less or more.
    #[error("packet of {length} bytes is not one whole frame")]
    NotOneFrame {
        /// Length of the packet in bytes.
        length: usize,
    },
    /// A reserved flag is set.
    #[error("reserved frame flags {flags:#06x} are set")]
    ReservedFlags {
        /// All flags of the frame.
        flags: u16,
    },
    /// The frame is, or claims to be, longer than allowed.
    #[error("frame of {length} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Length of the frame with its header, in bytes.
        length: u64,
        /// The longest frame allowed, in bytes.
        limit: usize,
    },
    /// A mandatory frame is of a kind that this side does not know.
    #[error("mandatory frame kind {kind:#06x} is unknown")]
    UnknownKind {
        /// Number of the frame's kind.
        kind: u16,
    },
}

/// Appends `message` as one frame. On error `out` is as it was.
///
/// # Errors
///
/// [`FrameError::TooLong`] when the frame would exceed the limit, [`FrameError::BadBody`] when the
/// message holds what a receiver would refuse.
pub fn encode<M: Message>(message: &M, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    let written = append(message, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Decodes a packet that holds exactly one frame; `None` when its kind is unknown and optional.
///
/// # Errors
///
/// Any [`FrameError`].
pub fn decode_one<M: Message>(packet: &[u8]) -> Result<Option<M>, FrameError> {
    match split::<M>(packet)? {
        Some((header, body)) if HEADER_SIZE + body.len() == packet.len() => header.read(body),
        Some(_) | None => Err(FrameError::NotOneFrame {
            length: packet.len(),
        }),
    }
}

/// Turns bytes that arrive in any pieces into messages.
///
/// The first error is final: [`Decoder::next`] repeats it and further bytes are ignored, since
/// nobody knows where the next frame begins.
///
/// ```
/// use herder_wire::control::{Decoder, ToMaster};
///
/// let mut bytes = Vec::new();
/// ToMaster::Ready.encode(&mut bytes)?;
///
/// let mut decoder = Decoder::<ToMaster>::new();
/// decoder.push(&bytes[..5]);
/// assert_eq!(decoder.next()?, None);
/// decoder.push(&bytes[5..]);
/// assert_eq!(decoder.next()?, Some(ToMaster::Ready));
/// # Ok::<(), herder_wire::frame::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<M> {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that earlier calls have decoded.
    consumed: usize,
    skipped: u64,
    failure: Option<FrameError>,
    messages: PhantomData<fn() -> M>,
}

impl<M: Message> Decoder<M> {
    /// A decoder that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Decoder {
            buffer: Vec::new(),
            consumed: 0,
            skipped: 0,
            failure: None,
            messages: PhantomData,
        }
    }

    /// Adds received bytes. Call [`Decoder::next`] until it returns `None` before the next push,
    /// so that at most one unfinished frame is held.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message, or `None` when more bytes are needed. Frames of unknown optional kinds
    /// are skipped.
    ///
    /// # Errors
    ///
    /// The first [`FrameError`], at this and at every later call.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not resume after `None`"
    )]
    pub fn next(&mut self) -> Result<Option<M>, FrameError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.advance().inspect_err(|failure| {
            self.failure = Some(*failure);
            self.buffer = Vec::new();
            self.consumed = 0;
        })
    }

    /// Whether no unfinished frame is held: the peer may close now without having cut one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.consumed == self.buffer.len()
    }

    /// How many frames of unknown optional kinds were skipped.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How much memory is held for bytes that wait, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    fn advance(&mut self) -> Result<Option<M>, FrameError> {
        while let Some((header, body)) = split::<M>(&self.buffer[self.consumed..])? {
            let message = header.read(body)?;
            self.consumed += HEADER_SIZE + body.len();
            if message.is_some() {
                return Ok(message);
            }
            self.skipped += 1;
        }
        self.compact();
        Ok(None)
    }

    /// Moves the unfinished frame to the front. Done only when all whole frames are gone, so that
    /// each byte is moved at most once however many frames came in one push.
    fn compact(&mut self) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
    }
}

impl<M: Message> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u16,
    necessity: Necessity,
    length: u32,
}

impl Header {
    fn decode(bytes: [u8; HEADER_SIZE]) -> Result<Self, FrameError> {
        let [k0, k1, f0, f1, l0, l1, l2, l3] = bytes;
        let flags = u16::from_le_bytes([f0, f1]);
        let necessity = match flags {
            0 => Necessity::Optional,
            MANDATORY => Necessity::Mandatory,
            _ => return Err(FrameError::ReservedFlags { flags }),
        };
        let kind = u16::from_le_bytes([k0, k1]);
        Ok(Header {
            kind,
            necessity,
            length: u32::from_le_bytes([l0, l1, l2, l3]),
        })
    }

    fn read<M: Message>(self, body: &[u8]) -> Result<Option<M>, FrameError> {
        let message = M::read_body(self.kind, body)?;
        match self.necessity {
            Necessity::Mandatory if message.is_none() => {
                Err(FrameError::UnknownKind { kind: self.kind })
            }
            Necessity::Mandatory | Necessity::Optional => Ok(message),
        }
    }
}

/// The first frame of `bytes` as header and body, or `None` when it is not whole. The length that
/// it claims is refused before its body is waited for.
fn split<M: Message>(bytes: &[u8]) -> Result<Option<(Header, &[u8])>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let header = Header::decode(*header)?;
    let length = check_length::<M>(u64::from(header.length))?;
    Ok(rest.get(..length).map(|body| (header, body)))
}

fn append<M: Message>(message: &M, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    let (kind, necessity) = message.kind();
    let flags = match necessity {
        Necessity::Mandatory => MANDATORY,
        Necessity::Optional => 0,
    };
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    message.write_body(out)?;
    let length = check_length::<M>((out.len() - start - HEADER_SIZE) as u64)?;
    let length = u32::try_from(length).expect("the limit of a frame fits into its length field");
    out[start + 4..start + HEADER_SIZE].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn check_length<M: Message>(body: u64) -> Result<usize, FrameError> {
    let length = body + HEADER_SIZE as u64;
    match usize::try_from(body) {
        Ok(fits) if length <= M::MAX_FRAME as u64 => Ok(fits),
        Ok(_) | Err(_) => Err(FrameError::TooLong {
            length,
            limit: M::MAX_FRAME,
        }),
    }
}
