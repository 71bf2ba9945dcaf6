//! The thread that speaks with the workers of an app, and gives them what connects.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::dispatch::Event;
use herder_core::spec::{DispatchSpec, Recall};
use herder_core::{ConnId, Incarnation, Tick, WorkerId};
use herder_sys::epoll::{self, Epoll, Events, Interest};
use herder_sys::listener::Listener;
use herder_sys::{clock, sched};
use herder_wire::node::{Framing, ToNode, UserValue};

use super::channel::{ROOM, Reading};
use super::deal::PATIENCE;
use super::exchange::{Exchange, Service};
use super::peer::{Admission, Course, Peer};
use super::{Afterlife, Counting, NodeNews, NodeTrade, Order, Way, Word};
use crate::dispatch::counters::{Count, Unserved};
use crate::dispatch::{Command, Desk, News};

const WAKE: u64 = 0;
/// Tokens from here on are listeners, and from there on workers.
const FIRST_PORT: u64 = 1 << 32;
const FIRST_PEER: u64 = 1 << 62;

/// How many events one turn takes from the kernel.
const EVENTS: usize = 64;

/// How often one worker is read in one turn, so that a loud one does not starve the rest.
const READINGS: usize = 4;

/// How often a dead worker is read. A socket's buffer holds less.
const LAST_READINGS: usize = 256;

/// When too many descriptors are on their way, sending is tried again after this.
const CROWDED: Duration = Duration::from_millis(10);

/// How many connections a worker may have that it has not decided about. One costs it a round trip of
/// idle time for each connection; and what is in its channel when it stalls cannot be taken back.
const DEPTH: NonZeroU32 = NonZeroU32::new(4).expect("4 is not zero");

/// And how many while it decides about each within milliseconds: the master then wakes once for many.
const PROMPT_DEPTH: NonZeroU32 = NonZeroU32::new(16).expect("16 is not zero");

/// How long workers are waited for, when the herd stops, that have not decided about the last
/// connections: the next word to them waits behind those, but who rejects one then has nobody to leave it
/// to.
const LAST_VERDICTS: Duration = Duration::from_secs(1);

/// How long the door stays open, when the herd stops, for connections that were made before.
const DOOR: Duration = Duration::from_millis(500);

/// The dispatch thread of an app of Node programs.
pub(in crate::dispatch) struct Switchboard {
    pub(super) desk: Desk,
    pub(super) epoll: Epoll,
    pub(super) exchange: Exchange,
    pub(super) peers: BTreeMap<Incarnation, Peer>,
    /// Connections of which no worker has said yet that it takes them.
    pub(super) hand: BTreeMap<ConnId, Held>,
    pub(super) next_conn: u64,
    pub(super) unserved: Unserved,
    pub(super) spec: DispatchSpec,
    gift: Option<UserValue>,
    /// The herd's own listeners: what the gift is.
    pub(super) listeners: Vec<Listener>,
    counting: Counting,
    next_seq: u64,
    room: Box<[u8]>,
    pub(super) last_call: Option<LastCall>,
}

/// One connection of which the master has a descriptor.
pub(super) struct Held {
    pub(super) socket: OwnedFd,
    pub(super) port: u64,
}

/// A stopping herd serves who had connected before.
pub(super) struct LastCall {
    /// Until when the door stays open.
    door: Tick,
    /// Until when the workers may decide about the last ones; known when the door is closed.
    decide_by: Option<Tick>,
    /// Until when connections may wait.
    until: Tick,
    /// Workers that are to be withdrawn; none any more once the call is over.
    withheld: Option<Vec<WorkerId>>,
}

/// Whether the thread goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

impl Switchboard {
    pub(in crate::dispatch) fn new(
        spec: &DispatchSpec,
        listeners: Vec<Listener>,
        trade: NodeTrade,
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
        Ok(Switchboard {
            desk,
            epoll,
            exchange: Exchange::new(trade.scheduling, &spec, FIRST_PORT),
            peers: BTreeMap::new(),
            hand: BTreeMap::new(),
            next_conn: 1,
            unserved: Unserved::default(),
            spec,
            gift: trade.gift,
            listeners,
            counting: trade.counting,
            next_seq: 0,
            room: vec![0; ROOM].into_boxed_slice(),
            last_call: None,
        })
    }

