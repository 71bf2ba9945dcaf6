//! The inputs that every fuzz target starts from: each kind of message in good order, and each
//! way to get one wrong.

mod frames;
mod messages;
mod plans;

use std::fmt;

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
        plans::all(),
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
