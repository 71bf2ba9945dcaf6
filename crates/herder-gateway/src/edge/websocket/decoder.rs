//! From bytes to messages.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::hub::{Kind, Message};

/// Decodes one client's frames, which may come in pieces of any size. Memory grows with what has
/// come, not with what a frame claims.
#[derive(Debug)]
pub(super) struct Decoder {
    max_message: usize,
    frame: Option<Frame>,
    /// Payload of a control frame; it may come between the frames of a message.
    control: Vec<u8>,
    message: Option<Partial>,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Its code, if there was one.
    Close(Option<CloseCode>),
    Message(Message),
    Ping(Bytes),
    Pong,
}

/// What a client may not do; nothing more can be understood from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("protocol error")]
    Protocol,
    #[error("message too long")]
    TooLong,
}

#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    last: Last,
    mask: [u8; 4],
    left: usize,
}

/// Whether a frame is the last of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

/// A message that has not come as a whole.
#[derive(Debug)]
struct Partial {
    kind: Kind,
    bytes: Vec<u8>,
    /// So much of a text is known to be UTF-8.
    valid: usize,
}

impl Decoder {
    /// Messages longer than so many bytes are refused.
    pub(super) fn new(max_message: usize) -> Decoder {
        Decoder {
            max_message,
            frame: None,
            control: Vec::new(),
            message: None,
        }
    }

    /// The next item, if it is there as a whole. Takes from `input` whatever it has understood.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Item>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.head(input)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            self.payload(&mut frame, input)?;
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(item) = self.complete(&frame)? {
                return Ok(Some(item));
            }
        }
    }

    /// How much memory an incomplete message holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let message = self.message.as_ref();
        message.map_or(0, |message| message.bytes.capacity())
    }

    fn head(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let mut cursor = Cursor::new(&input[..]);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Protocol)?;
        let Some((header, length)) = parsed else {
            return Ok(None);
        };
        let read = usize::try_from(cursor.position()).expect("at most 14");
        input.advance(read);
        let mask = header.mask.ok_or(Violation::Protocol)?;
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol);
        }
        let last = if header.is_final { Last::Yes } else { Last::No };
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        match header.opcode {
            OpCode::Control(_) if last == Last::No || left > MAX_CONTROL => {
                return Err(Violation::Protocol);
            }
            OpCode::Control(_) => {}
            OpCode::Data(data) => self.begin(data, left)?,
        }
        Ok(Some(Frame {
            opcode: header.opcode,
            last,
            mask,
            left,
        }))
    }

    fn begin(&mut self, data: Data, length: usize) -> Result<(), Violation> {
        let kind = match (data, &self.message) {
            (Data::Continue, Some(message)) => {
                let before = message.bytes.len();
                return if length > self.max_message - before {
                    Err(Violation::TooLong)
                } else {
                    Ok(())
                };
            }
            (Data::Text, None) => Kind::Text,
            (Data::Binary, None) => Kind::Bytes,
            (Data::Continue | Data::Text | Data::Binary | Data::Reserved(_), _) => {
                return Err(Violation::Protocol);
            }
        };
        if length > self.max_message {
            return Err(Violation::TooLong);
        }
        self.message = Some(Partial {
            kind,
            bytes: Vec::new(),
            valid: 0,
        });
        Ok(())
    }

    fn payload(&mut self, frame: &mut Frame, input: &mut BytesMut) -> Result<(), Violation> {
        let here = frame.left.min(input.len());
        let bytes = &mut input[..here];
        unmask(bytes, frame.mask);
        match (frame.opcode, &mut self.message) {
            (OpCode::Data(_), Some(message)) => message.extend(bytes, frame.left)?,
            (OpCode::Data(_), None) => return Err(Violation::Protocol),
            (OpCode::Control(_), _) => self.control.extend_from_slice(bytes),
        }
        input.advance(here);
        frame.mask.rotate_left(here % 4);
        frame.left -= here;
        Ok(())
    }

    fn complete(&mut self, frame: &Frame) -> Result<Option<Item>, Violation> {
        if let OpCode::Control(control) = frame.opcode {
            let payload = Bytes::from(std::mem::take(&mut self.control));
            return match control {
                Control::Close => close_code(&payload).map(Item::Close).map(Some),
                Control::Ping => Ok(Some(Item::Ping(payload))),
                Control::Pong => Ok(Some(Item::Pong)),
                Control::Reserved(_) => Err(Violation::Protocol),
            };
        }
        match (frame.last, self.message.take()) {
            (Last::Yes, Some(message)) => message.complete().map(Item::Message).map(Some),
            (_, message) => {
                self.message = message;
                Ok(None)
            }
        }
    }
}

impl Partial {
    /// Adds what came; `claimed` bytes are to come in this frame, these included.
    fn extend(&mut self, bytes: &[u8], claimed: usize) -> Result<(), Violation> {
        let before = self.bytes.len();
        if self.bytes.capacity() - before < bytes.len() {
            // Never more than twice what has come, and no more than is to come.
            if claimed < before {
                self.bytes.reserve(bytes.len());
            } else {
                self.bytes
                    .reserve_exact(bytes.len().max(before).min(claimed));
            }
        }
        self.bytes.extend_from_slice(bytes);
        if self.kind == Kind::Text {
            self.validate()?;
        }
        Ok(())
    }

    /// Looks at each byte once: a text that is wrong is refused before it is there as a whole.
    fn validate(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.bytes[self.valid..]) {
            Ok(text) => self.valid += text.len(),
            Err(error) if error.error_len().is_some() => return Err(Violation::NotUtf8),
            // A character of which the rest may still come.
            Err(error) => self.valid += error.valid_up_to(),
        }
        Ok(())
    }

    fn complete(mut self) -> Result<Message, Violation> {
        if self.kind == Kind::Text && self.valid < self.bytes.len() {
            return Err(Violation::NotUtf8);
        }
        self.bytes.shrink_to_fit();
        Ok(Message {
            kind: self.kind,
            bytes: self.bytes.into(),
        })
    }
}

fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::Protocol),
        [high, low, reason @ ..] => {
            let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
            if !code.is_allowed() {
                return Err(Violation::Protocol);
            }
            std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
            Ok(Some(code))
        }
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// The longest payload of a control frame.
const MAX_CONTROL: usize = 125;
