//! What the master and a native worker say to each other.
//!
//! The frames are those of [`crate::frame`], at most [`MAX_FRAME`] bytes each. The two directions
//! use kinds that do not overlap, so that a frame sent the wrong way is refused, not misread.
//!
//! The worker opens with [`ToMaster::Hello`], the master answers [`ToWorker::Welcome`]; each
//! carries its version and a set of capability bits, of which both sides use the intersection.

use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::Reader;
use crate::text::truncate;

pub use crate::frame::Decoder;

/// Version of this protocol, sent in [`ToMaster::Hello`] and [`ToWorker::Welcome`].
pub const VERSION: u16 = 1;

/// The longest frame with its header, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// The longest payload of a user message, in bytes. Larger ones travel as a descriptor.
pub const MAX_USER: usize = MAX_FRAME - frame::HEADER_SIZE;

/// The longest reason of [`ToMaster::Retire`], in bytes of UTF-8.
pub const MAX_REASON: usize = 4096;

/// From a worker to the master.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToMaster {
    /// The worker's event loop turns.
    Beat,
    /// The worker needs longer than configured until it is ready.
    BootExtend {
        /// How much longer from now, in milliseconds.
        millis: u32,
    },
    /// The worker's load; sent on change, at most every 10 ms.
    Counters {
        /// Connections open now.
        open: u32,
        /// Connections, or requests where the worker counts them, finished since its start.
        served: u64,
        /// How busy the event loop is, in thousandths.
        busy: u32,
    },
    /// The first frame.
    Hello {
        /// The worker's [`VERSION`].
        version: u16,
        /// What the worker can do beyond that version, one bit each.
        capabilities: u32,
    },
    /// The worker can take connections.
    Ready,
    /// The worker is about to end and wants a replacement now.
    Retire {
        /// Why, for the log. What exceeds [`MAX_REASON`] is cut off when it is encoded.
        reason: String,
    },
    /// A message of the application.
    User(Vec<u8>),
}

/// From the master to a worker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToWorker {
    /// No connection comes any more: finish what is open, then end.
    Drain {
        /// Why.
        reason: DrainReason,
        /// How long the worker has before it is killed, in milliseconds.
        grace_millis: u32,
    },
    /// Another worker died or stopped; what it left in a shared listener's queue is yours.
    Nudge,
    /// A message of the application.
    User(Vec<u8>),
    /// The answer to [`ToMaster::Hello`].
    Welcome {
        /// The master's [`VERSION`].
        version: u16,
        /// What the master can do beyond that version, one bit each.
        capabilities: u32,
    },
}

/// Why a worker drains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum DrainReason {
    /// The application stops.
    Stop = 1,
    /// The worker announced its end itself.
    Retired = 2,
    /// A planned replacement: age, requests, memory, or a new generation.
    Recycle = 3,
    /// Fewer workers are wanted.
    ScaledDown = 4,
}

impl DrainReason {
    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(DrainReason::Stop),
            2 => Some(DrainReason::Retired),
            3 => Some(DrainReason::Recycle),
            4 => Some(DrainReason::ScaledDown),
            _ => None,
        }
    }
}

mod kind {
    pub(super) const HELLO: u16 = 0x0001;
    pub(super) const READY: u16 = 0x0002;
    pub(super) const BEAT: u16 = 0x0003;
    pub(super) const COUNTERS: u16 = 0x0004;
    pub(super) const RETIRE: u16 = 0x0005;
    pub(super) const BOOT_EXTEND: u16 = 0x0006;
    pub(super) const USER_TO_MASTER: u16 = 0x0007;

    pub(super) const WELCOME: u16 = 0x0101;
    pub(super) const DRAIN: u16 = 0x0102;
    pub(super) const NUDGE: u16 = 0x0103;
    pub(super) const USER_TO_WORKER: u16 = 0x0104;
}

impl ToMaster {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] when a user message exceeds [`MAX_USER`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }
}

impl ToWorker {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] when a user message exceeds [`MAX_USER`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }
}

