//! The thread that speaks with the workers of an app, and gives them what connects.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::dispatch::Event;
use herder_core::spec::{DispatchSpec, Recall};
use herder_core::{ConnId, Incarnation, Tick, WorkerId};
use herder_sys::epoll::{self, Epoll, Events, Interest};
use herder_sys::listener::Listener;
use herder_sys::{clock, failpoint, sched};
use herder_wire::node::{Framing, ToNode, UserValue};

use super::board::{Estate, Ledger, first_number};
use super::channel::{Care, CutNews, Goods, Parcel, ROOM, Reading};
use super::deal::PATIENCE;
use super::exchange::{Exchange, Heirlooms};
use super::heed::Parked;
use super::last_call::LastCall;
use super::peer::{Admission, Course, Peer};
use super::{Afterlife, Counting, NodeNews, NodeTrade, Order, Way, Word};
use crate::dispatch::counters::{Count, Unserved};
use crate::dispatch::{Command, Desk, Ended, Inheritance, News};
use crate::estate::Vault;

const WAKE: u64 = 0;
/// Tokens from here on are listeners, and from there on workers.
const FIRST_PORT: u64 = 1 << 32;
pub(super) const FIRST_PEER: u64 = 1 << 62;
/// And beyond that, their lanes.
pub(super) const LANE: u64 = 1 << 61;
const FIRST_LANE: u64 = FIRST_PEER + LANE;

/// How many events one turn takes from the kernel.
const EVENTS: usize = 64;

/// How often one worker is read in one turn, so that a loud one does not starve the rest.
pub(super) const READINGS: usize = 4;

/// How often a dead worker is read. A socket's buffer holds less.
pub(super) const LAST_READINGS: usize = 256;

/// When too many descriptors are on their way, sending is tried again after this.
const CROWDED: Duration = Duration::from_millis(10);

/// How often it is looked at what no event tells: whether a worker has received what the last master had
/// sent it, and whether the keeper has closed what was closed here.
const SETTLING: Duration = Duration::from_millis(5);

/// How many connections a worker may have that it has not decided about. One costs it a round trip of
/// idle time for each connection; and what is in its channel when it stalls cannot be taken back.
const DEPTH: NonZeroU32 = NonZeroU32::new(4).expect("4 is not zero");

/// And how many while it decides about each within milliseconds: the master then wakes once for many.
const PROMPT_DEPTH: NonZeroU32 = NonZeroU32::new(16).expect("16 is not zero");

/// The dispatch thread of an app of Node programs.
pub(in crate::dispatch) struct Switchboard {
    pub(super) desk: Desk,
    pub(super) epoll: Epoll,
    pub(super) exchange: Exchange,
    pub(super) peers: BTreeMap<Incarnation, Peer>,
    /// Of whom it is not known yet that their turns come no more.
    pub(super) withdrawing: BTreeSet<WorkerId>,
    /// Connections of which no worker has said yet that it takes them.
    pub(super) hand: BTreeMap<ConnId, Held>,
    pub(super) next_conn: u64,
    pub(super) unserved: Unserved,
    pub(super) spec: DispatchSpec,
    gift: Option<UserValue>,
    /// The herd's own listeners: what the gift is.
    pub(super) listeners: Vec<Listener>,
    counting: Counting,
    pub(super) next_seq: u64,
    /// Numbers below are those of dead masters.
    pub(super) first_seq: u64,
    pub(super) ledger: Ledger,
    /// Queries that are asked again.
    pub(super) parked: Vec<Parked>,
    pub(super) room: Box<[u8]>,
    pub(super) last_call: Option<LastCall>,
}

/// One connection of which the master has a descriptor.
pub(super) struct Held {
    pub(super) socket: OwnedFd,
    pub(super) port: u64,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    End,
    Surrender,
}

