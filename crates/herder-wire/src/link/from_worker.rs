//! What a worker says to a gateway.

use super::body::{self, Body, Kind};
use super::{MAX_ERROR, MAX_FRAME};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::{Reader, read_number};
use crate::text::truncate;

/// From a worker to a gateway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FromWorker {
    /// The first frame.
    Hello {
        /// The worker's [`VERSION`](super::VERSION).
        version: u16,
        /// Jobs that the worker has started in its whole life, those of earlier links included.
        started: u32,
    },
    /// The worker begins with this job; from now on it cannot go to another one.
    Started {
        /// Number of the job within its gateway.
        job: u64,
    },
    /// A message for the client of this job.
    Reply {
        /// Number of the job within its gateway.
        job: u64,
        /// What the message is made of.
        kind: Kind,
        /// The message.
        body: Body,
    },
    /// The job is done.
    Finished {
        /// Number of the job within its gateway.
        job: u64,
    },
    /// The job came to an end that it should not have come to.
    Failed {
        /// Number of the job within its gateway.
        job: u64,
        /// Why, for the log. What exceeds [`MAX_ERROR`] is cut off when it is encoded.
        error: String,
    },
}

mod kind {
    pub(super) const HELLO: u16 = 0x0501;
    pub(super) const STARTED: u16 = 0x0502;
    pub(super) const REPLY: u16 = 0x0503;
    pub(super) const FINISHED: u16 = 0x0504;
    pub(super) const FAILED: u16 = 0x0505;
}

impl FromWorker {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadBody`] for a message that is too long or empty for where it is, and for
    /// inline text that is not UTF-8.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }
}

impl Message for FromWorker {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        let kind = match self {
            FromWorker::Hello { .. } => kind::HELLO,
            FromWorker::Started { .. } => kind::STARTED,
            FromWorker::Reply { .. } => kind::REPLY,
            FromWorker::Finished { .. } => kind::FINISHED,
            FromWorker::Failed { .. } => kind::FAILED,
        };
        (kind, Necessity::Mandatory)
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            FromWorker::Hello { version, started } => {
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&started.to_le_bytes());
            }
            FromWorker::Started { job } | FromWorker::Finished { job } => {
                out.extend_from_slice(&job.to_le_bytes());
            }
            FromWorker::Reply { job, kind, body } => {
                out.extend_from_slice(&job.to_le_bytes());
                body::write(*kind, body, out).ok_or(FrameError::BadBody { kind: kind::REPLY })?;
            }
            FromWorker::Failed { job, error } => {
                out.extend_from_slice(&job.to_le_bytes());
                out.extend_from_slice(truncate(error, MAX_ERROR).as_bytes());
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::HELLO => read_hello(body),
            kind::STARTED => read_number(body).map(|job| FromWorker::Started { job }),
            kind::REPLY => read_reply(body),
            kind::FINISHED => read_number(body).map(|job| FromWorker::Finished { job }),
            kind::FAILED => read_failed(body),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn read_hello(body: &[u8]) -> Option<FromWorker> {
    let mut fields = Reader::new(body);
    let message = FromWorker::Hello {
        version: fields.u16()?,
        started: fields.u32()?,
    };
    fields.finish(message)
}

fn read_reply(body: &[u8]) -> Option<FromWorker> {
    let mut fields = Reader::new(body);
    let job = fields.u64()?;
    let (kind, body) = body::read(&mut fields)?;
    Some(FromWorker::Reply { job, kind, body })
}

fn read_failed(body: &[u8]) -> Option<FromWorker> {
    let mut fields = Reader::new(body);
    let job = fields.u64()?;
    let error = fields.remainder();
    if error.len() > MAX_ERROR {
        return None;
    }
    let error = std::str::from_utf8(error).ok()?.to_owned();
    Some(FromWorker::Failed { job, error })
}
