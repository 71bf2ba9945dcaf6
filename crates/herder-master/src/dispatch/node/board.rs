//! What the switchboard writes down, and how another one goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_core::dispatch::Event;
use herder_core::{ConnId, Incarnation, Tick, WorkerId};
use herder_sys::{failpoint, fd};
use herder_wire::keeper::Key;
use serde::{Deserialize, Serialize};

use super::channel::Goods;
use super::exchange::{ExchangeState, Heirlooms, Service};
use super::lane::Lane;
use super::marks::Marks;
use super::peer::{Course, Extent, Peer, PeerState};
use super::switchboard::{FIRST_PEER, Held, Switchboard};
use super::{NodeNews, Word};
use crate::dispatch::acceptor::origin_of;
use crate::dispatch::counters::Count;
use crate::dispatch::{Board, Left, Line, News, NodeEnds, Remains};
use crate::estate::{StateFile, Vault};

/// The format of what is written down.
pub(crate) const FORMAT: u16 = 1;

/// Numbers of messages begin here times the number of masters that died: an answer to one of theirs is
/// then never taken for an answer to one of ours. JavaScript has whole numbers up to 2^53.
const NUMBERS: u64 = 1 << 40;
const RANGES: u64 = 1 << 12;

/// What is said of a worker whose death was awaited when the last master died.
const BROKEN: &str = "it broke the protocol under the last master";

/// All that is written down.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct BoardState {
    next_seq: u64,
    exchange: ExchangeState,
    peers: Vec<PeerState>,
}

/// What there is beside what is written down.
pub(super) struct Estate {
    /// The listeners that workers have asked for.
    pub(super) sockets: Heirlooms,
    pub(super) lines: Vec<(WorkerId, Line)>,
    pub(super) hand: Vec<Left>,
}

/// Where it is written, and what changes faster than that.
pub(super) struct Ledger {
    file: StateFile,
    pub(super) marks: Marks,
    /// Something is to be written before anybody hears of it.
    is_stale: bool,
    has_failed: bool,
}

impl Ledger {
    /// The one that the last master has left, with what is in it, or a new one.
    pub(super) fn open(board: Option<OwnedFd>, vault: &Vault) -> io::Result<(Ledger, BoardState)> {
        let (file, state) = match board {
            Some(memory) => StateFile::adopt(memory, FORMAT).map_err(io::Error::other)?,
            None => {
                let mut file = StateFile::create(FORMAT)?;
                let state = BoardState::default();
                // Whoever finds it can read it.
                file.write(&state)?;
                vault.store(&Key::board(), file.memory(), 0)?;
                (file, state)
            }
        };
        let ledger = Ledger {
            marks: Marks::new(file.memory())?,
            file,
            is_stale: false,
            has_failed: false,
        };
        Ok((ledger, state))
    }

    /// Something has changed that the next master has to know.
    pub(super) fn note_change(&mut self) {
        self.is_stale = true;
    }
}

/// The first number of messages for a master that so many have died before.
pub(super) fn first_number(masters_died: u32) -> u64 {
    (u64::from(masters_died) % RANGES) * NUMBERS
}

impl Switchboard {
    /// Something has changed that the next master has to know.
    pub(super) fn note_change(&mut self) {
        self.ledger.note_change();
    }

    /// Writes down what has changed: before anybody is told what follows from it.
    pub(super) fn write_down(&mut self) {
        if !std::mem::take(&mut self.ledger.is_stale) {
            return;
        }
        let state = self.state(Extent::Estate);
        failpoint::hit("dispatch.node.unwritten");
        let written = self.ledger.file.write(&state);
        failpoint::hit("dispatch.node.written");
        let failed_before = self.ledger.has_failed;
        self.ledger.has_failed = written.is_err();
        if let (Err(error), false) = (written, failed_before) {
            let text = format!(
                "what the next master needs to know of the workers' listeners cannot be written: {error}"
            );
            self.desk.tell(News::Failed(text));
        }
    }

    /// Goes on with what the last master has left.
    pub(super) fn take_over(
        &mut self,
        state: BoardState,
        estate: Estate,
        now: Tick,
    ) -> io::Result<()> {
        let (sockets, lines) = (estate.sockets, estate.lines);
        let living: BTreeMap<_, _> = lines.iter().map(|(id, _)| (id.incarnation, *id)).collect();
        self.next_seq = self.next_seq.max(state.next_seq);
        let exchange = &mut self.exchange;
        let lost = exchange.restore(state.exchange, sockets, &living, (&self.epoll, now))?;
        for place in lost {
            let text = format!("the listener {place} was lost with the last master");
            self.desk.tell(News::Failed(text));
        }
        let states = state.peers.into_iter().map(|it| (it.life, it));
        let mut states: BTreeMap<u64, PeerState> = states.collect();
        for (worker, line) in lines {
            // Whoever has another channel is not served here.
            if let Line::Node(ends) = line {
                self.adopt(worker, ends, states.remove(&worker.incarnation.0))?;
            }
        }
        failpoint::hit("dispatch.node.adopted");
        self.take_in_hand(estate.hand, now);
        self.note_change();
        self.write_down();
        Ok(())
    }

