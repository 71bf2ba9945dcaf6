//! One worker, as the switchboard sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use herder_core::{ConnId, WorkerId};
use herder_sys::epoll::{Epoll, Interest};
use serde::{Deserialize, Serialize};

use super::channel::{Channel, ChannelState, Goods, Standpoint};
use super::lane::{Lane, LaneState};
use super::losses::Losses;
use super::mail::Postbox;
use super::marks::Mark;
use super::switchboard::LANE;
use super::{NodeNews, Word};
use crate::dispatch::NodeEnds;

/// One worker.
pub(super) struct Peer {
    pub(super) id: WorkerId,
    pub(super) channel: Channel,
    /// Where it is given connections, if it reads there.
    pub(super) lane: Option<Lane>,
    pub(super) admission: Admission,
    pub(super) course: Course,
    /// What it was given and has not decided about, by the number that its verdict names: the listener
    /// and the connection.
    pub(super) undecided: BTreeMap<u64, (u64, ConnId)>,
    /// Which of them it was given by the last master. The dispatcher knows nothing of those.
    pub(super) inherited: BTreeSet<u64>,
    /// What it was told before the first of our numbers, its last master's, is unknown.
    pub(super) is_adopted: bool,
    /// It was not given connections yet.
    pub(super) is_young: bool,
    /// How many listeners it was sent that it has not taken yet.
    pub(super) gifts: usize,
    /// How many of them it has asked for again.
    pub(super) gifts_claimed: usize,
    /// What its program says.
    pub(super) postbox: Postbox,
    /// How many messages to its program were lost since it last read one.
    pub(super) unheard: u64,
    /// What was lost and is to be told.
    pub(super) losses: Losses,
    /// How many connections it has taken, among others.
    pub(super) mark: Mark,
    pub(super) served_told: u64,
    token: u64,
    watched: Interest,
    /// What was told of it that is told once.
    pub(super) told: Vec<Word>,
}

/// What is written down of a worker.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PeerState {
    pub(super) life: u64,
    course: Course,
    told: Vec<Word>,
    gifts: usize,
    gifts_claimed: usize,
    is_young: bool,
    /// Where its mark is.
    pub(super) place: Option<usize>,
    channel: ChannelState,
    #[serde(default)]
    lane: LaneState,
    /// When a living master gave it on: number, listener and connection of each that is undecided.
    undecided: Vec<(u64, u64, u64)>,
}

/// How much is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What a master needs whose predecessor is dead.
    Estate,
    /// Everything: there is a successor.
    Whole,
}

/// Whether it may get connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Admitted,
    NotNow,
    NoMore,
}

/// Where it is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Course {
    /// It was told to leave, or says that it does.
    Leaves,
    Serves,
    /// It broke the protocol, and its death is awaited.
    Severed,
}

impl Peer {
    /// Begins to listen to a worker.
    pub(super) fn new(
        id: WorkerId,
        ends: NodeEnds,
        mark: Mark,
        epoll: &Epoll,
        token: u64,
    ) -> io::Result<Peer> {
        let lane = ends.lane.map(Lane::new);
        Peer::with(id, (Channel::new(ends.channel), lane), mark, epoll, token)
    }

    /// Goes on with a worker that another master has left. `duplicate` gives what was to be sent to it.
    pub(super) fn adopt(
        (id, ends): (WorkerId, NodeEnds),
        state: Option<PeerState>,
        mark: Mark,
        (epoll, token): (&Epoll, u64),
        duplicate: impl Fn(Goods) -> Option<OwnedFd>,
    ) -> io::Result<Peer> {
        let channel = state.as_ref().map(|it| it.channel.clone());
        let channel = channel.unwrap_or_default();
        let (is_whole, standpoint) = (channel.is_whole(), mark.standpoint());
        let channel = Channel::resume(
            ends.channel,
            channel,
            (standpoint, mark.progress()),
            duplicate,
        );
        let lane = state.as_ref().map(|it| it.lane.clone()).unwrap_or_default();
        let lane = ends.lane.map(|socket| Lane::resume(socket, lane));
        let mut peer = Peer::with(id, (channel, lane), mark, epoll, token)?;
        peer.is_adopted = true;
        if let Some(state) = state {
            peer.course = state.course;
            peer.told = state.told;
            peer.gifts = state.gifts;
            peer.gifts_claimed = state.gifts_claimed;
            peer.is_young = state.is_young;
            for (seq, port, conn) in state.undecided {
                peer.undecided.insert(seq, (port, ConnId(conn)));
                peer.inherited.insert(seq);
            }
        }
        let half_read = standpoint == Standpoint::WithinEnvelope;
        if !is_whole && (half_read || peer.mark.owes_answer()) {
            peer.channel.answer_owed();
        }
        peer.mark.note_debt(false);
        if peer.course == Course::Severed {
            peer.unwatch(epoll)?;
        }
        Ok(peer)
    }

