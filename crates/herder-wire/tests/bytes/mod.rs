//! Frames as bytes, good and forged.

use herder_wire::frame::{self, Decoder, FrameError, Message};

/// The flag of a frame that must be understood.
pub(crate) const MANDATORY: u16 = 1;

/// A kind that no channel has.
pub(crate) const UNKNOWN: u16 = 0x7fff;

pub(crate) fn encoded(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(message, &mut bytes).expect("the message is good");
    bytes
}

pub(crate) fn decode<M: Message>(bytes: &[u8]) -> Result<Vec<M>, FrameError> {
    let mut decoder = Decoder::new();
    decoder.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = decoder.next()? {
        messages.push(message);
    }
    Ok(messages)
}

pub(crate) fn raw(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a test's body is small");
    [
        &kind.to_le_bytes()[..],
        &flags.to_le_bytes(),
        &length.to_le_bytes(),
        body,
    ]
    .concat()
}
