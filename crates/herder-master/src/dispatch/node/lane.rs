//! A worker's lane: the channel on which it is given connections and nothing else.
//!
//! The module that is loaded before the program reads it, and says so at first. Until then, and whenever there
//! is no lane, connections go by Node's own channel. There each costs the worker a turn of its event loop, lines
//! of JSON and a writing; here it takes all that have come in one turn, and answers once.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use herder_core::{Incarnation, Tick};
use herder_sys::socket::{self, Wait};
use herder_wire::node::{
    Accepted as Verdict, Delivery, Duplicate, LANE_RECORD, Receipt, ReceiptDecoder,
};
use serde::{Deserialize, Serialize};

use super::channel::{Fault, Reading};
use super::peer::{Course, Peer};
use super::switchboard::{LAST_READINGS, READINGS, Switchboard};

/// How many connections a worker is believed to have taken at most that the last master had given it: it held
/// no more that were undecided.
const MAX_FOREIGN: u32 = 64;

/// A worker whose lane has ended for so long is not about to end itself.
const OUTLIVES: Duration = Duration::from_millis(500);

/// Of how many of its listeners a worker is given duplicates: descriptors are not without end.
const MANY_LISTENERS: usize = 4;

/// One worker's lane.
pub(super) struct Lane {
    socket: OwnedFd,
    decoder: ReceiptDecoder,
    /// The worker has said that it reads here.
    is_open: bool,
    /// How many duplicates of each listener of its own it has asked for.
    duplicates: u32,
    /// What it was given here and has not decided about, oldest first.
    given: VecDeque<u64>,
    /// What the last master had given may lie in it, un-received. Who does not receive that gets nothing more.
    is_settling: bool,
    /// Since when nobody writes any more.
    ended: Option<Tick>,
}

/// What is written down of a lane.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct LaneState {
    is_open: bool,
    #[serde(default)]
    duplicates: u32,
    /// When a living master gave it on: what was not decided about, and what has come of a receipt.
    given: Vec<u64>,
    unfinished: Vec<u8>,
}

impl Lane {
    pub(super) fn new(socket: OwnedFd) -> Lane {
        Lane {
            is_settling: false,
            ..Lane::resume(socket, LaneState::default())
        }
    }

    /// Goes on with what another master has left.
    pub(super) fn resume(socket: OwnedFd, state: LaneState) -> Lane {
        let mut decoder = ReceiptDecoder::new();
        decoder.push(&state.unfinished);
        Lane {
            socket,
            decoder,
            is_open: state.is_open,
            duplicates: state.duplicates,
            given: state.given.into(),
            is_settling: true,
            ended: None,
        }
    }

    /// What is to be written down for the case that this process dies: then what was given is the worker's.
    pub(super) fn state(&self) -> LaneState {
        LaneState {
            is_open: self.is_open,
            duplicates: self.duplicates,
            ..LaneState::default()
        }
    }

    /// All that there is, for who goes on with it.
    pub(super) fn whole_state(&self) -> LaneState {
        LaneState {
            is_open: self.is_open,
            duplicates: self.duplicates,
            given: self.given.iter().copied().collect(),
            unfinished: self.decoder.unfinished().to_vec(),
        }
    }

    /// The end to watch.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives the socket back.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the worker may not have received all that the last master had given it, which no event tells.
    pub(super) fn is_settling(&self) -> bool {
        self.is_settling
    }

    /// Looks whether that has passed just now.
    pub(super) fn settles(&mut self) -> bool {
        // It fails only on what is no socket.
        let is_empty = || socket::unsent_bytes(self.socket.as_fd()).is_ok_and(|unsent| unsent == 0);
        let settles = self.is_settling && is_empty();
        self.is_settling &= !settles;
        settles
    }

    /// When it is given up, if its worker lives so long.
    pub(super) fn due(&self) -> Option<Tick> {
        self.ended.map(|at| at.after(OUTLIVES))
    }

    /// Hands a connection over now, or not at all: then it stays the caller's.
    pub(super) fn pass(
        &mut self,
        delivery: Delivery,
        connection: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send(&delivery.to_bytes(), connection)?;
        self.given.push_back(delivery.seq);
        Ok(())
    }

    fn send(&self, record: &[u8; LANE_RECORD], descriptor: BorrowedFd<'_>) -> io::Result<()> {
        // The kernel takes so little whole or not at all.
        let length = socket::send(self.socket(), record, &[descriptor])?;
        debug_assert_eq!(length, record.len());
        Ok(())
    }

    fn read(&mut self, room: &mut [u8]) -> Result<Reading, Fault> {
        let mut none = Vec::new();
        match socket::receive(self.socket(), room, &mut none, 0, Wait::DontWait) {
            Ok(received) if received.descriptors_lost => Err(Fault::Uninvited),
            Ok(received) if received.len == 0 => Ok(Reading::Ended),
            Ok(received) => {
                self.decoder.push(&room[..received.len]);
                Ok(if received.len < room.len() {
                    Reading::Quiet
                } else {
                    Reading::Goes
                })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Reading::Quiet),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Reading::Ended),
            Err(error) => Err(Fault::System(error.kind())),
        }
    }

    /// What was given up to this number is decided about.
    fn take_up_to(&mut self, seq: u64) -> Vec<u64> {
        let count = self.given.iter().take_while(|it| **it <= seq).count();
        self.given.drain(..count).collect()
    }
}