    /// What is to be written down of it; its mark is at this place.
    pub(super) fn state(&self, place: Option<usize>, extent: Extent) -> PeerState {
        let undecided = self.undecided.iter();
        let undecided = undecided.map(|(seq, (port, conn))| (*seq, *port, conn.0));
        let lane = self.lane.as_ref();
        let (channel, lane, undecided) = match extent {
            // The connections die with the master.
            Extent::Estate => (self.channel.state(), lane.map(Lane::state), Vec::new()),
            Extent::Whole => (
                self.channel.whole_state(),
                lane.map(Lane::whole_state),
                undecided.collect(),
            ),
        };
        PeerState {
            life: self.id.incarnation.0,
            course: self.course,
            told: self.told.clone(),
            gifts: self.gifts,
            gifts_claimed: self.gifts_claimed,
            is_young: self.is_young,
            place,
            channel,
            lane: lane.unwrap_or_default(),
            undecided,
        }
    }

    fn with(
        id: WorkerId,
        (channel, lane): (Channel, Option<Lane>),
        mark: Mark,
        epoll: &Epoll,
        token: u64,
    ) -> io::Result<Peer> {
        epoll.add(channel.socket(), token, Interest::READABLE)?;
        if let Some(lane) = &lane {
            epoll.add(lane.socket(), token + LANE, Interest::READABLE)?;
        }
        Ok(Peer {
            id,
            channel,
            lane,
            admission: Admission::NotNow,
            course: Course::Serves,
            undecided: BTreeMap::new(),
            inherited: BTreeSet::new(),
            is_adopted: false,
            is_young: true,
            gifts: 0,
            gifts_claimed: 0,
            postbox: Postbox::default(),
            unheard: 0,
            losses: Losses::new(),
            mark,
            served_told: 0,
            token,
            watched: Interest::READABLE,
            told: Vec::new(),
        })
    }

    /// Whether it may not have received all that the last master had told or given it, which no event tells.
    pub(super) fn is_settling(&self) -> bool {
        self.channel.is_settling() || self.lane.as_ref().is_some_and(Lane::is_settling)
    }

    /// It is not listened to any more.
    pub(super) fn unwatch(&self, epoll: &Epoll) -> io::Result<()> {
        let lane = self.lane.as_ref();
        let unwatched = lane.map_or(Ok(()), |lane| epoll.remove(lane.socket()));
        epoll.remove(self.channel.socket()).and(unwatched)
    }

    /// Gives back what it is reached by.
    pub(super) fn into_ends(self) -> NodeEnds {
        NodeEnds {
            channel: self.channel.into_socket(),
            lane: self.lane.map(Lane::into_socket),
        }
    }

    /// Wakes the thread for what the channel can do next.
    pub(super) fn rewatch(&mut self, epoll: &Epoll) -> io::Result<()> {
        if self.course == Course::Severed {
            return Ok(());
        }
        let wanted = if self.channel.wants_room() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        if wanted != self.watched {
            epoll.modify(self.channel.socket(), self.token, wanted)?;
            self.watched = wanted;
        }
        Ok(())
    }

    /// A word about it that is to be told once, unless it was.
    pub(super) fn first(&mut self, word: Word) -> Option<NodeNews> {
        if self.told.contains(&word) {
            return None;
        }
        self.told.push(word.clone());
        Some(NodeNews::Word(self.id, word))
    }
}
