//! The master's end of a native worker's control channel.
//!
//! The worker is not trusted: what it sends is bounded in size and rate, what it does not read is
//! bounded in memory, and a descriptor from it is never kept.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::socket::{self, Wait};
use herder_wire::control::{Decoder, MAX_FRAME, ToMaster, ToWorker};

use super::crew::MemberId;
use super::token::Source;

/// How many messages one turn reads from one worker, so that a loud one does not starve the rest.
const PER_TURN: usize = 64;

/// The sustained rate at which a worker is read, in messages a second, and the burst above it.
const RATE: u64 = 10_000;
const BURST: u64 = 20_000;

/// What waits for a worker that does not read, in bytes. Beyond it messages are dropped: all of
/// them are hints but `Drain`, and a worker that does not read that one is killed after its grace.
const MAX_UNSENT: usize = 1024 * 1024;

/// How many descriptors that nobody asked for are forgiven.
const FORGIVEN_DESCRIPTORS: u32 = 1;

/// A control channel.
pub(super) struct Control {
    socket: OwnedFd,
    token: u64,
    decoder: Decoder<ToMaster>,
    unsent: VecDeque<Vec<u8>>,
    unsent_bytes: usize,
    uninvited: u32,
    allowance: Allowance,
    watched: Option<Interest>,
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
    /// The worker has closed its end.
    Ended,
    /// The worker broke the protocol, in this way.
    Broken(String),
}

impl Control {
    /// A new channel, and the end that the member gets.
    pub(super) fn new(id: MemberId) -> io::Result<(Control, OwnedFd)> {
        let (socket, theirs) = socket::seqpacket_pair()?;
        // Older kernels cannot refuse them at the sender; then they are counted and closed here.
        let _unsupported = socket::refuse_descriptors(socket.as_fd());
        let control = Control {
            socket,
            token: Source::Control(id.part, id.worker.incarnation).token(),
            decoder: Decoder::new(),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            uninvited: 0,
            allowance: Allowance::default(),
            watched: None,
        };
        Ok((control, theirs))
    }

    /// Reads what the worker has said, within its allowance. `room` is lent for the bytes; it must
    /// hold [`MAX_FRAME`].
    pub(super) fn read(&mut self, now: Tick, room: &mut [u8]) -> Said {
        let mut said = Said {
            frames: Vec::new(),
            then: Reading::Goes,
        };
        for _ in 0..PER_TURN {
            if !self.allowance.take(now) {
                return said;
            }
            said.then = match self.receive(room, &mut said.frames) {
                Ok(Reading::Goes) => continue,
                Ok(other) => other,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Reading::Goes,
                // The worker ended without having read our last words; that is no fault of its.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Reading::Ended,
                Err(error) => Reading::Broken(format!("its channel failed: {error}")),
            };
            return said;
        }
        said
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

    /// Sends a frame, now or when the worker reads again.
    pub(super) fn send(&mut self, frame: &ToWorker) {
        let mut bytes = Vec::new();
        if frame.encode(&mut bytes).is_err() || self.unsent_bytes + bytes.len() > MAX_UNSENT {
            return;
        }
        self.unsent_bytes += bytes.len();
        self.unsent.push_back(bytes);
        self.flush();
    }

    /// Sends what waits, as far as it goes.
    pub(super) fn flush(&mut self) {
        while let Some(bytes) = self.unsent.front() {
            match socket::send(self.socket.as_fd(), bytes, &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Sent, or the worker is gone and its exit tells so.
                Ok(_) | Err(_) => {
                    self.unsent_bytes -= bytes.len();
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
        let writing = if self.unsent.is_empty() {
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

    /// Reads the worker again if its allowance has been refilled.
    pub(super) fn resume(&mut self, epoll: &Epoll, now: Tick) {
        if self.allowance.is_spent() && self.allowance.refilled(now) {
            self.rewatch(epoll);
        }
    }

    /// When a throttled worker is read again.
    pub(super) fn throttled_until(&self) -> Option<Tick> {
        self.watched.and(self.allowance.resume_at)
    }

    /// Stops reading for good.
    pub(super) fn close(&mut self, epoll: &Epoll) {
        if self.watched.take().is_some() {
            // It was watched, and the descriptor is still open: this cannot fail.
            let _removed = epoll.remove(self.socket.as_fd());
        }
        self.allowance.resume_at = None;
    }
}

/// A token bucket: `RATE` a second, `BURST` at once.
struct Allowance {
    tokens: u64,
    refilled_at: Option<Tick>,
    resume_at: Option<Tick>,
}

/// A worker that has spent everything is read again after this.
const REST: Duration = Duration::from_millis(10);

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance {
            tokens: BURST,
            refilled_at: None,
            resume_at: None,
        }
    }
}

impl Allowance {
    fn take(&mut self, now: Tick) -> bool {
        if self.tokens == 0 && !self.refilled(now) {
            self.resume_at.get_or_insert(now.after(REST));
            return false;
        }
        self.tokens -= 1;
        true
    }

    fn is_spent(&self) -> bool {
        self.resume_at.is_some()
    }

    /// Adds what has accrued, in steps of `REST`.
    fn refilled(&mut self, now: Tick) -> bool {
        let since = *self.refilled_at.get_or_insert(now);
        let accrued =
            u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX) * RATE / 1_000_000;
        if accrued >= RATE / 100 || self.tokens > 0 {
            self.tokens = (self.tokens + accrued).min(BURST);
            self.refilled_at = Some(now);
            self.resume_at = None;
        } else if self.resume_at.is_some_and(|at| at <= now) {
            self.resume_at = Some(now.after(REST));
        }
        self.tokens > 0
    }
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot, WorkerId};

    use super::*;
    use crate::part::Part;

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
    fn r21_a_loud_worker_is_read_at_its_rate_only() {
        let mut allowance = Allowance::default();
        let mut burst = 0;
        while allowance.take(at(0)) {
            burst += 1;
        }
        assert_eq!(burst, BURST);
        assert!(allowance.is_spent(), "then reading rests");
        let mut second = 0;
        for millis in 1..=1000 {
            while allowance.take(at(millis)) {
                second += 1;
            }
        }
        assert!(
            (RATE - RATE / 50..=RATE).contains(&second),
            "{second} in one second"
        );
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
        control.send(&ToWorker::Nudge);
        drop(theirs);
        assert!(matches!(
            control.read(at(0), &mut [0; MAX_FRAME]).then,
            Reading::Ended
        ));
    }

    #[test]
    fn r19_what_a_deaf_worker_does_not_read_is_bounded() {
        let (mut control, _theirs) = channel();
        for _ in 0..1_000_000 {
            control.send(&ToWorker::Nudge);
        }
        assert!(control.unsent_bytes <= MAX_UNSENT);
        assert!(!control.unsent.is_empty(), "the socket is full");
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