impl Switchboard {
    pub(in crate::dispatch) fn new(
        spec: &DispatchSpec,
        inheritance: Inheritance,
        trade: NodeTrade,
        vault: &Vault,
        desk: Desk,
    ) -> io::Result<Switchboard> {
        let epoll = Epoll::new()?;
        epoll.add(desk.wake.as_fd(), WAKE, Interest::READABLE)?;
        let spec = DispatchSpec {
            recall: Recall::Verdict,
            window: PROMPT_DEPTH,
            cautious_window: DEPTH,
            pending_timeout: PATIENCE.max(spec.pending_timeout),
            ..spec.clone()
        };
        let (memory, sockets) = match inheritance.board {
            Some(board) => {
                let (sockets, groups) = (board.listeners, board.groups);
                (Some(board.memory), Heirlooms { sockets, groups })
            }
            None => (None, Heirlooms::default()),
        };
        let (ledger, state) = Ledger::open(memory, vault)?;
        let first_seq = first_number(inheritance.masters_died);
        let next_conn = desk.counters.read(Count::Accepted) + 1;
        let mut board = Switchboard {
            desk,
            epoll,
            exchange: Exchange::new(
                (trade.scheduling, trade.group),
                &spec,
                FIRST_PORT,
                vault.clone(),
            ),
            peers: BTreeMap::new(),
            withdrawing: BTreeSet::new(),
            hand: BTreeMap::new(),
            next_conn,
            unserved: Unserved::default(),
            spec,
            gift: trade.gift,
            listeners: inheritance.listeners,
            counting: trade.counting,
            next_seq: first_seq,
            first_seq,
            ledger,
            parked: Vec::new(),
            room: vec![0; ROOM].into_boxed_slice(),
            last_call: None,
        };
        let estate = Estate {
            sockets,
            lines: inheritance.lines,
            hand: inheritance.hand,
        };
        board.take_over(state, estate, now())?;
        Ok(board)
    }

    /// Runs until told to stop.
    pub(in crate::dispatch) fn run(mut self) -> io::Result<Ended> {
        // The thread is then not run at each handshake, but finds many connections when its turn
        // comes. Refused in some sandboxes; then it costs more.
        let _unbatched = sched::batch_this_thread();
        let ended = self.turns();
        if let Ok(Next::Surrender) = ended {
            return Ok(Ended::Surrendered(Box::new(self.remains()?)));
        }
        // Nobody serves what is still here; it is closed with the thread.
        let decide = |peer: &Peer| peer.undecided.len();
        let undecided: usize = self.peers.values().map(decide).sum();
        let unserved = self.hand.len().saturating_sub(undecided);
        self.desk.counters.add(Count::Closed, unserved);
        for key in self.exchange.ports.keys().copied().collect::<Vec<_>>() {
            self.exchange.close(key, &self.epoll);
        }
        ended.map(|_| Ended::Stopped)
    }

    /// The next number of a message.
    pub(super) fn seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    pub(super) fn tell(&mut self, news: NodeNews) {
        self.write_down();
        self.desk.tell(News::Node(news));
    }

    /// Says something to a worker. One that cannot be told is given up.
    pub(super) fn say(
        &mut self,
        life: Incarnation,
        message: &ToNode<'_>,
        parcel: Option<Parcel>,
        now: Tick,
    ) {
        self.write_down();
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        if peer.course == Course::Severed {
            return;
        }
        if let Err(fault) = peer.channel.say(message, parcel) {
            self.sever(life, fault.to_string(), now);
        }
    }

    /// Whether the herd's own listeners are given to the workers.
    pub(super) fn gives_listeners(&self) -> bool {
        self.gift.is_some()
    }

    /// Gives the herd's own listeners to a worker.
    pub(super) fn give_listeners(&mut self, life: Incarnation, now: Tick) {
        let Some(gift) = self.gift.clone() else {
            return;
        };
        for place in 0..self.listeners.len() {
            let copy = herder_sys::fd::duplicate(self.listeners[place].as_fd());
            match copy {
                Ok(copy) => {
                    if let Some(peer) = self.peers.get_mut(&life) {
                        peer.gifts += 1;
                    }
                    self.note_change();
                    let parcel = Parcel {
                        descriptor: copy,
                        of: Goods::Gift(place),
                    };
                    let message = ToNode::UserWithHandle {
                        handle: herder_wire::node::UserHandle::Server,
                        value: &gift,
                    };
                    self.say(life, &message, Some(parcel), now);
                }
                Err(error) => {
                    let text = format!("a listener cannot be sent to a worker: {error}");
                    self.desk.tell(News::Failed(text));
                }
            }
        }
    }

