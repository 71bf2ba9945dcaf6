//! The master's end of the control channel of a worker, of a library, or of the gateway.
//!
//! The other end is not trusted: what it sends is bounded in size and rate, what it does not read is
//! bounded in memory and descriptors, and a descriptor from it is never kept.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::socket::{self, Wait};
use herder_wire::control::{Decoder, MAX_FRAME, ToMaster};
use herder_wire::frame::{self, FrameError, Message};

use super::allowance::{Allowance, Pace};
use super::crew::MemberId;
use super::now;
use super::token::Source;
use crate::part::Part;

/// How many messages one turn reads from one worker, so that a loud one does not starve the rest.
const PER_TURN: usize = 64;

/// How many messages are read on behalf of somebody who waits for the last of them. A socket's buffer
/// holds less; what is put into it meanwhile must not keep the reader for ever.
const DRY: usize = 4096;

/// What waits for somebody who does not read, in bytes.
const MAX_UNSENT: usize = 1024 * 1024;

/// How many descriptors wait with it: two for each worker that a gateway can have, and as many for
/// those that leave.
const MAX_UNSENT_DESCRIPTORS: usize = 1024;

/// When too many descriptors of this user are on their way, sending is tried again after this.
const CROWDED: Duration = Duration::from_millis(10);

/// How many descriptors that nobody asked for are forgiven.
const FORGIVEN_DESCRIPTORS: u32 = 1;

/// A control channel.
pub(super) struct Control {
    socket: OwnedFd,
    token: u64,
    decoder: Decoder<ToMaster>,
    unsent: VecDeque<Packet>,
    unsent_bytes: usize,
    unsent_descriptors: usize,
    /// Sending waits until then, although the socket has room.
    crowded_until: Option<Tick>,
    uninvited: u32,
    allowance: Allowance,
    watched: Option<Interest>,
}

/// What one message will be.
struct Packet {
    bytes: Vec<u8>,
    /// They go with it, and are ours no more then.
    descriptors: Vec<OwnedFd>,
}

/// Why something is not going to be said.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsaid {
    #[error("it does not read what it is told")]
    Deaf,
    #[error("it cannot be told: {0}")]
    Frame(#[from] FrameError),
}

/// What one reading gave.
pub(super) struct Said {
    pub(super) frames: Vec<ToMaster>,
    pub(super) then: Reading,
}

/// How a channel stands after a reading.
pub(super) enum Reading {
    /// More may come.
    Goes,
    /// It has closed its end.
    Ended,
    /// It broke the protocol, in this way.
    Broken(String),
}

impl Control {
    /// A new channel, and the end that the member gets.
    pub(super) fn new(id: MemberId) -> io::Result<(Control, OwnedFd)> {
        let (socket, theirs) = socket::seqpacket_pair()?;
        // Older kernels cannot refuse them at the sender; then they are counted and closed here.
        let _unsupported = socket::refuse_descriptors(socket.as_fd());
        Ok((Control::adopt(id, socket), theirs))
    }

    /// The channel that another master had with this member.
    pub(super) fn adopt(id: MemberId, socket: OwnedFd) -> Control {
        Control {
            socket,
            token: Source::Control(id.part.number(), id.worker.incarnation).token(),
            decoder: Decoder::new(),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            unsent_descriptors: 0,
            crowded_until: None,
            uninvited: 0,
            allowance: Allowance::new(match id.part {
                Part::Gateway => Pace::EACH_JOB,
                Part::Library(_) | Part::Workers => Pace::NEWS,
            }),
            watched: None,
        }
    }

    /// The master's end.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads what has been said, within the allowance. `room` is lent for the bytes; it must hold
    /// [`MAX_FRAME`].
    pub(super) fn read(&mut self, now: Tick, room: &mut [u8]) -> Said {
        let mut said = Said {
            frames: Vec::new(),
            then: Reading::Goes,
        };
        for _ in 0..PER_TURN {
            if !self.allowance.take(now) || !self.read_one(room, &mut said) {
                return said;
            }
        }
        said
    }

    /// Reads all that has been said until now, even if it is more than the allowance.
    pub(super) fn read_dry(&mut self, room: &mut [u8]) -> Said {
        let mut said = Said {
            frames: Vec::new(),
            then: Reading::Goes,
        };
        for _ in 0..DRY {
            if !self.read_one(room, &mut said) {
                return said;
            }
        }
        said
    }

