//! What the master and a native worker say to each other, and what a gateway says to the master.
//!
//! The frames are those of [`crate::frame`], at most [`MAX_FRAME`] bytes each. The two directions
//! use kinds that do not overlap, so that a frame sent the wrong way is refused, not misread.
//!
//! The worker opens with [`ToMaster::Hello`], the master answers [`ToWorker::Welcome`]; each
//! carries its version and a set of capability bits, of which both sides use the intersection.
//!
//! A master that has taken over from a dead one asks everybody where they are, with a `Resync`, and
//! relies on nothing that was said before the answer.
//!
//! A gateway speaks [`ToMaster`] as well, with kinds of its own in it, and hears
//! [`crate::gateway::ToGateway`].

mod to_master;
mod to_worker;

use crate::frame;
use crate::reader::Reader;

pub use crate::frame::Decoder;
pub use to_master::{Course, MAX_KNOWN, ToMaster};
pub use to_worker::{DrainReason, ToWorker};

/// Version of this protocol, sent in [`ToMaster::Hello`] and [`ToWorker::Welcome`].
pub const VERSION: u16 = 1;

/// The longest frame with its header, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// The longest payload of a user message, in bytes. Larger ones travel as a descriptor.
pub const MAX_USER: usize = MAX_FRAME - frame::HEADER_SIZE;

/// The longest reason of [`ToMaster::Retire`] and [`ToMaster::Unusable`], in bytes of UTF-8.
pub const MAX_REASON: usize = 4096;

pub(crate) fn write_greeting(version: u16, capabilities: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&capabilities.to_le_bytes());
}

pub(crate) fn read_greeting(body: &[u8]) -> Option<(u16, u32)> {
    let mut fields = Reader::new(body);
    let greeting = (fields.u16()?, fields.u32()?);
    fields.finish(greeting)
}
