//! Connections that the master passes (`pass` mode).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_sys::epoll::{Epoll, Interest};
use herder_sys::failpoint;
use herder_sys::fd::Reserve;
use herder_sys::socket::{self, Wait};
use herder_wire::record::{MAX_BATCH, MAX_MESSAGE, Record, RecordKind};

use crate::worker::acceptor::{Arrival, Look};

/// The worker's end of its `conns` channel.
///
/// What lies in it un-received can be taken back by the master; what was received is ours alone.
/// So the next message is received only when the last was used up.
pub(crate) struct Conns {
    channel: OwnedFd,
    state: State,
    watched: Watched,
    reserve: Reserve,
    arrived: VecDeque<Arrival>,
    /// Kept for its memory.
    descriptors: Vec<OwnedFd>,
}

/// What can still come out of the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// The master has ended it: nothing comes any more.
    Withdrawn,
}

/// Whether the channel can wake us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watched {
    No,
    Yes,
}

impl Conns {
    pub(crate) fn new(channel: OwnedFd) -> io::Result<Conns> {
        Ok(Conns {
            channel,
            state: State::Open,
            watched: Watched::No,
            reserve: Reserve::new(MAX_BATCH)?,
            arrived: VecDeque::with_capacity(MAX_BATCH),
            descriptors: Vec::with_capacity(MAX_BATCH),
        })
    }

    pub(crate) fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Whether the master has ended the channel.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.state == State::Withdrawn
    }

    /// How many connections were received and not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.arrived.len()
    }

    /// A connection that was received before.
    pub(crate) fn received(&mut self) -> Option<Arrival> {
        self.arrived.pop_front()
    }

    /// The next connection, from the channel if need be.
    ///
    /// # Errors
    /// When the channel is unusable: it broke, or what came is no message of records.
    pub(crate) fn next(&mut self, epoll: &Epoll) -> io::Result<Look> {
        while self.arrived.is_empty() && self.state == State::Open {
            if self.reserve.refill() > 0 {
                return Ok(Look::NoDescriptors);
            }
            match self.receive() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Look::Nothing);
                }
                // The end of the channel, when the master died with it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.state = State::Withdrawn;
                }
                Err(error) => return Err(error),
            }
            if self.state == State::Withdrawn {
                // Readable for ever: it must not wake us any more.
                self.unwatch(epoll)?;
            }
        }
        Ok(self.received().map_or(Look::Nothing, Look::Arrived))
    }

    pub(crate) fn watch(&mut self, epoll: &Epoll, token: u64) -> io::Result<()> {
        if self.state == State::Open && self.watched == Watched::No {
            epoll.add(self.channel(), token, Interest::READABLE)?;
            self.watched = Watched::Yes;
        }
        Ok(())
    }

    pub(crate) fn unwatch(&mut self, epoll: &Epoll) -> io::Result<()> {
        if self.watched == Watched::Yes {
            epoll.remove(self.channel())?;
            self.watched = Watched::No;
        }
        Ok(())
    }

    /// Most looks find nothing, and most messages carry one connection. So the message is looked at before
    /// room is made for what it carries: a spare descriptor costs more than the look.
    fn receive(&mut self) -> io::Result<()> {
        let mut message = [0; MAX_MESSAGE];
        let channel = self.channel.as_fd();
        let records = match socket::peek(channel, &mut message, Wait::DontWait)? {
            0 => {
                self.state = State::Withdrawn;
                return Ok(());
            }
            len => len.div_ceil(Record::SIZE),
        };
        // Room for every descriptor of a message, even when the program has used up its own: a
        // descriptor that finds no place is lost, and the client with it. (The master may take the message
        // back between the two calls; what it sends then is shorter, unless it was to hold us and let us go
        // on all within that time.)
        self.reserve.release_some(records);
        let room = &mut self.descriptors;
        let got = socket::receive(channel, &mut message, room, MAX_BATCH, Wait::DontWait);
        self.reserve.refill();
        match got?.len {
            0 => self.state = State::Withdrawn,
            len => {
                failpoint::hit("worker.received");
                self.sort(&message[..len])?;
            }
        }
        Ok(())
    }

    fn sort(&mut self, message: &[u8]) -> io::Result<()> {
        let mut descriptors = self.descriptors.drain(..);
        let batch = Record::parse_all(message).map_err(io::Error::other)?;
        for record in batch {
            // Should a descriptor be lost all the same, its record has nothing to serve.
            if record.kind == RecordKind::Connection
                && let Some(fd) = descriptors.next()
            {
                self.arrived.push_back(Arrival {
                    fd,
                    listener: record.listener,
                    // Whoever passes it may have changed it.
                    is_now: None,
                });
            }
        }
        Ok(())
    }
}
