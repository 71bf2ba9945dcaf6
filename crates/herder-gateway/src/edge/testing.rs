//! What the tests of the edge share: a client's frames, and a session on a stream in memory.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use herder_wire::gateway::Origins;
use tokio::io::{DuplexStream, duplex};

use crate::edge::session::{Language, Session};
use crate::edge::settings::Settings;
use crate::edge::wire::Wire;
use crate::hub::loopback::{Answering, Loopback};
use crate::hub::{Desk, Protocol};

pub(super) const CONTINUE: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// A client's frame, the last of its message.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = part(opcode, payload);
    frame[0] |= 0x80;
    frame
}

/// A client's frame, with more of its message to follow.
pub(super) fn part(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut part = vec![opcode];
    match payload.len() {
        length @ 0..126 => part.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            part.push(0x80 | 126);
            part.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            part.push(0x80 | 127);
            part.extend((length as u64).to_be_bytes());
        }
    }
    part.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    part.extend(masked.map(|(byte, key)| byte ^ key));
    part
}

pub(super) fn settings() -> Settings {
    Settings {
        max_message: 1 << 20,
        max_clients: 100,
        handshake_timeout: Duration::from_secs(10),
        close_timeout: Duration::from_secs(5),
        keep_alive: Some(Duration::from_secs(30)),
        origins: Origins::Same,
        feed: Some("/robots".into()),
    }
}

/// A client's end of a stream in memory that holds so many bytes, and the session at the other.
pub(super) fn session<L: Language>(
    answering: Answering,
    held: usize,
    language: L,
) -> (DuplexStream, Rc<Loopback>, Session<DuplexStream, L>) {
    let loopback = Loopback::new(answering);
    let seat = Rc::clone(&loopback).join(Protocol::WebSocket).unwrap();
    let (client, stream) = duplex(held);
    let wire = Wire::new(stream, BytesMut::new());
    let session = Session::new(wire, language, seat, Rc::new(settings()));
    (client, loopback, session)
}