    /// What the next thread goes on with.
    pub(super) fn remains(mut self) -> io::Result<Remains> {
        let state = self.state(Extent::Whole);
        self.ledger.file.write(&state)?;
        let memory = fd::duplicate(self.ledger.file.memory())?;
        let (mut listeners, mut groups) = (Vec::new(), BTreeMap::new());
        for (key, port) in &self.exchange.ports {
            if let Service::Own(quay) = &port.service {
                groups.insert(*key, quay.pieces()?);
            } else if let Some(socket) = port.socket() {
                listeners.push((*key, fd::duplicate(socket)?));
            }
        }
        let board = Board {
            memory,
            listeners,
            groups,
        };
        let left = |(conn, held): (ConnId, Held)| Left {
            socket: held.socket,
            conn: conn.0,
            listener: held.port,
        };
        let peers = self.peers.into_values();
        let lines = peers.map(|peer| (peer.id, Line::Node(peer.into_ends())));
        Ok(Remains {
            listeners: self.listeners,
            lines: lines.collect(),
            hand: self.hand.into_iter().map(left).collect(),
            board: Some(board),
            masters_died: 0,
        })
    }

    fn state(&self, extent: Extent) -> BoardState {
        let place = |peer: &Peer| self.ledger.marks.place_of(&peer.mark);
        let peers = self.peers.values();
        BoardState {
            next_seq: self.next_seq,
            exchange: self.exchange.state(),
            peers: peers.map(|it| it.state(place(it), extent)).collect(),
        }
    }

    fn adopt(
        &mut self,
        worker: WorkerId,
        ends: NodeEnds,
        state: Option<PeerState>,
    ) -> io::Result<()> {
        let life = worker.incarnation;
        let place = state.as_ref().and_then(|it| it.place);
        let marks = &mut self.ledger.marks;
        let mark = match place.and_then(|place| marks.find(place)) {
            Some(mark) => mark,
            None => marks.give()?,
        };
        let duplicate = |goods: Goods| {
            let gift = match goods {
                Goods::Gift(place) => self.listeners.get(place).map(AsFd::as_fd),
                Goods::Port(key) => return self.exchange.socket_of(worker, key),
            };
            fd::duplicate(gift?).ok()
        };
        let watch = (&self.epoll, FIRST_PEER + life.0);
        let peer = Peer::adopt((worker, ends), state, mark, watch, duplicate)?;
        // Whether the main thread had heard it before its death it may not know.
        for word in peer.told.iter().filter(|word| may_be_repeated(word)) {
            let news = NodeNews::Word(worker, word.clone());
            self.desk.tell(News::Node(news));
        }
        if peer.course == Course::Severed {
            let word = Word::Broken(BROKEN.to_owned());
            self.desk.tell(News::Node(NodeNews::Word(worker, word)));
        }
        self.peers.insert(life, peer);
        Ok(())
    }

    /// Connections that the last master held. Those that a worker has to decide about stay its own.
    fn take_in_hand(&mut self, hand: Vec<Left>, now: Tick) {
        let undecided = |peer: &Peer| peer.undecided.values().map(|it| it.1).collect::<Vec<_>>();
        let undecided: BTreeSet<ConnId> = self.peers.values().flat_map(undecided).collect();
        for left in hand {
            let (conn, port, socket) = (ConnId(left.conn), left.listener, left.socket);
            self.hand.insert(conn, Held { socket, port });
            if !undecided.contains(&conn) {
                self.give_again_to_others(conn, now);
            }
        }
    }

    /// A connection that no dispatcher knows of is to be given out.
    pub(super) fn give_again_to_others(&mut self, conn: ConnId, now: Tick) {
        let asks_for_origin = self.spec.picker.asks_for_origin();
        let Some(held) = self.hand.get(&conn) else {
            return;
        };
        let origin = if asks_for_origin {
            origin_of(held.socket.as_fd())
        } else {
            None
        };
        match self.exchange.dispatcher(held.port) {
            Some(dispatcher) => dispatcher.handle(Event::Accepted { conn, origin }, now),
            // The listener was closed meanwhile.
            None => {
                self.hand.remove(&conn);
                self.desk.counters.add(Count::Closed, 1);
            }
        }
    }

    /// Looks whether the workers have received what the last master had sent them, which no event tells;
    /// who has may get connections.
    pub(super) fn look_after_settling(&mut self, now: Tick) {
        let mut settled: Vec<Incarnation> = Vec::new();
        for (life, peer) in &mut self.peers {
            if peer.channel.is_settling() {
                peer.channel.look_after_reading();
            }
            let is_lane_empty = peer.lane.as_mut().is_some_and(Lane::settles);
            if peer.channel.take_settled() {
                peer.channel.flush();
                settled.push(*life);
            } else if is_lane_empty {
                settled.push(*life);
            }
        }
        for life in settled {
            self.hold_everywhere(life, now);
        }
    }
}

fn may_be_repeated(word: &Word) -> bool {
    match word {
        Word::HandleTaken
        | Word::Listening
        | Word::Online
        | Word::Ready
        | Word::Suicide
        | Word::Voluntary => true,
        Word::Broken(_) | Word::Dry | Word::Ended(_) | Word::Served(_) | Word::Swallowed(_) => {
            false
        }
    }
}
