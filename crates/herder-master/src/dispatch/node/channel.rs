//! The master's end of one worker's channel: lines both ways, and descriptors beside them.
//!
//! The worker is not trusted: what it does not read is bounded, what it sends unasked is closed, and
//! a line that no Node writes is the end of the conversation.

mod fault;
mod succession;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_sys::socket::{self, Wait};
use herder_wire::node::{Decoder, Framing, FromNode, READ_SIZE, ToNode, UserValue};
use serde::{Deserialize, Serialize};

use super::exchange::MAX_PORTS;

/// What waits for a worker that does not read, in bytes: of what is the master's own to say.
const MAX_UNSENT: usize = 1024 * 1024;

/// And of messages of programs, besides. (A single longer one may wait, too.)
const MAX_UNSENT_MAIL: usize = 1024 * 1024;

/// And of descriptors: as many as there are listeners that a worker may have. They are the master's own
/// until they are sent.
const MAX_UNSENT_HANDLES: usize = MAX_PORTS;

/// How often descriptors may come that belong to nothing.
const FORGIVEN: u32 = 8;

/// How many bytes one reading takes: what Node itself takes.
pub(super) const ROOM: usize = READ_SIZE;

pub(super) use fault::Fault;
use succession::Cut;
pub(super) use succession::{ChannelState, CutNews, Progress};

/// One worker's channel.
pub(super) struct Channel {
    socket: OwnedFd,
    decoder: Decoder,
    unsent: VecDeque<Line>,
    /// How many bytes wait: of the master's own, and of programs.
    unsent_bytes: usize,
    unsent_mail: usize,
    /// How many descriptors wait.
    unsent_handles: usize,
    /// How many bytes were written in all, and how many of them the worker is known to have read.
    written: u64,
    known_read: u64,
    /// Envelopes that the worker has not answered, oldest first.
    unanswered: VecDeque<Envelope>,
    /// Whether those are all that it has to answer.
    grasp: Grasp,
    /// It has received what the last master had said, since this was last asked.
    has_settled: bool,
    /// Of the first line that waits the beginning was written.
    cut: Option<Cut>,
    /// The number of the last such line.
    last_cut: u32,
    /// What is to be noted of it.
    cut_news: Option<CutNews>,
    /// How many bytes of what was read are still in the socket: they are taken when all is done that they
    /// ask for.
    looked_at: usize,
    arrival: Arrival,
    uninvited: u32,
    /// Sending waits although the socket has room: too many descriptors are on their way.
    crowded: bool,
    /// Where a line is written before it is sent.
    draft: Vec<u8>,
}

/// What is still to be written of a line.
struct Line {
    bytes: Vec<u8>,
    /// It goes with the first byte.
    parcel: Option<Parcel>,
    author: Author,
}

/// A descriptor that goes with a line.
pub(super) struct Parcel {
    pub(super) descriptor: OwnedFd,
    pub(super) of: Goods,
}

/// What a descriptor is a duplicate of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Goods {
    /// The herd's own listener at this place.
    Gift(usize),
    /// The listener of this key.
    Port(u64),
}

/// Whether it is known which envelopes the worker has to answer. Answers have no names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Grasp {
    /// They are all our own.
    Certain,
    /// Envelopes of the last master's may lie in the channel, un-received.
    Unread,
    /// All of the last master's were received, and may not be answered yet.
    Unanswered,
}

/// How a channel is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// What is read stays in the socket until it was [done](Channel::done): if this process dies before
    /// that, the next one reads it again.
    Careful,
    Plain,
}

/// Where reading stands within the worker's lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standpoint {
    BetweenLines,
    WithinEnvelope,
    WithinLine,
}

/// Whose words a line has.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Author {
    Master,
    Program,
}

/// A message with a descriptor that is under way.
struct Envelope {
    /// How many bytes were written up to its end.
    end: u64,
    /// Its number, if it is a connection's.
    conn: Option<u64>,
}

/// Whether a descriptor has come that no envelope was read of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    None,
    Waits,
}

/// What the worker has said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The oldest envelope has arrived.
    Acknowledged,
    /// The oldest envelope came without its descriptor. If it was a connection's, this is its number.
    Lost(Option<u64>),
    /// Anything else. An envelope of its own was answered, and its descriptor closed.
    Message(FromNode),
}

