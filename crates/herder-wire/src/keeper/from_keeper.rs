//! What a keeper tells its master.

use super::{Key, MAX_FRAME};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::{Reader, read_u32};

/// From the keeper to the master.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FromKeeper {
    /// Everything was handed over.
    Complete {
        /// How many masters of this keeper have died.
        masters_died: u32,
    },
    /// A process has ended that an earlier master started.
    Exited {
        /// Its number.
        pid: i32,
        /// Its status, as `wait(2)` has it.
        status: i32,
    },
    /// The keeper knows what [`Rest`](super::ToKeeper::Rest) means.
    LetsRest,
    /// The packet's only descriptor is stored under this key.
    Stored {
        /// What it is called.
        key: Key,
        /// The process that it belongs to; 0 = none.
        pid: i32,
    },
}

mod kind {
    pub(super) const STORED: u16 = 0x0281;
    pub(super) const EXITED: u16 = 0x0282;
    pub(super) const COMPLETE: u16 = 0x0283;
    pub(super) const LETS_REST: u16 = 0x0284;
}

impl FromKeeper {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// None for what can be built; the frame's own otherwise.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }

    /// Decodes a packet; `None` when its kind is unknown and optional.
    ///
    /// # Errors
    ///
    /// Any [`FrameError`].
    pub fn decode(packet: &[u8]) -> Result<Option<FromKeeper>, FrameError> {
        frame::decode_one(packet)
    }
}

impl Message for FromKeeper {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        let kind = match self {
            FromKeeper::Complete { .. } => kind::COMPLETE,
            FromKeeper::Exited { .. } => kind::EXITED,
            FromKeeper::LetsRest => return (kind::LETS_REST, Necessity::Optional),
            FromKeeper::Stored { .. } => kind::STORED,
        };
        (kind, Necessity::Mandatory)
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            FromKeeper::Complete { masters_died } => {
                out.extend_from_slice(&masters_died.to_le_bytes());
            }
            FromKeeper::Exited { pid, status } => {
                out.extend_from_slice(&pid.to_le_bytes());
                out.extend_from_slice(&status.to_le_bytes());
            }
            FromKeeper::LetsRest => {}
            FromKeeper::Stored { key, pid } => {
                out.extend_from_slice(&pid.to_le_bytes());
                out.extend_from_slice(key.as_str().as_bytes());
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::COMPLETE => {
                read_u32(body).map(|masters_died| FromKeeper::Complete { masters_died })
            }
            kind::EXITED => read_exited(body),
            kind::LETS_REST => body.is_empty().then_some(FromKeeper::LetsRest),
            kind::STORED => read_stored(body),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn read_exited(body: &[u8]) -> Option<FromKeeper> {
    let mut fields = Reader::new(body);
    let (pid, status) = (fields.i32()?, fields.i32()?);
    fields.finish(FromKeeper::Exited { pid, status })
}

fn read_stored(body: &[u8]) -> Option<FromKeeper> {
    let mut fields = Reader::new(body);
    let pid = fields.i32()?;
    let key = Key::from_bytes(fields.remainder())?;
    Some(FromKeeper::Stored { key, pid })
}
