//! The inputs that every fuzz target starts from: each kind of message in good order, and each
//! way to get one wrong.

mod frames;
mod gateway;
mod link;
mod messages;
mod node;
mod plans;
mod proxies;
mod rpc;

use std::fmt;

use herder_wire::frame::{self, Message};

/// The flag of a frame that must be understood.
const MANDATORY: u16 = 1;

/// One input of one target.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    pub(crate) target: &'static str,
    name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Display for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.target, self.name)
    }
}

pub(crate) fn all() -> Vec<Seed> {
    [
        frames::control(),
        frames::keeper(),
        gateway::all(),
        link::all(),
        node::all(),
        node::receipts(),
        plans::all(),
        proxies::all(),
        rpc::all(),
        messages::records(),
        messages::reports(),
        messages::notifications(),
    ]
    .concat()
}

fn seed(target: &'static str, name: &'static str, bytes: impl Into<Vec<u8>>) -> Seed {
    Seed {
        target,
        name,
        bytes: bytes.into(),
    }
}

fn good(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(message, &mut bytes).expect("the seed is a good message");
    bytes
}

fn raw(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a seed is small");
    [header(kind, flags, length), body.to_vec()].concat()
}

fn header(kind: u16, flags: u16, length: u32) -> Vec<u8> {
    [
        &kind.to_le_bytes()[..],
        &flags.to_le_bytes(),
        &length.to_le_bytes(),
    ]
    .concat()
}