    /// Whether there may be more.
    fn read_one(&mut self, room: &mut [u8], said: &mut Said) -> bool {
        said.then = match self.receive(room, &mut said.frames) {
            Ok(Reading::Goes) => return true,
            Ok(other) => other,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Reading::Goes,
            // It ended without having read our last words; that is no fault of its.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Reading::Ended,
            Err(error) => Reading::Broken(format!("its channel failed: {error}")),
        };
        false
    }

    fn receive(&mut self, bytes: &mut [u8], frames: &mut Vec<ToMaster>) -> io::Result<Reading> {
        let fd = self.socket.as_fd();
        let received = socket::receive(fd, bytes, &mut Vec::new(), 0, Wait::DontWait)?;
        if received.descriptors_lost {
            self.uninvited += 1;
            if self.uninvited > FORGIVEN_DESCRIPTORS {
                return Ok(Reading::Broken(
                    "it sends descriptors that nobody asked for".into(),
                ));
            }
        }
        if received.len == 0 {
            return Ok(Reading::Ended);
        }
        if received.data_truncated {
            let problem = format!("it sent a message of more than {MAX_FRAME} bytes");
            return Ok(Reading::Broken(problem));
        }
        self.decoder.push(&bytes[..received.len]);
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) if self.decoder.is_empty() => return Ok(Reading::Goes),
                Ok(None) => return Ok(Reading::Broken("it sent half a frame".into())),
                Err(error) => return Ok(Reading::Broken(error.to_string())),
            }
        }
    }

    /// Sends a frame, now or when the other side reads again.
    pub(super) fn send<M: Message>(&mut self, message: &M) -> Result<(), Unsaid> {
        self.send_with(message, Vec::new())
    }

    /// Sends a frame with descriptors, alone in its packet, in order with everything else. They stay
    /// open until it has gone.
    pub(super) fn send_with<M: Message>(
        &mut self,
        message: &M,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Unsaid> {
        let mut bytes = Vec::new();
        frame::encode(message, &mut bytes)?;
        let (length, count) = (bytes.len(), descriptors.len());
        if self.unsent_bytes + length > MAX_UNSENT
            || self.unsent_descriptors + count > MAX_UNSENT_DESCRIPTORS
        {
            return Err(Unsaid::Deaf);
        }
        self.unsent_bytes += length;
        self.unsent_descriptors += count;
        self.unsent.push_back(Packet { bytes, descriptors });
        self.flush();
        Ok(())
    }

    /// Sends what waits, as far as it goes.
    pub(super) fn flush(&mut self) {
        self.crowded_until = None;
        while let Some(packet) = self.unsent.front() {
            let descriptors: Vec<BorrowedFd<'_>> =
                packet.descriptors.iter().map(AsFd::as_fd).collect();
            match socket::send(self.socket.as_fd(), &packet.bytes, &descriptors) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if socket::is_too_many_refs(&error) => {
                    self.crowded_until = Some(now().after(CROWDED));
                    return;
                }
                // Sent, or the process is gone and its exit tells so.
                Ok(_) | Err(_) => {
                    self.unsent_bytes -= packet.bytes.len();
                    self.unsent_descriptors -= packet.descriptors.len();
                    self.unsent.pop_front();
                }
            }
        }
    }

    /// Watches the channel for the first time.
    pub(super) fn watch(&mut self, epoll: &Epoll) -> io::Result<()> {
        epoll.add(self.socket.as_fd(), self.token, Interest::READABLE)?;
        self.watched = Some(Interest::READABLE);
        Ok(())
    }

    /// Watches for what the channel needs now. (Not for reading while it is throttled.)
    pub(super) fn rewatch(&mut self, epoll: &Epoll) {
        let Some(before) = self.watched else { return };
        let reading = if self.allowance.is_spent() {
            Interest::NONE
        } else {
            Interest::READABLE
        };
        let writing = if self.unsent.is_empty() || self.crowded_until.is_some() {
            Interest::NONE
        } else {
            Interest::WRITABLE
        };
        let wanted = reading | writing;
        if wanted != before
            && epoll
                .modify(self.socket.as_fd(), self.token, wanted)
                .is_ok()
        {
            self.watched = Some(wanted);
        }
    }

    /// Goes on with what rested until now.
    pub(super) fn resume(&mut self, epoll: &Epoll, now: Tick) {
        let sends = self.crowded_until.is_some_and(|at| at <= now);
        if sends {
            self.flush();
        }
        let reads = self.allowance.is_spent() && self.allowance.refilled(now);
        if sends || reads {
            self.rewatch(epoll);
        }
    }

    /// When what rests goes on.
    pub(super) fn resting_until(&self) -> Option<Tick> {
        self.watched?;
        let wishes = [self.allowance.resume_at(), self.crowded_until];
        wishes.into_iter().flatten().min()
    }

    /// Stops reading for good.
    pub(super) fn close(&mut self, epoll: &Epoll) {
        if self.watched.take().is_some() {
            // It was watched, and the descriptor is still open: this cannot fail.
            let _removed = epoll.remove(self.socket.as_fd());
        }
        self.allowance.rest_no_more();
    }
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot, WorkerId};
    use herder_wire::control::ToWorker;
    use herder_wire::gateway::ToGateway;

    use super::*;

    fn channel() -> (Control, OwnedFd) {
        let worker = WorkerId {
            slot: Slot(0),
            incarnation: Incarnation(1),
        };
        let part = Part::Workers;
        Control::new(MemberId { part, worker }).expect("socketpair")
    }

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1000)
    }

    #[test]
    fn r18_half_a_frame_and_nonsense_are_broken() {
        for bytes in [&[1_u8, 0, 1][..], &[0xff; 64][..]] {
            let (mut control, theirs) = channel();
            socket::send(theirs.as_fd(), bytes, &[]).expect("send");
            let said = control.read(at(0), &mut [0; MAX_FRAME]);
            assert!(matches!(said.then, Reading::Broken(_)), "{bytes:?}");
        }
    }

    #[test]
    fn a_worker_that_ends_without_reading_has_ended_and_not_misbehaved() {
        let (mut control, theirs) = channel();
        control.send(&ToWorker::Nudge).expect("room");
        drop(theirs);
        assert!(matches!(
            control.read(at(0), &mut [0; MAX_FRAME]).then,
            Reading::Ended
        ));
    }

    #[test]
    fn r19_what_a_deaf_worker_does_not_read_is_bounded() {
        let (mut control, _theirs) = channel();
        let refused = (0..1_000_000).find_map(|_| control.send(&ToWorker::Nudge).err());
        assert!(matches!(refused, Some(Unsaid::Deaf)), "{refused:?}");
        assert!(control.unsent_bytes <= MAX_UNSENT);
        assert!(!control.unsent.is_empty(), "the socket is full");
    }

    #[test]
    fn r19_descriptors_wait_in_order_and_are_bounded_too() {
        let (mut control, theirs) = channel();
        herder_sys::limits::raise_open_files().expect("one may");
        let gift = || herder_sys::fd::null().expect("/dev/null");
        let mut sent = 0;
        let refused = loop {
            let link = ToGateway::Link { worker: sent };
            match control.send_with(&link, vec![gift(), gift()]) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 100_000, "there is an end");
        };
        assert!(matches!(refused, Unsaid::Deaf), "{refused}");
        assert!(control.unsent_descriptors <= MAX_UNSENT_DESCRIPTORS);

        let mut bytes = [0; 64];
        for worker in 0..sent {
            let (mut gifts, wait) = (Vec::new(), Wait::DontWait);
            let got = socket::receive(theirs.as_fd(), &mut bytes, &mut gifts, 2, wait);
            let got = got.expect("it was sent");
            let link = frame::decode_one::<ToGateway>(&bytes[..got.len]);
            assert_eq!(link.expect("whole"), Some(ToGateway::Link { worker }));
            assert_eq!(gifts.len(), 2);
            control.flush();
        }
        assert_eq!((control.unsent_bytes, control.unsent_descriptors), (0, 0));
    }

    #[test]
    fn what_was_said_is_read_dry_whatever_the_allowance() {
        let (mut control, theirs) = channel();
        while control.allowance.take(at(0)) {}
        let mut beat = Vec::new();
        ToMaster::Beat.encode(&mut beat).expect("fits");
        for _ in 0..100 {
            socket::send(theirs.as_fd(), &beat, &[]).expect("room");
        }
        let room = &mut [0; MAX_FRAME];
        assert!(control.read(at(0), room).frames.is_empty());
        assert_eq!(control.read_dry(room).frames.len(), 100);
    }

    #[test]
    fn r20_uninvited_descriptors_are_closed_and_the_second_is_one_too_many() {
        let (mut control, theirs) = channel();
        let gift = herder_sys::fd::null().expect("/dev/null");
        let mut frame = Vec::new();
        ToMaster::Beat.encode(&mut frame).expect("fits");
        let mut broken = 0;
        for _ in 0..2 {
            if socket::send(theirs.as_fd(), &frame, &[gift.as_fd()]).is_err() {
                return; // The kernel refuses them at the sender: nothing reaches the master.
            }
            broken += u32::from(matches!(
                control.read(at(0), &mut [0; MAX_FRAME]).then,
                Reading::Broken(_)
            ));
        }
        assert_eq!(broken, 1);
    }
}