impl Message for ToMaster {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        match self {
            ToMaster::Beat => (kind::BEAT, Necessity::Mandatory),
            ToMaster::BootExtend { .. } => (kind::BOOT_EXTEND, Necessity::Optional),
            ToMaster::Counters { .. } => (kind::COUNTERS, Necessity::Optional),
            ToMaster::Hello { .. } => (kind::HELLO, Necessity::Mandatory),
            ToMaster::Ready => (kind::READY, Necessity::Mandatory),
            ToMaster::Retire { .. } => (kind::RETIRE, Necessity::Mandatory),
            ToMaster::User(_) => (kind::USER_TO_MASTER, Necessity::Mandatory),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            ToMaster::Beat | ToMaster::Ready => {}
            ToMaster::BootExtend { millis } => out.extend_from_slice(&millis.to_le_bytes()),
            ToMaster::Counters { open, served, busy } => {
                out.extend_from_slice(&open.to_le_bytes());
                out.extend_from_slice(&served.to_le_bytes());
                out.extend_from_slice(&busy.to_le_bytes());
            }
            ToMaster::Hello {
                version,
                capabilities,
            } => {
                write_greeting(*version, *capabilities, out);
            }
            ToMaster::Retire { reason } => {
                out.extend_from_slice(truncate(reason, MAX_REASON).as_bytes());
            }
            ToMaster::User(payload) => out.extend_from_slice(payload),
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::BEAT => Reader::new(body).finish(ToMaster::Beat),
            kind::BOOT_EXTEND => read_boot_extend(body),
            kind::COUNTERS => read_counters(body),
            kind::HELLO => read_greeting(body).map(|(version, capabilities)| ToMaster::Hello {
                version,
                capabilities,
            }),
            kind::READY => Reader::new(body).finish(ToMaster::Ready),
            kind::RETIRE => read_retire(body),
            kind::USER_TO_MASTER => Some(ToMaster::User(body.to_vec())),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

impl Message for ToWorker {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        match self {
            ToWorker::Drain { .. } => (kind::DRAIN, Necessity::Mandatory),
            ToWorker::Nudge => (kind::NUDGE, Necessity::Optional),
            ToWorker::User(_) => (kind::USER_TO_WORKER, Necessity::Mandatory),
            ToWorker::Welcome { .. } => (kind::WELCOME, Necessity::Mandatory),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            ToWorker::Drain {
                reason,
                grace_millis,
            } => {
                out.push(*reason as u8);
                out.extend_from_slice(&grace_millis.to_le_bytes());
            }
            ToWorker::Nudge => {}
            ToWorker::User(payload) => out.extend_from_slice(payload),
            ToWorker::Welcome {
                version,
                capabilities,
            } => {
                write_greeting(*version, *capabilities, out);
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::DRAIN => read_drain(body),
            kind::NUDGE => Reader::new(body).finish(ToWorker::Nudge),
            kind::USER_TO_WORKER => Some(ToWorker::User(body.to_vec())),
            kind::WELCOME => read_greeting(body).map(|(version, capabilities)| ToWorker::Welcome {
                version,
                capabilities,
            }),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn write_greeting(version: u16, capabilities: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&capabilities.to_le_bytes());
}

fn read_greeting(body: &[u8]) -> Option<(u16, u32)> {
    let mut fields = Reader::new(body);
    let greeting = (fields.u16()?, fields.u32()?);
    fields.finish(greeting)
}

fn read_boot_extend(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let message = ToMaster::BootExtend {
        millis: fields.u32()?,
    };
    fields.finish(message)
}

fn read_counters(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let (open, served, busy) = (fields.u32()?, fields.u64()?, fields.u32()?);
    fields.finish(ToMaster::Counters { open, served, busy })
}

fn read_retire(body: &[u8]) -> Option<ToMaster> {
    if body.len() > MAX_REASON {
        return None;
    }
    let reason = std::str::from_utf8(body).ok()?.to_owned();
    Some(ToMaster::Retire { reason })
}

fn read_drain(body: &[u8]) -> Option<ToWorker> {
    let mut fields = Reader::new(body);
    let reason = DrainReason::from_number(fields.u8()?)?;
    let message = ToWorker::Drain {
        reason,
        grace_millis: fields.u32()?,
    };
    fields.finish(message)
}
