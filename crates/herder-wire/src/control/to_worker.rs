//! What the master says to a worker.

use super::{MAX_FRAME, read_greeting, write_greeting};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::{Reader, read_number};

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
    /// A new link to a gateway: the one descriptor of the same packet, in which no other such frame
    /// is. It replaces the earlier one.
    Link {
        /// Incarnation of the gateway.
        gateway: u64,
    },
    /// Another worker died or stopped; what it left in a shared listener's queue is yours.
    Nudge,
    /// Accept no connection from a shared listener until [`ToWorker::Resume`]; what is open goes on.
    /// Sent to a worker that has been replaced, as long as it may be needed again.
    Pause,
    /// The end of [`ToWorker::Pause`]. Changes nothing for who does not pause.
    Resume,
    /// Another master has taken over: say [`ToMaster::State`](super::ToMaster::State).
    Resync,
    /// A message of the application.
    User(Vec<u8>),
    /// The answer to [`ToMaster::Hello`](super::ToMaster::Hello).
    Welcome {
        /// The master's [`VERSION`](super::VERSION).
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
    /// A planned replacement: age, requests or memory.
    Recycle = 3,
    /// Fewer workers are wanted.
    ScaledDown = 4,
    /// The worker got the last of the jobs that it was to get in its life.
    Exhausted = 5,
    /// A newer generation is in service.
    Replaced = 6,
    /// Its generation is not good: an older one goes on.
    RolledBack = 7,
}

impl DrainReason {
    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(DrainReason::Stop),
            2 => Some(DrainReason::Retired),
            3 => Some(DrainReason::Recycle),
            4 => Some(DrainReason::ScaledDown),
            5 => Some(DrainReason::Exhausted),
            6 => Some(DrainReason::Replaced),
            7 => Some(DrainReason::RolledBack),
            _ => None,
        }
    }
}

mod kind {
    pub(super) const WELCOME: u16 = 0x0101;
    pub(super) const DRAIN: u16 = 0x0102;
    pub(super) const NUDGE: u16 = 0x0103;
    pub(super) const USER_TO_WORKER: u16 = 0x0104;
    pub(super) const LINK: u16 = 0x0105;
    pub(super) const PAUSE: u16 = 0x0106;
    pub(super) const RESUME: u16 = 0x0107;
    pub(super) const RESYNC: u16 = 0x0108;
}

impl ToWorker {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] when a user message exceeds [`MAX_USER`](super::MAX_USER).
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }
}

impl Message for ToWorker {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        match self {
            ToWorker::Drain { .. } => (kind::DRAIN, Necessity::Mandatory),
            ToWorker::Link { .. } => (kind::LINK, Necessity::Mandatory),
            ToWorker::Nudge => (kind::NUDGE, Necessity::Optional),
            ToWorker::Pause => (kind::PAUSE, Necessity::Mandatory),
            ToWorker::Resume => (kind::RESUME, Necessity::Mandatory),
            ToWorker::Resync => (kind::RESYNC, Necessity::Mandatory),
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
            ToWorker::Link { gateway } => out.extend_from_slice(&gateway.to_le_bytes()),
            ToWorker::Nudge | ToWorker::Pause | ToWorker::Resume | ToWorker::Resync => {}
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
            kind::LINK => read_number(body).map(|gateway| ToWorker::Link { gateway }),
            kind::NUDGE => Reader::new(body).finish(ToWorker::Nudge),
            kind::PAUSE => Reader::new(body).finish(ToWorker::Pause),
            kind::RESUME => Reader::new(body).finish(ToWorker::Resume),
            kind::RESYNC => Reader::new(body).finish(ToWorker::Resync),
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

fn read_drain(body: &[u8]) -> Option<ToWorker> {
    let mut fields = Reader::new(body);
    let reason = DrainReason::from_number(fields.u8()?)?;
    let message = ToWorker::Drain {
        reason,
        grace_millis: fields.u32()?,
    };
    fields.finish(message)
}
