//! How a worker's messages to its master leave.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use herder_sys::socket;
use herder_wire::control::ToMaster;

use crate::worker::lock;

/// The way to the master.
pub(crate) enum Outlet {
    /// A channel to the master's process.
    Channel(Channel),
    /// The herd lives in this process: its coordinator is called.
    Local(Box<dyn Fn(ToMaster) + Send + Sync>),
    /// A socket for texts as `sd_notify` writes them: the master takes this process for any program.
    #[cfg(feature = "library")]
    Notify(OwnedFd),
}

impl Outlet {
    pub(crate) fn channel(control: OwnedFd) -> Outlet {
        Outlet::Channel(Channel {
            control,
            waiting: Mutex::default(),
        })
    }

    /// Sends a message, now or, when the channel is full, with a later [`flush`](Outlet::flush).
    pub(crate) fn send(&self, message: ToMaster) -> io::Result<Sent> {
        match self {
            Outlet::Local(deliver) => {
                deliver(message);
                Ok(Sent::Now)
            }
            Outlet::Channel(channel) => channel.send(&message),
            #[cfg(feature = "library")]
            Outlet::Notify(socket) => match notification(&message) {
                Some(text) => notify(socket.as_fd(), &text),
                None => Ok(Sent::Now),
            },
        }
    }

    /// Sends what had to wait.
    pub(crate) fn flush(&self) -> io::Result<Sent> {
        match self {
            Outlet::Local(_) => Ok(Sent::Now),
            Outlet::Channel(channel) => channel.flush(),
            #[cfg(feature = "library")]
            Outlet::Notify(_) => Ok(Sent::Now),
        }
    }

    pub(crate) fn control(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Outlet::Local(_) => None,
            Outlet::Channel(channel) => Some(channel.control.as_fd()),
            #[cfg(feature = "library")]
            Outlet::Notify(_) => None,
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Now,
    /// The channel is full: the master does not read at the moment.
    Later,
    /// The same, and the message is of the kind that the next one replaces.
    Dropped,
}

/// The control channel, with what did not fit into it.
pub(crate) struct Channel {
    control: OwnedFd,
    waiting: Mutex<VecDeque<Waiting>>,
}

/// A message that waits for room.
struct Waiting {
    packet: Vec<u8>,
    /// Which later message takes its place.
    place: Place,
}

/// What a message that waits stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is said once.
    Own,
    /// The latest that the worker says of its boot time.
    Boot,
    /// Where the worker is.
    State,
}

impl Channel {
    fn send(&self, message: &ToMaster) -> io::Result<Sent> {
        let mut packet = Vec::with_capacity(32);
        message.encode(&mut packet).map_err(io::Error::other)?;
        let mut waiting = lock(&self.waiting);
        let full = !waiting.is_empty() || !self.try_send(&packet)?;
        match message {
            _ if !full => Ok(Sent::Now),
            ToMaster::Beat | ToMaster::Counters { .. } => Ok(Sent::Dropped),
            ToMaster::BootExtend { .. } => Ok(queue(&mut waiting, packet, Place::Boot)),
            ToMaster::State { .. } => Ok(queue(&mut waiting, packet, Place::State)),
            ToMaster::Hello { .. }
            | ToMaster::Ready
            | ToMaster::Retire { .. }
            | ToMaster::Spent
            | ToMaster::User(_)
            | ToMaster::Certificates { .. }
            | ToMaster::Dispatched { .. }
            | ToMaster::Empty
            | ToMaster::Exhausted { .. }
            | ToMaster::Known { .. }
            | ToMaster::Load { .. }
            | ToMaster::Ejected { .. }
            | ToMaster::Restored { .. }
            | ToMaster::Unusable { .. }
            | ToMaster::Withdrawn { .. }
            | ToMaster::WithdrawnAgain { .. } => Ok(queue(&mut waiting, packet, Place::Own)),
        }
    }

    fn flush(&self) -> io::Result<Sent> {
        let mut waiting = lock(&self.waiting);
        while let Some(next) = waiting.front() {
            if !self.try_send(&next.packet)? {
                return Ok(Sent::Later);
            }
            waiting.pop_front();
        }
        Ok(Sent::Now)
    }

