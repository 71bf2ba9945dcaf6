//! What a worker says on its link, packet by packet.
//!
//! A worker is not trusted: whatever it sends is a message of its protocol, or a [`LinkFault`] that
//! costs it its link.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use herder_core::JobId;
use herder_sys::memory;
use herder_sys::socket::Received;
use herder_wire::frame::FrameError;
use herder_wire::link::{Body, Decoder, FromWorker, Kind, MAX_FRAME, MAX_MESSAGE, VERSION};

use crate::hub::Message;

/// One thing that a worker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is there, and has started so many jobs in its life.
    Hello { started: u32 },
    /// It begins with a job.
    Started { job: JobId },
    /// A message for the job's client; `None` = it was lost on its way into this process.
    Reply {
        job: JobId,
        message: Option<Message>,
    },
    /// It has finished a job.
    Finished { job: JobId },
    /// It could not do a job.
    Failed { job: JobId, error: String },
}

impl Heard {
    /// How many bytes it holds for a client.
    pub(crate) fn length(&self) -> usize {
        match self {
            Heard::Reply { message, .. } => message.as_ref().map_or(0, |it| it.bytes.len()),
            Heard::Failed { .. }
            | Heard::Finished { .. }
            | Heard::Hello { .. }
            | Heard::Started { .. } => 0,
        }
    }
}

/// How a worker broke the protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkFault {
    #[error("it sent descriptors that nobody asked for")]
    Descriptors,
    #[error("it ended its link")]
    Ended,
    #[error("it sent nonsense: {0}")]
    Frame(#[from] FrameError),
    #[error("it said hello twice")]
    Greeting,
    #[error("it sent half a frame")]
    Half,
    #[error("its link failed: {0}")]
    Io(#[from] io::Error),
    #[error("it sent a packet of more than {MAX_FRAME} bytes")]
    Long,
    #[error("it sent a reply in memory that is not as announced: {0}")]
    Memory(io::Error),
    #[error("it announced a reply in memory and sent none")]
    Missing,
    #[error("it sent a text that is not UTF-8")]
    NotText,
    #[error("it did not say hello")]
    Unasked,
    #[error("it speaks version {0} of the link's protocol, and this gateway version {VERSION}")]
    Version(u16),
}

/// Turns a worker's packets into what it said.
#[derive(Debug, Default)]
pub(crate) struct Inlet {
    decoder: Decoder<FromWorker>,
    greeted: bool,
}

impl Inlet {
    /// Decodes a packet, and takes its descriptors out of `fds`.
    pub(crate) fn decode(
        &mut self,
        packet: &[u8],
        received: Received,
        fds: &mut Vec<OwnedFd>,
        heard: &mut Vec<Heard>,
    ) -> Result<(), LinkFault> {
        if received.len == 0 {
            return Err(LinkFault::Ended);
        }
        if received.data_truncated {
            return Err(LinkFault::Long);
        }
        self.decoder.push(packet);
        let (mut frames, mut memories) = (0, 0);
        while let Some(frame) = self.decoder.next()? {
            frames += 1;
            memories += usize::from(lies_in_memory(&frame));
            heard.push(self.take(frame, fds)?);
        }
        if !self.decoder.is_empty() {
            return Err(LinkFault::Half);
        }
        // What was asked for and could not be taken in is known by its frame.
        let uninvited = !fds.is_empty() || received.descriptors_lost && memories == 0;
        if uninvited || memories > 0 && frames > 1 {
            return Err(LinkFault::Descriptors);
        }
        let missing = |heard: &Heard| matches!(heard, Heard::Reply { message: None, .. });
        if memories > 0 && !received.descriptors_lost && heard.last().is_some_and(missing) {
            heard.pop();
            return Err(LinkFault::Missing);
        }
        Ok(())
    }

    fn take(&mut self, frame: FromWorker, fds: &mut Vec<OwnedFd>) -> Result<Heard, LinkFault> {
        if !self.greeted && !matches!(frame, FromWorker::Hello { .. }) {
            return Err(LinkFault::Unasked);
        }
        Ok(match frame {
            FromWorker::Hello { .. } if self.greeted => return Err(LinkFault::Greeting),
            FromWorker::Hello { version, .. } if version != VERSION => {
                return Err(LinkFault::Version(version));
            }
            FromWorker::Hello { started, .. } => {
                self.greeted = true;
                Heard::Hello { started }
            }
            FromWorker::Started { job } => Heard::Started { job: JobId(job) },
            FromWorker::Finished { job } => Heard::Finished { job: JobId(job) },
            FromWorker::Failed { job, error } => Heard::Failed {
                job: JobId(job),
                error,
            },
            FromWorker::Reply { job, kind, body } => Heard::Reply {
                job: JobId(job),
                message: message(kind, body, fds)?,
            },
        })
    }
}

fn lies_in_memory(frame: &FromWorker) -> bool {
    match frame {
        FromWorker::Reply { body, .. } => matches!(body, Body::Memory { .. }),
        FromWorker::Hello { .. }
        | FromWorker::Started { .. }
        | FromWorker::Finished { .. }
        | FromWorker::Failed { .. } => false,
    }
}

fn message(kind: Kind, body: Body, fds: &mut Vec<OwnedFd>) -> Result<Option<Message>, LinkFault> {
    let bytes = match body {
        // If it is text, the codec has made sure that it is UTF-8.
        Body::Inline(bytes) => bytes,
        Body::Memory { length } => match fds.pop() {
            Some(memory) => read(length, kind, &memory)?,
            None => return Ok(None),
        },
    };
    let bytes = Bytes::from(bytes);
    Ok(Some(Message { kind, bytes }))
}

fn read(length: u32, kind: Kind, memory: &OwnedFd) -> Result<Vec<u8>, LinkFault> {
    let bytes = memory::read_sealed(memory.as_fd(), MAX_MESSAGE).map_err(LinkFault::Memory)?;
    if bytes.len() != length as usize {
        let text = format!("{} bytes in place of {length}", bytes.len());
        return Err(LinkFault::Memory(io::Error::other(text)));
    }
    if kind == Kind::Text && std::str::from_utf8(&bytes).is_err() {
        return Err(LinkFault::NotText);
    }
    Ok(bytes)
}