/// How a channel stands after a reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// Nobody writes any more.
    Ended,
    /// There may be more.
    Goes,
    /// There is nothing more for now.
    Quiet,
}

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> Channel {
        Channel {
            socket,
            decoder: Decoder::new(),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            unsent_mail: 0,
            unsent_handles: 0,
            written: 0,
            known_read: 0,
            unanswered: VecDeque::new(),
            grasp: Grasp::Certain,
            has_settled: false,
            cut: None,
            last_cut: 0,
            cut_news: None,
            looked_at: 0,
            arrival: Arrival::None,
            uninvited: 0,
            crowded: false,
            draft: Vec::new(),
        }
    }

    /// Gives the socket back.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Whether a descriptor has come whose envelope has not: an answer is owed soon.
    pub(super) fn has_arrival(&self) -> bool {
        self.arrival == Arrival::Waits
    }

    /// The end to watch.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether it waits until the worker reads. (An envelope may wait for an answer instead.)
    pub(super) fn wants_room(&self) -> bool {
        let next = self.unsent.front();
        next.is_some_and(|line| !self.crowded && !self.must_wait(line))
    }

    /// Whether it waits until others have received descriptors, which no event tells.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Says something, now or when the worker reads again.
    pub(super) fn say(
        &mut self,
        message: &ToNode<'_>,
        parcel: Option<Parcel>,
    ) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        message.encode(self.decoder.framing(), &mut bytes);
        if self.unsent_bytes + bytes.len() > MAX_UNSENT && self.unsent_bytes > 0 {
            return Err(Fault::Deaf);
        }
        if parcel.is_some() {
            if self.unsent_handles >= MAX_UNSENT_HANDLES {
                return Err(Fault::Deaf);
            }
            self.unsent_handles += 1;
        }
        self.unsent_bytes += bytes.len();
        self.unsent.push_back(Line {
            bytes,
            parcel,
            author: Author::Master,
        });
        self.flush();
        Ok(())
    }

    /// Says what another program says, now or when the worker reads again. Returns whether there is room
    /// for it: nobody is given up who does not read what others say.
    pub(super) fn relay(&mut self, message: &UserValue) -> bool {
        let mut bytes = Vec::new();
        ToNode::User(message).encode(self.decoder.framing(), &mut bytes);
        if self.unsent_mail + bytes.len() > MAX_UNSENT_MAIL && self.unsent_mail > 0 {
            return false;
        }
        self.unsent_mail += bytes.len();
        self.unsent.push_back(Line {
            bytes,
            parcel: None,
            author: Author::Program,
        });
        self.flush();
        true
    }

    /// How many messages of the program were too long to be heard, since this was last asked.
    pub(super) fn take_skipped(&mut self) -> u64 {
        self.decoder.take_skipped()
    }

    /// How the worker marks its lines, which tells its engine.
    pub(super) fn framing(&self) -> Framing {
        self.decoder.framing()
    }

    /// Hands a connection over now, or not at all: then it stays the caller's. `seq` is the number that
    /// the verdict will name.
    pub(super) fn pass(
        &mut self,
        key: &str,
        seq: u64,
        connection: BorrowedFd<'_>,
    ) -> io::Result<()> {
        if self.decoder.framing() == Framing::Bun {
            // It listens for itself and would not know what to do with it.
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.look_after_reading();
        let mut draft = std::mem::take(&mut self.draft);
        draft.clear();
        ToNode::NewConnection { key, seq }.encode(Framing::Node, &mut draft);
        let sent = if self.unsent.is_empty() && self.may_send_envelope(draft.len()) {
            socket::send(self.socket.as_fd(), &draft, &[connection])
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        };
        if let Ok(length) = sent {
            self.note_envelope(draft.len(), Some(seq));
            self.written += length as u64;
            if length < draft.len() {
                // The descriptor has gone with the first byte; the rest goes before anything else.
                let bytes = draft[length..].to_vec();
                self.unsent_bytes += bytes.len();
                self.unsent.push_back(Line {
                    bytes,
                    parcel: None,
                    author: Author::Master,
                });
                self.note_cut(length);
            }
        }
        self.draft = draft;
        sent.map(drop)
    }

    /// Writes what waits, as far as the worker reads.
    pub(super) fn flush(&mut self) {
        self.crowded = false;
        self.look_after_reading();
        while let Some(line) = self.unsent.front() {
            if self.must_wait(line) {
                return;
            }
            let parcel = line.parcel.as_ref();
            let descriptor = parcel.map(|it| it.descriptor.as_fd());
            let sent = socket::send(self.socket.as_fd(), &line.bytes, descriptor.as_slice());
            match sent {
                Ok(length) => self.note_sent(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if socket::is_too_many_refs(&error) => {
                    self.crowded = true;
                    return;
                }
                // Nobody reads any more; the end will be read.
                Err(_) => {
                    self.unsent.clear();
                    self.cut = None;
                    self.unsent_bytes = 0;
                    self.unsent_mail = 0;
                    self.unsent_handles = 0;
                    return;
                }
            }
        }
    }

    /// Reads once into `room`, which holds [`ROOM`] bytes. [`Channel::hear`] is to be called until it
    /// gives nothing before the next reading.
    pub(super) fn read(&mut self, room: &mut [u8], care: Care) -> Result<Reading, Fault> {
        if care == Care::Careful
            && let Some(reading) = self.look(room)
        {
            return Ok(reading);
        }
        let mut none = Vec::new();
        let received =
            match socket::receive(self.socket.as_fd(), room, &mut none, 0, Wait::DontWait) {
                Ok(received) => received,
                Err(error) => {
                    let kind = error.kind();
                    return if kind == io::ErrorKind::WouldBlock {
                        Ok(Reading::Quiet)
                    } else if kind == io::ErrorKind::ConnectionReset {
                        // It ended without having read our last words; that is no fault of its.
                        Ok(Reading::Ended)
                    } else {
                        Err(Fault::System(kind))
                    };
                }
            };
        if received.descriptors_lost {
            if self.arrival == Arrival::Waits {
                self.uninvited += 1;
            }
            if self.uninvited > FORGIVEN {
                return Err(Fault::Uninvited);
            }
            self.arrival = Arrival::Waits;
        }
        if received.len == 0 {
            return Ok(Reading::Ended);
        }
        self.decoder.push(&room[..received.len]);
        Ok(if received.len < room.len() && !received.descriptors_lost {
            Reading::Quiet
        } else {
            Reading::Goes
        })
    }

    /// The next thing that it said.
    pub(super) fn hear(&mut self) -> Result<Option<Heard>, Fault> {
        let Some(message) = self.decoder.next()? else {
            return Ok(None);
        };
        let message = match message {
            FromNode::Acknowledged => {
                self.answered();
                return Ok(Some(Heard::Acknowledged));
            }
            FromNode::NotReceived => return Ok(Some(Heard::Lost(self.answered()))),
            FromNode::Handle { inner, .. } => {
                // It holds everything else back until it hears of it.
                let answer = match std::mem::replace(&mut self.arrival, Arrival::None) {
                    Arrival::Waits => ToNode::Acknowledged,
                    Arrival::None => ToNode::NotReceived,
                };
                self.say(&answer, None)?;
                *inner
            }
            FromNode::Verdict { ack, accepted } => {
                self.note_verdict(ack);
                FromNode::Verdict { ack, accepted }
            }
            message @ (FromNode::Close { .. }
            | FromNode::ExitedAfterDisconnect { .. }
            | FromNode::Internal
            | FromNode::Listening { .. }
            | FromNode::Online
            | FromNode::Query { .. }
            | FromNode::SocketCountAsked { .. }
            | FromNode::SocketsClosedAsked { .. }
            | FromNode::User(_)) => message,
        };
        Ok(Some(Heard::Message(message)))
    }

    /// A worker keeps one descriptor only, the newest that came, so that no reading of its may end
    /// within an envelope while another one is behind it.
    fn may_send_envelope(&self, length: usize) -> bool {
        let unread = self.written - self.known_read + length as u64;
        match self.grasp {
            Grasp::Certain => self.unanswered.is_empty() || unread < READ_SIZE as u64,
            Grasp::Unanswered => unread < READ_SIZE as u64,
            Grasp::Unread => false,
        }
    }

    fn must_wait(&self, line: &Line) -> bool {
        line.parcel.is_some() && !self.may_send_envelope(line.bytes.len())
    }

    fn note_envelope(&mut self, length: usize, conn: Option<u64>) {
        let end = self.written + length as u64;
        self.unanswered.push_back(Envelope { end, conn });
    }

    /// So much of the first line has gone, and its descriptor with it.
    fn note_sent(&mut self, length: usize) {
        let Some(mut line) = self.unsent.pop_front() else {
            return;
        };
        if line.parcel.take().is_some() {
            self.unsent_handles -= 1;
            self.note_envelope(line.bytes.len(), None);
        }
        self.written += length as u64;
        match line.author {
            Author::Master => self.unsent_bytes -= length,
            Author::Program => self.unsent_mail -= length,
        }
        if length < line.bytes.len() {
            line.bytes.drain(..length);
            self.unsent.push_front(line);
            self.note_cut(length);
        } else {
            self.note_end_of_cut(length);
        }
    }

    /// The oldest envelope is answered, and all that was written before it is read. Returns the number
    /// of its connection.
    fn answered(&mut self) -> Option<u64> {
        if self.grasp != Grasp::Certain {
            // It may be the answer to one of the last master's.
            self.flush();
            return None;
        }
        // An answer to nothing changes nothing.
        let envelope = self.unanswered.pop_front()?;
        self.known_read = envelope.end;
        self.flush();
        envelope.conn
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
