//! Frames to bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{
    Codec, Delivery, Frame, FrameError, ItemKind, LENGTH_SIZE, MAX_KEY, PREFIX_SIZE, Position,
    Target,
};
use super::number::{self as kind, ONE_WAY, POSTCARD};

impl Frame {
    /// Appends the whole frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] beyond `limit` bytes, [`FrameError::Malformed`] when a field holds
    /// what the peer would refuse.
    pub fn encode(&self, limit: usize, out: &mut BytesMut) -> Result<(), FrameError> {
        self.encode_head(limit, out)?;
        out.extend_from_slice(self.body());
        Ok(())
    }

    /// Appends everything but [`Frame::body`], which must follow it: one body in many frames is
    /// written from where it is. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// As [`Frame::encode`].
    pub fn encode_head(&self, limit: usize, out: &mut BytesMut) -> Result<(), FrameError> {
        let kind = self.kind();
        if !self.is_sound() {
            return Err(FrameError::Malformed { kind });
        }
        let header = self.header_length();
        let length = PREFIX_SIZE + header + self.body().len();
        let fits = u32::try_from(length - LENGTH_SIZE).ok();
        let Some(claim) = fits.filter(|_| length <= limit) else {
            let length = length as u64;
            return Err(FrameError::TooLong { length, limit });
        };
        out.put_u32_le(claim);
        out.put_u8(kind);
        out.put_u8(self.flags());
        out.put_u16_le(u16::try_from(header).expect("a header is as short as its key"));
        out.put_u64_le(self.id());
        self.write_header(out);
        Ok(())
    }

    /// Length of the encoded frame in bytes.
    #[must_use]
    pub fn encoded_length(&self) -> usize {
        PREFIX_SIZE + self.header_length() + self.body().len()
    }

    /// The part that follows the header.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        static EMPTY: Bytes = Bytes::new();
        match self {
            Frame::Hello(body)
            | Frame::Welcome(body)
            | Frame::Refused(body)
            | Frame::GoAway(body)
            | Frame::Signature { document: body, .. }
            | Frame::Call { args: body, .. }
            | Frame::Ok { value: body, .. }
            | Frame::Error { error: body, .. }
            | Frame::Subscribe { args: body, .. }
            | Frame::Item { value: body, .. } => body,
            Frame::SignatureAsk { .. }
            | Frame::Cancel { .. }
            | Frame::Opened { .. }
            | Frame::End { .. }
            | Frame::Credit { .. }
            | Frame::Ping { .. }
            | Frame::Pong { .. } => &EMPTY,
        }
    }

    /// The frame's id; 0 for those that have none.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self {
            Frame::Hello(_) | Frame::Welcome(_) | Frame::Refused(_) | Frame::GoAway(_) => 0,
            Frame::SignatureAsk { id }
            | Frame::Signature { id, .. }
            | Frame::Call { id, .. }
            | Frame::Ok { id, .. }
            | Frame::Error { id, .. }
            | Frame::Cancel { id }
            | Frame::Subscribe { id, .. }
            | Frame::Opened { id, .. }
            | Frame::Item { id, .. }
            | Frame::End { id }
            | Frame::Credit { id, .. }
            | Frame::Ping { id }
            | Frame::Pong { id, .. } => *id,
        }
    }

    /// The number of the frame's type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Frame::Hello(_) => kind::HELLO,
            Frame::Welcome(_) => kind::WELCOME,
            Frame::Refused(_) => kind::REFUSED,
            Frame::SignatureAsk { .. } => kind::SIGNATURE_ASK,
            Frame::Signature { .. } => kind::SIGNATURE,
            Frame::Call { .. } => kind::CALL,
            Frame::Ok { .. } => kind::OK,
            Frame::Error { .. } => kind::ERROR,
            Frame::Cancel { .. } => kind::CANCEL,
            Frame::Subscribe { .. } => kind::SUBSCRIBE,
            Frame::Opened { .. } => kind::OPENED,
            Frame::Item { .. } => kind::ITEM,
            Frame::End { .. } => kind::END,
            Frame::Credit { .. } => kind::CREDIT,
            Frame::GoAway(_) => kind::GOAWAY,
            Frame::Ping { .. } => kind::PING,
            Frame::Pong { .. } => kind::PONG,
        }
    }

    /// Whether the peer would accept the fields.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most types have none of it")]
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Frame::Call {
                deadline_ms, key, ..
            } => *deadline_ms > 0 && key.len() <= MAX_KEY,
            Frame::Subscribe { deadline_ms, .. } => *deadline_ms > 0,
            Frame::Item {
                kind: ItemKind::SnapshotEnd,
                value,
                ..
            } => value.is_empty(),
            _ => true,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most types have none of it")]
    fn flags(&self) -> u8 {
        let (codec, delivery) = match self {
            Frame::Call {
                codec, delivery, ..
            } => (*codec, *delivery),
            Frame::Ok { codec, .. }
            | Frame::Subscribe { codec, .. }
            | Frame::Item { codec, .. } => (*codec, Delivery::Answered),
            _ => (Codec::Json, Delivery::Answered),
        };
        let codec = match codec {
            Codec::Json => 0,
            Codec::Postcard => POSTCARD,
        };
        match delivery {
            Delivery::Answered => codec,
            Delivery::OneWay => codec | ONE_WAY,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most types have none of it")]
    fn header_length(&self) -> usize {
        match self {
            Frame::Call { key, .. } => 10 + key.len(),
            Frame::Subscribe { .. } => 28,
            Frame::Opened { .. } => 16,
            Frame::Item { .. } => 9,
            Frame::Credit { .. } | Frame::Pong { .. } => 4,
            _ => 0,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most types have none of it")]
    fn write_header(&self, out: &mut BytesMut) {
        match self {
            Frame::Call {
                target,
                deadline_ms,
                key,
                ..
            } => {
                write_target(*target, out);
                out.put_u32_le(*deadline_ms);
                out.put_u16_le(u16::try_from(key.len()).expect("the key was measured"));
                out.extend_from_slice(key);
            }
            Frame::Subscribe {
                target,
                deadline_ms,
                credits,
                resume,
                ..
            } => {
                write_target(*target, out);
                out.put_u32_le(*deadline_ms);
                out.put_u32_le(*credits);
                write_position(*resume, out);
            }
            Frame::Opened { position, .. } => write_position(*position, out),
            Frame::Item { seq, kind, .. } => {
                out.put_u64_le(*seq);
                out.put_u8(kind.number());
            }
            Frame::Credit { items: number, .. } | Frame::Pong { lag_us: number, .. } => {
                out.put_u32_le(*number);
            }
            _ => {}
        }
    }
}

impl ItemKind {
    fn number(self) -> u8 {
        match self {
            ItemKind::Item => 0,
            ItemKind::Snapshot => 1,
            ItemKind::SnapshotEnd => 2,
            ItemKind::Gap => 3,
        }
    }
}

fn write_target(target: Target, out: &mut BytesMut) {
    out.put_u16_le(target.object);
    out.put_u16_le(target.method);
}

fn write_position(position: Position, out: &mut BytesMut) {
    out.put_u64_le(position.epoch);
    out.put_u64_le(position.seq);
}
