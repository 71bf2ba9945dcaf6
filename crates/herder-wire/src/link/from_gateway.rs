//! What a gateway says to a worker.

use super::MAX_FRAME;
use super::body::{self, Body, Kind};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::gateway::Protocol;
use crate::reader::{Reader, read_number};

/// From a gateway to a worker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FromGateway {
    /// The first frame.
    Hello {
        /// The gateway's [`VERSION`](super::VERSION).
        version: u16,
    },
    /// A message of a client, to be worked on.
    Job {
        /// Number of the job within its gateway.
        job: u64,
        /// Number of the client within its gateway.
        client: u64,
        /// How the client talks.
        protocol: Protocol,
        /// What the message is made of.
        kind: Kind,
        /// The message.
        body: Body,
    },
    /// The client of this job is gone: nobody reads what is replied.
    Cancel {
        /// Number of the job within its gateway.
        job: u64,
    },
}

mod kind {
    pub(super) const HELLO: u16 = 0x0401;
    pub(super) const JOB: u16 = 0x0402;
    pub(super) const CANCEL: u16 = 0x0403;
}

impl FromGateway {
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

impl Message for FromGateway {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        match self {
            FromGateway::Hello { .. } => (kind::HELLO, Necessity::Mandatory),
            FromGateway::Job { .. } => (kind::JOB, Necessity::Mandatory),
            FromGateway::Cancel { .. } => (kind::CANCEL, Necessity::Optional),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            FromGateway::Hello { version } => out.extend_from_slice(&version.to_le_bytes()),
            FromGateway::Job {
                job,
                client,
                protocol,
                kind,
                body,
            } => {
                out.extend_from_slice(&job.to_le_bytes());
                out.extend_from_slice(&client.to_le_bytes());
                out.push(*protocol as u8);
                body::write(*kind, body, out).ok_or(FrameError::BadBody { kind: kind::JOB })?;
            }
            FromGateway::Cancel { job } => out.extend_from_slice(&job.to_le_bytes()),
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::HELLO => read_hello(body),
            kind::JOB => read_job(body),
            kind::CANCEL => read_number(body).map(|job| FromGateway::Cancel { job }),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn read_hello(body: &[u8]) -> Option<FromGateway> {
    let mut fields = Reader::new(body);
    let message = FromGateway::Hello {
        version: fields.u16()?,
    };
    fields.finish(message)
}

fn read_job(body: &[u8]) -> Option<FromGateway> {
    let mut fields = Reader::new(body);
    let (job, client) = (fields.u64()?, fields.u64()?);
    let protocol = Protocol::from_number(fields.u8()?)?;
    let (kind, body) = body::read(&mut fields)?;
    Some(FromGateway::Job {
        job,
        client,
        protocol,
        kind,
        body,
    })
}
