//! WebSocket as a [`Session`](crate::edge::session::Session) speaks it.

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::edge::outbox::Outbox;
use crate::edge::session::{Goodbye, Heard, Language, LastWords, Reason};
use crate::edge::websocket::decoder::{Decoder, Item, Violation};
use crate::hub::{CloseReason, Kind, Message};

/// One client's WebSocket.
#[derive(Debug)]
pub(in crate::edge) struct WebSocket {
    decoder: Decoder,
}

impl WebSocket {
    pub(in crate::edge) fn new(max_message: usize) -> WebSocket {
        WebSocket {
            decoder: Decoder::new(max_message),
        }
    }
}

impl Language for WebSocket {
    const GOODBYE: Goodbye = Goodbye::Answered;

    fn decode(&mut self, inbox: &mut BytesMut, outbox: &mut Outbox) -> Option<Heard> {
        let heard = match self.decoder.next(inbox).transpose()? {
            Ok(Item::Message(message)) => Heard::Message(message),
            Ok(Item::Ping(payload)) => {
                push(outbox, OpCode::Control(Control::Pong), payload);
                Heard::Noise
            }
            Ok(Item::Pong) => Heard::Noise,
            Ok(Item::Close(code)) => Heard::Bye(close(code, "")),
            Err(violation) => Heard::Bye(close(Some(code_of(violation)), &violation.to_string())),
        };
        Some(heard)
    }

    /// Without a Close, it does not wait for answers.
    fn end(&mut self, _: &mut BytesMut) -> Option<LastWords> {
        None
    }

    fn encode(&self, message: Message, outbox: &mut Outbox) {
        let data = match message.kind {
            Kind::Text => Data::Text,
            Kind::Bytes => Data::Binary,
        };
        push(outbox, OpCode::Data(data), message.bytes);
    }

    fn goodbye(&self, reason: Reason) -> Bytes {
        let (code, text) = match reason {
            Reason::Hub(CloseReason::GoingAway) => (CloseCode::Away, "going away"),
            Reason::TooSlow => (CloseCode::Policy, "too slow"),
        };
        close(Some(code), text)
    }

    fn ping(&self) -> Option<Bytes> {
        Some(frame(OpCode::Control(Control::Ping), b""))
    }
}

fn code_of(violation: Violation) -> CloseCode {
    match violation {
        Violation::NotUtf8 => CloseCode::Invalid,
        Violation::Protocol => CloseCode::Protocol,
        Violation::TooLong => CloseCode::Size,
    }
}

fn close(code: Option<CloseCode>, text: &str) -> Bytes {
    let opcode = OpCode::Control(Control::Close);
    match code {
        None => frame(opcode, b""),
        Some(code) => {
            let code = u16::from(code).to_be_bytes();
            frame(opcode, &[&code, text.as_bytes()].concat())
        }
    }
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut space = [0; MAX_HEAD];
    [head(opcode, payload.len(), &mut space), payload]
        .concat()
        .into()
}

fn push(outbox: &mut Outbox, opcode: OpCode, payload: Bytes) {
    let mut space = [0; MAX_HEAD];
    outbox.push(head(opcode, payload.len(), &mut space), payload, b"");
}

/// The header of one whole frame of ours.
fn head(opcode: OpCode, length: usize, space: &mut [u8; MAX_HEAD]) -> &[u8] {
    let header = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    let length = u64::try_from(length).expect("it is in memory");
    let mut rest = &mut space[..];
    header
        .format(length, &mut rest)
        .expect("there is room for the longest");
    let used = MAX_HEAD - rest.len();
    &space[..used]
}

/// The longest header that has no mask.
const MAX_HEAD: usize = 10;