impl Switchboard {
    /// Something happened on a worker's lane.
    pub(super) fn attend_lane(&mut self, life: Incarnation, now: Tick) {
        for _ in 0..READINGS {
            match self.read_lane(life, now) {
                Some(Reading::Goes) => {}
                Some(Reading::Ended) => return self.note_end_of_lane(life, now),
                Some(Reading::Quiet) | None => return,
            }
        }
    }

    /// Hears all that a worker has said of its connections, which it will not say any more.
    pub(super) fn read_lane_dry(&mut self, life: Incarnation, now: Tick) {
        for _ in 0..LAST_READINGS {
            if self.read_lane(life, now) != Some(Reading::Goes) {
                return;
            }
        }
    }

    fn read_lane(&mut self, life: Incarnation, now: Tick) -> Option<Reading> {
        let peer = self.peers.get_mut(&life)?;
        if peer.course == Course::Severed {
            return None;
        }
        let lane = peer.lane.as_mut()?;
        let reading = match lane.read(&mut self.room) {
            Ok(reading) => reading,
            Err(fault) => {
                self.sever(life, fault.to_string(), now);
                return None;
            }
        };
        loop {
            let lane = self.peers.get_mut(&life)?.lane.as_mut()?;
            match lane.decoder.next() {
                Ok(Some(receipt)) => self.heed_receipt(life, receipt, now),
                Ok(None) => return Some(reading),
                Err(error) => {
                    self.sever(life, Fault::Receipt(error).to_string(), now);
                    return None;
                }
            }
        }
    }

    fn heed_receipt(&mut self, life: Incarnation, receipt: Receipt, now: Tick) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        let Some(lane) = peer.lane.as_mut() else {
            return;
        };
        match receipt {
            Receipt::Hello { duplicates } => {
                (lane.is_open, lane.duplicates) = (true, duplicates);
                self.note_change();
            }
            Receipt::Taken { seq, count } => {
                let taken = lane.take_up_to(seq);
                let own = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                if peer.is_adopted {
                    for _ in 0..count.saturating_sub(own).min(MAX_FOREIGN) {
                        peer.mark.add_served();
                    }
                }
                for seq in taken {
                    self.decide(life, seq, Verdict::Yes, now);
                }
            }
            Receipt::Refused { seq } => {
                lane.given.retain(|it| *it != seq);
                self.decide(life, seq, Verdict::No, now);
            }
        }
    }

    /// Gives a worker further descriptors of the listener that it has just been given for itself, as many as it has
    /// asked for. It does without those that there is no room for.
    pub(super) fn give_duplicates(&mut self, life: Incarnation, key: u64) {
        let is_one_of_many = self.exchange.keys_of(life).len() > MANY_LISTENERS;
        let Some(peer) = self.peers.get(&life).filter(|_| !is_one_of_many) else {
            return;
        };
        let Some(lane) = peer.lane.as_ref().filter(|lane| lane.is_open) else {
            return;
        };
        let socket = self.exchange.quay(key).and_then(|it| it.berth_of(peer.id));
        let (Some(socket), Ok(key)) = (socket, u32::try_from(key)) else {
            return;
        };
        let record = Duplicate { key }.to_bytes();
        for _ in 0..lane.duplicates {
            if lane.send(&record, socket.as_fd()).is_err() {
                return;
            }
        }
    }

    /// Gives up lanes that have ended while their workers live: those are given connections by their channels
    /// then, and first what they have not decided about.
    pub(super) fn close_ended_lanes(&mut self, now: Tick) {
        let is_over = |peer: &Peer| peer.lane.as_ref()?.due().filter(|at| *at <= now);
        let peers = self.peers.iter();
        let over = peers.filter(|(_, peer)| is_over(peer).is_some());
        for life in over.map(|(life, _)| *life).collect::<Vec<_>>() {
            let lane = self.peers.get_mut(&life).and_then(|it| it.lane.take());
            for seq in lane.into_iter().flat_map(|lane| lane.given) {
                let peer = self.peers.get(&life);
                let given = peer.and_then(|it| it.undecided.get(&seq));
                let is_touched = given.is_some_and(|(_, conn)| self.is_touched(*conn));
                let verdict = if is_touched {
                    Verdict::Yes
                } else {
                    Verdict::No
                };
                self.decide(life, seq, verdict, now);
            }
        }
    }

    /// Nobody writes on a worker's lane any more. If it is dead its channel ends, too, in the same moment or the
    /// next, and counts.
    fn note_end_of_lane(&mut self, life: Incarnation, now: Tick) {
        let peer = self.peers.get_mut(&life);
        let Some(lane) = peer.and_then(|it| it.lane.as_mut()) else {
            return;
        };
        lane.is_open = false;
        lane.ended = Some(now);
        // Nothing happens there any more, but that it is so would be told for ever.
        let _unwatched = self.epoll.remove(lane.socket());
        self.note_change();
    }
}
