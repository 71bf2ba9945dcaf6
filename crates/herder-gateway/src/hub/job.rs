//! A message of a client, from its arrival to its end; and the client.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::{ClientId, Incarnation, JobId};
use herder_wire::frame::FrameError;
use herder_wire::gateway::Protocol;
use herder_wire::link::{Body, FromGateway, Kind, MAX_INLINE};

use crate::hub::link::seal;
use crate::hub::{Message, Place};

/// A client that is there.
pub(crate) struct Client {
    pub(crate) place: Place,
    pub(crate) protocol: Protocol,
    /// How many messages came from it.
    pub(crate) messages: u64,
    /// Those of its jobs that are not over.
    pub(crate) jobs: Vec<JobId>,
    /// Why nothing more is read from it, if so.
    stopped: BTreeSet<Cause>,
}

/// Why nothing more is read from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Messages of too many bytes wait in all.
    Bytes,
    /// It has enough unfinished jobs, or too many wait in all.
    Jobs,
}

/// A message on its way to, or with, a worker.
pub(crate) struct Job {
    pub(crate) client: ClientId,
    pub(crate) protocol: Protocol,
    /// Which message of its client it is, from 1.
    pub(crate) number: u64,
    /// Until nobody needs it any more.
    pub(crate) payload: Option<Payload>,
    /// Who has it.
    pub(crate) worker: Option<Incarnation>,
    pub(crate) going: Going,
    /// Whether somebody waits for it.
    pub(crate) awaited: Awaited,
}

/// Whether a job is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Going {
    /// It is not.
    No,
    /// It was assigned, and leaves at the end of the turn.
    Out,
    /// The same, and its payload is not needed after that.
    OutForGood,
}

/// Whether a job's client waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    Yes,
    /// The job is over, or the client is gone.
    No,
}

/// What a client said.
pub(crate) enum Payload {
    /// Still in this process.
    Own(Message),
    /// In memory that workers can read.
    Sealed {
        memory: OwnedFd,
        kind: Kind,
        length: u32,
    },
}

impl Client {
    pub(crate) fn new(place: Place, protocol: Protocol) -> Client {
        Client {
            place,
            protocol,
            messages: 0,
            jobs: Vec::new(),
            stopped: BTreeSet::new(),
        }
    }

    /// Has nothing more read from it. Says whether that is new.
    pub(crate) fn stop(&mut self, cause: Cause) -> bool {
        self.place.pause();
        self.stopped.insert(cause)
    }

    /// Has it read again, unless there is another cause not to.
    pub(crate) fn read_again(&mut self, cause: Cause) {
        if self.stopped.remove(&cause) && self.stopped.is_empty() {
            self.place.resume();
        }
    }
}

impl Job {
    /// Whether nothing more can come of it in this process.
    pub(crate) fn is_settled(&self) -> bool {
        self.awaited == Awaited::No && self.payload.is_none()
    }

    /// Appends the frame with which it goes to a worker.
    pub(crate) fn encode(&self, job: JobId, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let (kind, body) = match &self.payload {
            Some(Payload::Own(message)) => (message.kind, Body::Inline(message.bytes.to_vec())),
            Some(Payload::Sealed { kind, length, .. }) => (*kind, Body::Memory { length: *length }),
            None => (Kind::Bytes, Body::Memory { length: 0 }),
        };
        let frame = FromGateway::Job {
            job: job.0,
            client: self.client.0,
            protocol: self.protocol,
            kind,
            body,
        };
        frame.encode(out)
    }

    /// The descriptor that goes with it.
    pub(crate) fn memory(&self) -> Option<BorrowedFd<'_>> {
        match &self.payload {
            Some(Payload::Sealed { memory, .. }) => Some(memory.as_fd()),
            Some(Payload::Own(_)) | None => None,
        }
    }
}

impl Payload {
    /// How long the packet becomes, beside the header, in bytes.
    pub(crate) fn packet_length(&self) -> usize {
        match self {
            Payload::Own(message) => message.bytes.len(),
            Payload::Sealed { .. } => 0,
        }
    }

    /// How long the message is, in bytes.
    pub(crate) fn length(&self) -> usize {
        match self {
            Payload::Own(message) => message.bytes.len(),
            Payload::Sealed { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
        }
    }

    /// Makes it fit into a packet.
    pub(crate) fn pack(&mut self) -> io::Result<()> {
        if let Payload::Own(message) = self
            && message.bytes.len() > MAX_INLINE
        {
            *self = Payload::Sealed {
                memory: seal(&message.bytes)?,
                kind: message.kind,
                length: u32::try_from(message.bytes.len()).map_err(io::Error::other)?,
            };
        }
        Ok(())
    }
}
