//! What a worker says to a gateway, ready to leave.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_sys::memory;
use herder_wire::link::{Body, FromWorker, Kind, MAX_INLINE, MAX_MESSAGE, VERSION};

use crate::jobs::reply::{Reply, ReplyError};

/// One packet: a frame or several, and the memory of a large message.
#[derive(Debug)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    memory: Option<OwnedFd>,
}

impl Packet {
    pub(crate) fn hello(started: u32) -> Packet {
        Packet::of(&[FromWorker::Hello {
            version: VERSION,
            started,
        }])
    }

    pub(crate) fn started(job: u64) -> Packet {
        Packet::of(&[FromWorker::Started { job }])
    }

    pub(crate) fn finished(job: u64) -> Packet {
        Packet::of(&[FromWorker::Finished { job }])
    }

    pub(crate) fn failed(job: u64, error: &str) -> Packet {
        let error = error.to_owned();
        Packet::of(&[FromWorker::Failed { job, error }])
    }

    /// # Errors
    /// [`ReplyError::TooLong`], and [`ReplyError::Io`] when there is no memory for a large one.
    pub(crate) fn reply(job: u64, reply: Reply) -> Result<Packet, ReplyError> {
        let Reply { kind, bytes } = reply;
        let length = bytes.len();
        if length <= MAX_INLINE {
            let body = Body::Inline(bytes);
            return Ok(Packet::of(&[FromWorker::Reply { job, kind, body }]));
        }
        let fits = u32::try_from(length).ok().filter(|_| length <= MAX_MESSAGE);
        let Some(announced) = fits else {
            return Err(ReplyError::TooLong { length });
        };
        let memory = memory::sealed(&bytes)?;
        let body = Body::Memory { length: announced };
        let mut packet = Packet::of(&[FromWorker::Reply { job, kind, body }]);
        packet.memory = Some(memory);
        Ok(packet)
    }

    /// Says in the same packet that the job is done, if that is possible.
    pub(crate) fn and_finished(mut self, job: u64) -> (Packet, Finish) {
        if self.memory.is_some() {
            return (self, Finish::Apart);
        }
        let finished = FromWorker::Finished { job };
        match finished.encode(&mut self.bytes) {
            Ok(()) => (self, Finish::Included),
            Err(_) => (self, Finish::Apart),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn memory(&self) -> Option<BorrowedFd<'_>> {
        self.memory.as_ref().map(AsFd::as_fd)
    }

    fn of(frames: &[FromWorker]) -> Packet {
        let mut bytes = Vec::with_capacity(64);
        for frame in frames {
            frame
                .encode(&mut bytes)
                .expect("what is inline is short enough, and a text is UTF-8 by its type");
        }
        Packet {
            bytes,
            memory: None,
        }
    }
}

/// Whether a packet says that the job is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finish {
    Apart,
    Included,
}

/// Whether a client that talks lines could read this as one line.
pub(crate) fn is_line(reply: &Reply) -> bool {
    !reply.bytes.contains(&b'\n')
}

/// What came as a message: text, or bytes.
#[derive(Debug)]
pub(crate) enum Payload {
    Bytes(Vec<u8>),
    Text(String),
}

impl Payload {
    /// # Errors
    /// What is wrong with it, when it is not what its kind says.
    pub(crate) fn new(kind: Kind, bytes: Vec<u8>) -> Result<Payload, String> {
        match kind {
            Kind::Bytes => Ok(Payload::Bytes(bytes)),
            Kind::Text => String::from_utf8(bytes)
                .map(Payload::Text)
                .map_err(|error| format!("a text message that is no text: {error}")),
        }
    }

    /// Reads a message that came as memory.
    ///
    /// # Errors
    /// What is wrong with it, or with this process.
    pub(crate) fn read(
        kind: Kind,
        length: u32,
        memory: Option<OwnedFd>,
    ) -> Result<Payload, String> {
        let Some(memory) = memory else {
            return Err("the process has no descriptor left for a large message".to_owned());
        };
        let read = memory::read_sealed(memory.as_fd(), MAX_MESSAGE);
        let bytes =
            read.map_err(|error: io::Error| format!("a message cannot be read: {error}"))?;
        if usize::try_from(length).ok() != Some(bytes.len()) {
            return Err("a message that is not as long as it says".to_owned());
        }
        Payload::new(kind, bytes)
    }
}