    /// Runs until told to stop.
    pub(in crate::dispatch) fn run(mut self) -> io::Result<()> {
        // The thread is then not run at each handshake, but finds many connections when its turn
        // comes. Refused in some sandboxes; then it costs more.
        let _unbatched = sched::batch_this_thread();
        let ended = self.turns();
        // Nobody serves what is still here; it is closed with the thread.
        self.desk.counters.add(Count::Closed, self.hand.len());
        for key in self.exchange.ports.keys().copied().collect::<Vec<_>>() {
            self.exchange.close(key);
        }
        ended
    }

    /// The next number of a message.
    pub(super) fn seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    pub(super) fn tell(&self, news: NodeNews) {
        self.desk.tell(News::Node(news));
    }

    /// Says something to a worker. One that cannot be told is given up.
    pub(super) fn say(
        &mut self,
        life: Incarnation,
        message: &ToNode<'_>,
        descriptor: Option<OwnedFd>,
        now: Tick,
    ) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        if peer.course == Course::Severed {
            return;
        }
        if let Err(fault) = peer.channel.say(message, descriptor) {
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
                    let message = ToNode::UserWithHandle {
                        handle: herder_wire::node::UserHandle::Server,
                        value: &gift,
                    };
                    self.say(life, &message, Some(copy), now);
                }
                Err(error) => {
                    let text = format!("a listener cannot be sent to a worker: {error}");
                    self.desk.tell(News::Failed(text));
                }
            }
        }
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let timeout = self.timeout();
            self.epoll.wait(&mut events, timeout)?;
            let now = now();
            for event in events.iter() {
                match event.token {
                    WAKE => {
                        if self.obey(now) == Next::End {
                            return Ok(());
                        }
                    }
                    token if token >= FIRST_PEER => {
                        self.attend(Incarnation(token - FIRST_PEER), &event, now);
                    }
                    token => {
                        if let Some(doorway) = self.exchange.doorway(token - FIRST_PORT) {
                            doorway.is_ready = true;
                        }
                    }
                }
            }
            self.accept(now);
            // After what was said just now, so that nobody is judged late.
            for (_, doorway) in self.exchange.doorways() {
                let due = doorway.dispatcher.poll_timeout();
                if due.is_some_and(|at| at <= now) {
                    doorway.dispatcher.handle(Event::Timer, now);
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
        for peer in self.peers.values_mut() {
            if peer.channel.is_crowded() {
                peer.channel.flush();
            }
            peer.rewatch(&self.epoll)?;
            if peer.losses.due().is_some_and(|at| at <= now) {
                for (way, lost) in peer.losses.take(now) {
                    let news = NodeNews::Lost(peer.id, way, lost);
                    self.desk.tell(News::Node(news));
                }
            }
            if self.counting == Counting::Yes && peer.served != peer.served_told {
                peer.served_told = peer.served;
                let word = NodeNews::Word(peer.id, Word::Served(peer.served));
                self.desk.tell(News::Node(word));
            }
        }
        Ok(())
    }

    fn timeout(&mut self) -> Option<Duration> {
        let now = now();
        let crowded = self.peers.values().any(|peer| peer.channel.is_crowded());
        let crowded = crowded.then(|| now.after(CROWDED));
        let losses = self.peers.values().filter_map(|peer| peer.losses.due());
        let losses = losses.min();
        let call = self.last_call.as_ref().and_then(LastCall::due);
        let abandoned = self.exchange.next_abandoned();
        let abandoned = abandoned.filter(|_| self.last_call.is_none());
        let doorways = self.exchange.doorways();
        let doorways = doorways.flat_map(|(_, doorway)| {
            let wishes = [
                doorway.dispatcher.poll_timeout(),
                doorway.acceptor.timeout(),
            ];
            wishes.into_iter().flatten()
        });
        let others = [crowded, losses, call, abandoned].into_iter().flatten();
        let first = doorways.chain(others).min();
        first.map(|at| at.since(now))
    }

    fn obey(&mut self, now: Tick) -> Next {
        self.desk.wake.clear();
        while let Ok(command) = self.desk.commands.try_recv() {
            match command {
                Command::Admit(worker) => self.set_admission(worker, Admission::Admitted, now),
                // Native workers have such links, and native programs are not served here; and
                // nobody tells how many connections a Node program holds open.
                Command::Attach(..) | Command::Load(..) => {}
                Command::CloseListeners(within) => self.call_last(within, now),
                Command::Gone(worker) => self.part_with(worker.incarnation, now),
                Command::Hold(worker) => self.set_admission(worker, Admission::NotNow, now),
                Command::Node(worker, order) => self.obey_order(worker, order, now),
                Command::Stop => return Next::End,
                Command::Withdraw(worker) => match &mut self.last_call {
                    Some(LastCall {
                        withheld: Some(withheld),
                        ..
                    }) => withheld.push(worker),
                    Some(_) | None => self.withdraw(worker, now),
                },
            }
        }
        Next::Continue
    }

    fn obey_order(&mut self, worker: WorkerId, order: Order, now: Tick) {
        let life = worker.incarnation;
        match order {
            Order::Attach(socket) => {
                match Peer::new(worker, socket, &self.epoll, FIRST_PEER + life.0) {
                    Ok(peer) => drop(self.peers.insert(life, peer)),
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
    fn listen_to(&mut self, life: Incarnation, now: Tick) -> Option<Reading> {
        let peer = self.peers.get_mut(&life)?;
        if peer.course == Course::Severed {
            return None;
        }
        let reading = match peer.channel.read(&mut self.room) {
            Ok(reading) => reading,
            Err(fault) => {
                self.sever(life, fault.to_string(), now);
                return None;
            }
        };
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
        let peer = self.peers.get_mut(&life)?;
        let too_long = peer.channel.take_skipped();
        peer.losses.add(Way::From, too_long);
        if reading == Reading::Ended {
            let peer = self.peers.get(&life)?;
            let (worker, framing) = (peer.id, peer.channel.framing());
            self.part_with(life, now);
            let afterlife = match framing {
                Framing::Bun => Afterlife::Serves,
                Framing::Node => Afterlife::None,
            };
            self.tell(NodeNews::Word(worker, Word::Ended(afterlife)));
        }
        Some(reading)
    }

    fn call_last(&mut self, within: Duration, now: Tick) {
        self.last_call = Some(LastCall {
            door: now.after(DOOR.min(within)),
            until: now.after(within),
            decide_by: None,
            withheld: Some(Vec::new()),
        });
        self.listeners.clear();
        let ports = self.exchange.ports.iter();
        let shared = ports.filter(|(_, port)| matches!(port.service, Service::Shared { .. }));
        for key in shared.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.exchange.close(key);
        }
        for (_, doorway) in self.exchange.doorways() {
            doorway.acceptor.last_call();
        }
    }

    /// Closes the door when everybody who had connected is in; lets the workers go when all of them
    /// were taken, or have waited long enough.
    fn end_last_call(&mut self, now: Tick) {
        let Some(call) = &mut self.last_call else {
            return;
        };
        let all_in = self
            .exchange
            .doorways()
            .all(|(_, it)| it.acceptor.is_done());
        if call.decide_by.is_none() && (call.door <= now || all_in) {
            call.decide_by = Some(now.after(LAST_VERDICTS));
            for (_, doorway) in self.exchange.doorways() {
                doorway.acceptor.close();
            }
            for port in self.exchange.ports.values_mut() {
                if let Some(file) = port.file.take() {
                    file.remove();
                }
            }
            self.desk.tell(News::ListenersClosed);
        }
        let mut doorways = self.exchange.doorways();
        let nobody_waits = doorways.all(|(_, it)| it.dispatcher.pending() == 0);
        let decided = self.hand.is_empty() || call.decide_by.is_some_and(|by| by <= now);
        drop(doorways);
        let is_over = call.decide_by.is_some() && nobody_waits && decided;
        if is_over || self.peers.is_empty() || call.until <= now {
            for worker in call.withheld.take().unwrap_or_default() {
                self.withdraw(worker, now);
            }
        }
    }
}

impl LastCall {
    fn due(&self) -> Option<Tick> {
        // When it is over nothing is due.
        self.withheld.as_ref()?;
        let next = self.decide_by.unwrap_or(self.door);
        Some(next.min(self.until))
    }
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}

#[cfg(test)]
#[path = "switchboard_tests.rs"]
mod tests;