    fn try_send(&self, packet: &[u8]) -> io::Result<bool> {
        match socket::send(self.control.as_fd(), packet, &[]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Has a message wait for room. However long nobody reads, what waits does not grow: of what can be
/// said again and again only the latest is kept.
fn queue(waiting: &mut VecDeque<Waiting>, packet: Vec<u8>, place: Place) -> Sent {
    if place != Place::Own {
        waiting.retain(|other| other.place != place);
    }
    waiting.push_back(Waiting { packet, place });
    Sent::Later
}

/// What a program says that the master knows nothing of.
#[cfg(feature = "library")]
fn notification(message: &ToMaster) -> Option<String> {
    match message {
        ToMaster::Ready => Some("READY=1".to_owned()),
        ToMaster::Beat => Some("WATCHDOG=1".to_owned()),
        ToMaster::BootExtend { millis } => {
            let micros = u64::from(*millis) * 1000;
            Some(format!("EXTEND_TIMEOUT_USEC={micros}"))
        }
        ToMaster::Certificates { .. }
        | ToMaster::Counters { .. }
        | ToMaster::Dispatched { .. }
        | ToMaster::Empty
        | ToMaster::Exhausted { .. }
        | ToMaster::Hello { .. }
        | ToMaster::Known { .. }
        | ToMaster::Retire { .. }
        | ToMaster::Spent
        | ToMaster::State { .. }
        | ToMaster::Load { .. }
        | ToMaster::Ejected { .. }
        | ToMaster::Restored { .. }
        | ToMaster::Unusable { .. }
        | ToMaster::User(_)
        | ToMaster::Withdrawn { .. }
        | ToMaster::WithdrawnAgain { .. } => None,
    }
}

#[cfg(feature = "library")]
fn notify(socket: BorrowedFd<'_>, text: &str) -> io::Result<Sent> {
    match socket::send(socket, text.as_bytes(), &[]) {
        Ok(_) => Ok(Sent::Now),
        // The master is behind by many of them; another heartbeat follows.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Dropped),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use herder_sys::socket::Wait;
    use herder_wire::control::Decoder;

    use super::*;

    fn received(master: &OwnedFd) -> Vec<ToMaster> {
        let (mut decoder, mut messages) = (Decoder::<ToMaster>::new(), Vec::new());
        let (mut packet, mut none) = ([0; 4096], Vec::new());
        loop {
            match socket::receive(master.as_fd(), &mut packet, &mut none, 0, Wait::DontWait) {
                Ok(got) => decoder.push(&packet[..got.len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return messages,
                Err(error) => panic!("{error}"),
            }
            while let Some(message) = decoder.next().unwrap() {
                messages.push(message);
            }
        }
    }

    #[test]
    fn a_full_channel_drops_beats_and_keeps_what_is_said_once_in_order() {
        let (master, worker) = socket::seqpacket_pair().unwrap();
        let outlet = Outlet::channel(worker);
        while outlet.send(ToMaster::Beat).unwrap() == Sent::Now {}
        let retire = ToMaster::Retire {
            reason: "tired".to_owned(),
        };
        assert_eq!(outlet.send(ToMaster::Ready).unwrap(), Sent::Later);
        assert_eq!(outlet.send(retire.clone()).unwrap(), Sent::Later);
        assert_eq!(outlet.send(ToMaster::Beat).unwrap(), Sent::Dropped);
        assert_eq!(outlet.flush().unwrap(), Sent::Later);
        assert!(
            received(&master)
                .iter()
                .all(|message| *message == ToMaster::Beat)
        );
        assert_eq!(outlet.flush().unwrap(), Sent::Now);
        assert_eq!(received(&master), [ToMaster::Ready, retire]);
    }

    #[test]
    fn r32_what_waits_for_a_master_that_does_not_read_does_not_grow() {
        let (master, worker) = socket::seqpacket_pair().unwrap();
        let outlet = Outlet::channel(worker);
        while outlet.send(ToMaster::Beat).unwrap() == Sent::Now {}
        let state = |open| ToMaster::State {
            version: 1,
            course: herder_wire::control::Course::Ready,
            open,
            served: 9,
            busy: 0,
        };
        for number in 0..1000 {
            outlet
                .send(ToMaster::BootExtend { millis: number })
                .unwrap();
            outlet.send(state(number)).unwrap();
        }
        outlet.send(ToMaster::Ready).unwrap();
        received(&master);
        assert_eq!(outlet.flush().unwrap(), Sent::Now);
        let latest = [
            ToMaster::BootExtend { millis: 999 },
            state(999),
            ToMaster::Ready,
        ];
        assert_eq!(received(&master), latest);
    }

    #[cfg(feature = "library")]
    #[test]
    fn a_master_of_programs_is_told_what_it_understands() {
        let (master, theirs) = socket::datagram_pair().unwrap();
        let outlet = Outlet::Notify(theirs);
        for message in [
            ToMaster::BootExtend { millis: 1500 },
            ToMaster::Spent,
            ToMaster::Ready,
            ToMaster::Beat,
        ] {
            assert_eq!(outlet.send(message).unwrap(), Sent::Now);
        }
        for expected in ["EXTEND_TIMEOUT_USEC=1500000", "READY=1", "WATCHDOG=1"] {
            let (mut packet, mut none) = ([0; 64], Vec::new());
            let got = socket::receive(master.as_fd(), &mut packet, &mut none, 0, Wait::DontWait);
            assert_eq!(&packet[..got.unwrap().len], expected.as_bytes());
        }
    }

    #[test]
    fn a_master_that_is_gone_is_an_error() {
        let (master, worker) = socket::seqpacket_pair().unwrap();
        let outlet = Outlet::channel(worker);
        drop(master);
        assert!(outlet.send(ToMaster::Beat).is_err());
    }
}
