//! The message of a client, or of a worker to a client, within a frame.

use super::{MAX_INLINE, MAX_MESSAGE};
use crate::reader::Reader;

/// What a message is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// UTF-8.
    Text = 1,
    /// Any bytes.
    Bytes = 2,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Kind::Text),
            2 => Some(Kind::Bytes),
            _ => None,
        }
    }
}

/// Where a message is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// In the frame; at most [`MAX_INLINE`] bytes, and UTF-8 if it is text.
    Inline(Vec<u8>),
    /// In a sealed memory file, the one descriptor of the packet in which the frame is alone.
    /// Whoever maps it checks the file's length, and that text is UTF-8.
    Memory {
        /// Length of the message in bytes, from 1 to [`MAX_MESSAGE`].
        length: u32,
    },
}

const INLINE: u8 = 0;
const MEMORY: u8 = 1;

/// Appends kind and body; `None` if a receiver would refuse them.
pub(super) fn write(kind: Kind, body: &Body, out: &mut Vec<u8>) -> Option<()> {
    out.push(kind as u8);
    match body {
        Body::Inline(bytes) => {
            out.push(INLINE);
            out.extend_from_slice(check_inline(kind, bytes)?);
        }
        Body::Memory { length } => {
            out.push(MEMORY);
            out.extend_from_slice(&check_length(*length)?.to_le_bytes());
        }
    }
    Some(())
}

/// Kind and body, which are the rest of a frame.
pub(super) fn read(fields: &mut Reader<'_>) -> Option<(Kind, Body)> {
    let kind = Kind::from_number(fields.u8()?)?;
    let body = match fields.u8()? {
        INLINE => Body::Inline(check_inline(kind, fields.remainder())?.to_vec()),
        MEMORY => Body::Memory {
            length: check_length(fields.u32()?)?,
        },
        _ => return None,
    };
    fields.finish((kind, body))
}

fn check_inline(kind: Kind, bytes: &[u8]) -> Option<&[u8]> {
    let readable = match kind {
        Kind::Text => std::str::from_utf8(bytes).is_ok(),
        Kind::Bytes => true,
    };
    (readable && bytes.len() <= MAX_INLINE).then_some(bytes)
}

/// An empty file cannot be mapped, and an empty message needs none.
fn check_length(length: u32) -> Option<u32> {
    (1..=MAX_MESSAGE)
        .contains(&(length as usize))
        .then_some(length)
}