    fn turns(&mut self) -> io::Result<Next> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let timeout = self.timeout();
            self.epoll.wait(&mut events, timeout)?;
            let now = now();
            for event in events.iter() {
                match event.token {
                    WAKE => {
                        let next = self.obey(now);
                        if next != Next::Continue {
                            return Ok(next);
                        }
                    }
                    token if token >= FIRST_LANE => {
                        self.attend_lane(Incarnation(token - FIRST_LANE), now);
                    }
                    token if token >= FIRST_PEER => {
                        self.attend(Incarnation(token - FIRST_PEER), &event, now);
                    }
                    token => {
                        self.exchange.stir(token - FIRST_PORT);
                    }
                }
            }
            self.look_after_settling(now);
            self.close_ended_lanes(now);
            self.ask_again(now);
            self.accept(now);
            self.tend_quays(now);
            // After what was said just now, so that nobody is judged late.
            for (_, dispatcher) in self.exchange.dispatchers() {
                let due = dispatcher.poll_timeout();
                if due.is_some_and(|at| at <= now) {
                    dispatcher.handle(Event::Timer, now);
                }
            }
            self.act(now);
            self.close_abandoned(now);
            self.end_last_call(now);
            self.prepare_next(now)?;
        }
    }

    /// Has the kernel wake the thread for what it can do next.
    fn prepare_next(&mut self, now: Tick) -> io::Result<()> {
        let at_last_call = self.last_call.is_some();
        for (_, doorway) in self.exchange.doorways() {
            let budget = if at_last_call {
                EVENTS
            } else {
                doorway.dispatcher.accept_budget()
            };
            doorway.acceptor.arm(&self.epoll, budget, now)?;
        }
        let mut is_changed = false;
        for peer in self.peers.values_mut() {
            if peer.channel.is_crowded() {
                peer.channel.flush();
            }
            peer.rewatch(&self.epoll)?;
            match peer.channel.take_cut_news() {
                Some(CutNews::Begun) => is_changed = true,
                Some(CutNews::Goes(progress)) => peer.mark.note_progress(progress),
                None => {}
            }
            if peer.losses.due().is_some_and(|at| at <= now) {
                for (way, lost) in peer.losses.take(now) {
                    let news = NodeNews::Lost(peer.id, way, lost);
                    self.desk.tell(News::Node(news));
                }
            }
            if self.counting == Counting::Yes && peer.mark.served() != peer.served_told {
                peer.served_told = peer.mark.served();
                let word = NodeNews::Word(peer.id, Word::Served(peer.served_told));
                self.desk.tell(News::Node(word));
            }
        }
        if is_changed {
            self.note_change();
        }
        self.write_down();
        Ok(())
    }

    fn timeout(&mut self) -> Option<Duration> {
        let now = now();
        let crowded = self.peers.values().any(|peer| peer.channel.is_crowded());
        let crowded = crowded.then(|| now.after(CROWDED));
        let settling = self.peers.values().any(Peer::is_settling);
        let looks = settling || !self.parked.is_empty();
        let settling = looks.then(|| now.after(SETTLING));
        let losses = self.peers.values().filter_map(|peer| peer.losses.due());
        let losses = losses.min();
        let lanes = self.peers.values().filter_map(|it| it.lane.as_ref()?.due());
        let lanes = lanes.min();
        let call = self.last_call.as_ref().and_then(LastCall::due);
        let abandoned = self.exchange.next_abandoned();
        let abandoned = abandoned.filter(|_| self.last_call.is_none());
        let listeners = self.exchange.due();
        let others = [crowded, settling, losses, lanes, call, abandoned, listeners]
            .into_iter()
            .flatten();
        others.min().map(|at| at.since(now))
    }

    fn obey(&mut self, now: Tick) -> Next {
        self.desk.wake.clear();
        while let Ok(command) = self.desk.commands.try_recv() {
            match command {
                Command::Admit(worker) => self.set_admission(worker, Admission::Admitted, now),
                // Native workers have such links, and native programs are not served here; and
                // nobody tells how many connections a Node program holds open.
                Command::Attach(..) | Command::Guessed(_) | Command::Load(..) => {}
                Command::CloseListeners(within) => self.call_last(within, now),
                #[cfg(test)]
                Command::Die => crate::dispatch::die(),
                Command::Gone(worker) => self.part_with(worker, now),
                Command::Hold(worker) => self.set_admission(worker, Admission::NotNow, now),
                Command::Node(worker, order) => self.obey_order(worker, order, now),
                Command::Stop => return Next::End,
                Command::Surrender => return Next::Surrender,
                Command::Withdraw(worker) => {
                    let call = self.last_call.as_mut();
                    if !call.is_some_and(|call| call.withholds(worker)) {
                        self.withdraw(worker, now);
                    }
                }
            }
        }
        Next::Continue
    }

    fn obey_order(&mut self, worker: WorkerId, order: Order, now: Tick) {
        let life = worker.incarnation;
        match order {
            Order::Attach(ends) => {
                let mark = self.ledger.marks.give();
                let token = FIRST_PEER + life.0;
                let peer = mark.and_then(|mark| Peer::new(worker, ends, mark, &self.epoll, token));
                match peer {
                    Ok(peer) => {
                        self.peers.insert(life, peer);
                        self.note_change();
                    }
                    // Its channel ends with this, and Node with its channel.
                    Err(error) => {
                        let text = format!("a worker's channel cannot be watched: {error}");
                        self.tell(NodeNews::Word(worker, Word::Broken(text)));
                    }
                }
            }
            Order::Disconnect => self.disconnect(life, now),
            Order::ReadDry => {
                let mut silences = 0;
                for _ in 0..LAST_READINGS {
                    match self.listen_to(life, now) {
                        Some(Reading::Goes) => {}
                        // The second one is no pause: somebody else holds the other end open.
                        Some(Reading::Quiet) if silences == 0 => silences += 1,
                        Some(Reading::Ended | Reading::Quiet) | None => break,
                    }
                }
                self.tell(NodeNews::Word(worker, Word::Dry));
            }
            Order::Relay(value) => self.relay(life, &value),
            Order::Tell(value) => self.say(life, &ToNode::User(&value), None, now),
        }
    }

    /// Something happened on a worker's channel.
    fn attend(&mut self, life: Incarnation, event: &epoll::Event, now: Tick) {
        if event.writable
            && let Some(peer) = self.peers.get_mut(&life)
        {
            peer.channel.flush();
        }
        for _ in 0..READINGS {
            if self.listen_to(life, now) != Some(Reading::Goes) {
                return;
            }
        }
    }

    /// Reads once from a worker, and does what it says. `None`: nobody listens to it any more.
    pub(super) fn listen_to(&mut self, life: Incarnation, now: Tick) -> Option<Reading> {
        let peer = self.peers.get_mut(&life)?;
        if peer.course == Course::Severed {
            return None;
        }
        let care = Care::of(peer.is_young);
        let reading = match peer.channel.read(&mut self.room, care) {
            Ok(reading) => reading,
            Err(fault) => {
                self.sever(life, fault.to_string(), now);
                return None;
            }
        };
        failpoint::hit("dispatch.node.heard");
        if peer.channel.has_arrival() {
            peer.mark.note_debt(true);
        }
        loop {
            let peer = self.peers.get_mut(&life)?;
            match peer.channel.hear() {
                Ok(Some(heard)) => self.heed(life, heard, now),
                Ok(None) => break,
                Err(fault) => {
                    self.sever(life, fault.to_string(), now);
                    return None;
                }
            }
        }
        // What follows from it was done; what was told of it was written down.
        self.write_down();
        failpoint::hit("dispatch.node.heeded");
        let peer = self.peers.get_mut(&life)?;
        peer.channel.done(&mut self.room);
        peer.mark.note_standpoint(peer.channel.standpoint());
        if peer.mark.owes_answer() {
            peer.mark.note_debt(false);
        }
        let too_long = peer.channel.take_skipped();
        peer.losses.add(Way::From, too_long);
        if reading == Reading::Ended {
            let peer = self.peers.get(&life)?;
            let (worker, framing) = (peer.id, peer.channel.framing());
            self.part_with(worker, now);
            let afterlife = match framing {
                Framing::Bun => Afterlife::Serves,
                Framing::Node => Afterlife::None,
            };
            self.tell(NodeNews::Word(worker, Word::Ended(afterlife)));
        }
        Some(reading)
    }
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}

#[cfg(test)]
#[path = "switchboard_tests.rs"]
mod tests;
