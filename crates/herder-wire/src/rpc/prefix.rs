//! One frame out of its bytes.

use bytes::Bytes;

use super::frame::{
    Codec, Delivery, Frame, FrameError, ItemKind, LENGTH_SIZE, PREFIX_SIZE, Position, Target,
};
use super::number::{self as kind, MANDATORY, ONE_WAY, POSTCARD};
use crate::reader::Reader;

/// What every frame begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) id: u64,
    /// Length of the whole frame, length field included.
    pub(super) length: usize,
    pub(super) header: usize,
}

impl Prefix {
    /// Reads and checks the prefix, or only the length when no more is there yet.
    pub(super) fn read(bytes: &[u8], limit: usize) -> Result<Option<Self>, FrameError> {
        let mut fields = Reader::new(bytes);
        let Some(claim) = fields.u32() else {
            return Ok(None);
        };
        let length = u64::from(claim) + LENGTH_SIZE as u64;
        if length < PREFIX_SIZE as u64 {
            return Err(FrameError::TooShort { length });
        }
        let length = match usize::try_from(length) {
            Ok(fits) if fits <= limit => fits,
            Ok(_) | Err(_) => return Err(FrameError::TooLong { length, limit }),
        };
        let rest = (fields.u8(), fields.u8(), fields.u16(), fields.u64());
        let (Some(kind), Some(flags), Some(header), Some(id)) = rest else {
            return Ok(None);
        };
        let header = usize::from(header);
        if PREFIX_SIZE + header > length {
            return Err(FrameError::Malformed { kind });
        }
        Ok(Some(Prefix {
            kind,
            flags,
            id,
            length,
            header,
        }))
    }

    /// The frame, or `None` when its type is unknown and need not be understood.
    pub(super) fn frame(self, header: &[u8], body: Bytes) -> Result<Option<Frame>, FrameError> {
        let kind = self.kind;
        if !(kind::HELLO..=kind::PONG).contains(&kind) {
            return if self.flags & MANDATORY == 0 {
                Ok(None)
            } else {
                Err(FrameError::UnknownType { kind })
            };
        }
        let flags = self.flags & !MANDATORY;
        if flags & !allowed_flags(kind) != 0 {
            return Err(FrameError::ReservedFlags { kind, flags });
        }
        let frame = self.fields(Reader::new(header), body);
        let frame = frame.filter(Frame::is_sound);
        frame.map(Some).ok_or(FrameError::Malformed { kind })
    }

    fn fields(self, header: Reader<'_>, body: Bytes) -> Option<Frame> {
        let id = self.id;
        let anonymous = id == 0 && header.left() == 0;
        let bare = header.left() == 0;
        match self.kind {
            kind::HELLO => anonymous.then_some(Frame::Hello(body)),
            kind::WELCOME => anonymous.then_some(Frame::Welcome(body)),
            kind::REFUSED => anonymous.then_some(Frame::Refused(body)),
            kind::GOAWAY => anonymous.then_some(Frame::GoAway(body)),
            kind::SIGNATURE => bare.then_some(Frame::Signature { id, document: body }),
            kind::OK => {
                let codec = self.codec();
                let value = body;
                bare.then_some(Frame::Ok { id, codec, value })
            }
            kind::ERROR => bare.then_some(Frame::Error { id, error: body }),
            kind::CALL => self.call(header, body),
            kind::SUBSCRIBE => self.subscribe(header, body),
            kind::ITEM => self.item(header, body),
            _ if body.is_empty() => self.bodiless(header),
            _ => None,
        }
    }

    fn bodiless(self, mut header: Reader<'_>) -> Option<Frame> {
        let id = self.id;
        let frame = match self.kind {
            kind::SIGNATURE_ASK => Frame::SignatureAsk { id },
            kind::CANCEL => Frame::Cancel { id },
            kind::OPENED => Frame::Opened {
                id,
                position: read_position(&mut header)?,
            },
            kind::END => Frame::End { id },
            kind::CREDIT => Frame::Credit {
                id,
                items: header.u32()?,
            },
            kind::PING => Frame::Ping { id },
            kind::PONG => Frame::Pong {
                id,
                lag_us: header.u32()?,
            },
            _ => return None,
        };
        header.finish(frame)
    }

    fn call(self, mut header: Reader<'_>, args: Bytes) -> Option<Frame> {
        let target = read_target(&mut header)?;
        let deadline_ms = header.u32()?;
        let key = header.u16()?;
        let key = Bytes::copy_from_slice(header.bytes(u64::from(key))?);
        header.finish(Frame::Call {
            id: self.id,
            target,
            deadline_ms,
            key,
            delivery: if self.flags & ONE_WAY == 0 {
                Delivery::Answered
            } else {
                Delivery::OneWay
            },
            codec: self.codec(),
            args,
        })
    }

    fn subscribe(self, mut header: Reader<'_>, args: Bytes) -> Option<Frame> {
        let target = read_target(&mut header)?;
        let deadline_ms = header.u32()?;
        let credits = header.u32()?;
        let resume = read_position(&mut header)?;
        header.finish(Frame::Subscribe {
            id: self.id,
            target,
            deadline_ms,
            credits,
            resume,
            codec: self.codec(),
            args,
        })
    }

    fn item(self, mut header: Reader<'_>, value: Bytes) -> Option<Frame> {
        let seq = header.u64()?;
        let kind = item_kind(header.u8()?)?;
        header.finish(Frame::Item {
            id: self.id,
            seq,
            kind,
            codec: self.codec(),
            value,
        })
    }

    fn codec(self) -> Codec {
        if self.flags & POSTCARD == 0 {
            Codec::Json
        } else {
            Codec::Postcard
        }
    }
}

fn allowed_flags(kind: u8) -> u8 {
    match kind {
        kind::CALL => POSTCARD | ONE_WAY,
        kind::OK | kind::SUBSCRIBE | kind::ITEM => POSTCARD,
        _ => 0,
    }
}

fn read_target(fields: &mut Reader<'_>) -> Option<Target> {
    let object = fields.u16()?;
    let method = fields.u16()?;
    Some(Target { object, method })
}

fn read_position(fields: &mut Reader<'_>) -> Option<Position> {
    let epoch = fields.u64()?;
    let seq = fields.u64()?;
    Some(Position { epoch, seq })
}

fn item_kind(number: u8) -> Option<ItemKind> {
    match number {
        0 => Some(ItemKind::Item),
        1 => Some(ItemKind::Snapshot),
        2 => Some(ItemKind::SnapshotEnd),
        3 => Some(ItemKind::Gap),
        _ => None,
    }
}
