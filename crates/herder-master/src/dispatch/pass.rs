//! `pass` mode: the master accepts, and hands each connection to a worker.
//!
//! The thread translates between the kernel and the pure `Dispatcher`: it accepts while somebody
//! has credit, sends what the dispatcher assigns, measures and takes back what it asks for.

mod succession;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::dispatch::{Action, Batch, CloseReason, Dispatcher, Event, MAX_BATCH};
use herder_core::rotation::Load;
use herder_core::spec::DispatchSpec;
use herder_core::{ConnId, Incarnation, Origin, Tick, WorkerId};
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::Reserve;
use herder_sys::{clock, failpoint, random, sched};

use super::acceptor::{Accepted, Acceptor, origin_of};
use super::counters::{Count, Unserved};
use super::link::{Held, Link};
use super::{Command, Desk, Ended, Inheritance, News};

const WAKE: u64 = 0;
const FIRST_LISTENER: u64 = 1;
/// Tokens from here on are incarnations; listeners stay far below.
const FIRST_LINK: u64 = 1 << 32;

/// How many events one turn takes from the kernel.
const EVENTS: usize = 64;

/// When to look again at what the kernel cannot tell of by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long the door stays open, when the herd stops, for connections that were made before.
const DOOR: Duration = Duration::from_millis(500);

/// The dispatch thread of an app in `pass` mode.
pub(super) struct Pass {
    desk: Desk,
    epoll: Epoll,
    acceptor: Acceptor,
    dispatcher: Dispatcher,
    origins: Origins,
    links: BTreeMap<Incarnation, (WorkerId, Link)>,
    /// Connections in the master's own hand.
    hand: BTreeMap<ConnId, Held>,
    next_conn: u64,
    /// The listeners at which somebody waits in this turn.
    ready: Vec<usize>,
    /// Which of them is first.
    turn: usize,
    /// Whether several connections came in the last turn in which any came.
    crowded: bool,
    /// Workers whose receipts should wake the thread, but the kernel had no memory for it.
    unwatchable: BTreeSet<Incarnation>,
    last_call: Option<LastCall>,
    /// Room for what is taken back when every other descriptor is in use.
    reserve: Reserve,
    unserved: Unserved,
}

/// A stopping herd serves who had connected before. Nobody else could, so the workers go on receiving
/// until nothing waits; only then are they withdrawn.
struct LastCall {
    /// Until when the door stays open.
    door: Tick,
    /// Until when connections may wait.
    until: Tick,
    /// Workers that are to be withdrawn.
    withheld: Vec<WorkerId>,
}

/// Whether the policy asks where a connection comes from, which costs a system call each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origins {
    Asked,
    Unasked,
}

impl Origins {
    fn of(self, held: &Held) -> Option<Origin> {
        match self {
            Origins::Asked => origin_of(held.socket.as_fd()),
            Origins::Unasked => None,
        }
    }
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    End,
    Surrender,
}

impl Pass {
    pub(super) fn new(
        spec: &DispatchSpec,
        inheritance: Inheritance,
        desk: Desk,
    ) -> io::Result<Pass> {
        let epoll = Epoll::new()?;
        epoll.add(desk.wake.as_fd(), WAKE, Interest::READABLE)?;
        let acceptor = Acceptor::new(inheritance.listeners, &epoll, FIRST_LISTENER)?;
        // Numbers go on where the last master's ended: some of its connections may still be on their way.
        let next_conn = desk.counters.read(Count::Accepted) + 1;
        let mut pass = Pass {
            desk,
            epoll,
            acceptor,
            dispatcher: Dispatcher::new(spec, random::seed()),
            origins: if spec.picker.asks_for_origin() {
                Origins::Asked
            } else {
                Origins::Unasked
            },
            links: BTreeMap::new(),
            hand: BTreeMap::new(),
            next_conn,
            ready: Vec::new(),
            turn: 0,
            crowded: false,
            unwatchable: BTreeSet::new(),
            last_call: None,
            reserve: Reserve::new(MAX_BATCH)?,
            unserved: Unserved::default(),
        };
        pass.take_over(inheritance.lines, inheritance.hand);
        Ok(pass)
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) -> io::Result<Ended> {
        // It halves the cost per connection: the thread is not run at each handshake, but finds
        // many connections when its turn comes. Refused in some sandboxes; then it costs more.
        let _unbatched = sched::batch_this_thread();
        let ended = self.turns();
        if let Ok(Next::Surrender) = ended {
            return Ok(Ended::Surrendered(Box::new(self.remains())));
        }
        // Nobody serves what is still here; it is closed with the thread.
        self.desk.counters.add(Count::Closed, self.hand.len());
        ended.map(|_| Ended::Stopped)
    }

    fn turns(&mut self) -> io::Result<Next> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.epoll.wait(&mut events, self.timeout())?;
            let now = now();
            for event in events.iter() {
                match event.token {
                    WAKE => {
                        let next = self.obey(now);
                        if next != Next::Continue {
                            return Ok(next);
                        }
                    }
                    token if token >= FIRST_LINK => {
                        self.measure(Incarnation(token - FIRST_LINK), now);
                    }
                    token => self.ready.extend(self.acceptor.place_of(token)),
                }
            }
            self.accept(now);
            self.look_again(now);
            // Last, so that what was received just now is not judged late.
            if self.dispatcher.poll_timeout().is_some_and(|at| at <= now) {
                self.dispatcher.handle(Event::Timer, now);
            }
            self.act(now);
            self.end_last_call(now);
            self.acceptor.arm(&self.epoll, self.budget(), now)?;
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let look = self.last_call.is_some() || !self.unwatchable.is_empty();
        let look = look.then(|| now().after(LOOK_AGAIN));
        let wishes = [
            self.dispatcher.poll_timeout(),
            self.acceptor.timeout(),
            look,
        ];
        wishes.into_iter().flatten().min().map(|at| at.since(now()))
    }

    fn obey(&mut self, now: Tick) -> Next {
        self.desk.wake.clear();
        while let Ok(command) = self.desk.commands.try_recv() {
            match command {
                Command::Admit(worker) => self.dispatcher.handle(Event::Admit { worker }, now),
                Command::Attach(worker, link) => {
                    self.links.insert(worker.incarnation, (worker, link));
                }
                Command::CloseListeners(within) => {
                    self.acceptor.last_call();
                    self.last_call = Some(LastCall {
                        door: now.after(DOOR.min(within)),
                        until: now.after(within),
                        withheld: Vec::new(),
                    });
                }
                #[cfg(test)]
                Command::Die => crate::dispatch::die(),
                Command::Gone(worker) => self.gone(worker, now),
                // Who receives is known here.
                Command::Guessed(_) | Command::Node(..) => {}
                Command::Hold(worker) => self.dispatcher.handle(Event::Hold { worker }, now),
                Command::Load(worker, Load { open, .. }) => {
                    self.dispatcher.handle(Event::Load { worker, open }, now);
                }
                Command::Stop => return Next::End,
                Command::Surrender => return Next::Surrender,
                Command::Withdraw(worker) => match &mut self.last_call {
                    Some(call) => call.withheld.push(worker),
                    None => self.withdraw(worker, now),
                },
            }
        }
        Next::Continue
    }

    /// Accepts while there is credit; the listeners are level-triggered, so the rest comes next turn.
    ///
    /// One from each in turn, each turn beginning with another: a flood at one address leaves the
    /// others their share.
    ///
    /// While connections come one by one, each is handed over before anybody looks for the next; a crowd is
    /// accepted first, so that it travels in few messages.
    fn accept(&mut self, now: Tick) {
        if self.ready.is_empty() {
            return;
        }
        let mut ready = std::mem::take(&mut self.ready);
        if ready.len() > 1 {
            ready.sort_unstable();
            self.turn = self.turn.wrapping_add(1);
            let first = self.turn % ready.len();
            ready.rotate_left(first);
        }
        let whole = self.budget();
        let mut budget = whole;
        while budget > 0 && !ready.is_empty() {
            let is_first = budget == whole;
            ready.retain(|place| {
                let taken = budget > 0 && self.accept_from(*place, now);
                budget -= usize::from(taken);
                taken
            });
            if is_first && !self.crowded {
                self.act(now);
            }
        }
        if budget < whole {
            self.crowded = whole - budget > 1;
        }
        ready.clear();
        self.ready = ready;
    }

    /// How many connections may be taken now. At the last call all that wait: there is no other time.
    fn budget(&self) -> usize {
        match self.last_call {
            Some(_) => EVENTS,
            None => self.dispatcher.accept_budget(),
        }
    }

    /// Takes one connection, if there is one.
    fn accept_from(&mut self, place: usize, now: Tick) -> bool {
        let Pass { desk, acceptor, .. } = self;
        match desk.counters.accept(|| acceptor.accept(place, now)) {
            Accepted::Connection(socket) => {
                failpoint::hit("dispatch.accepted");
                let conn = ConnId(self.next_conn);
                self.next_conn += 1;
                let listener = u16::try_from(place).unwrap_or(u16::MAX);
                let held = Held { socket, listener };
                let origin = self.origins.of(&held);
                self.hand.insert(conn, held);
                self.dispatcher
                    .handle(Event::Accepted { conn, origin }, now);
                true
            }
            Accepted::Nothing => false,
            Accepted::Paused(error) => {
                self.desk.tell(News::AcceptPaused(error.to_string()));
                false
            }
        }
    }

    /// Looks at what no event tells of: the queues of workers that cannot be watched, and of all of
    /// them while the last connections are given out.
    fn look_again(&mut self, now: Tick) {
        let looked: Vec<Incarnation> = match self.last_call {
            Some(_) => self.links.keys().copied().collect(),
            None => self.unwatchable.iter().copied().collect(),
        };
        for incarnation in looked {
            self.measure(incarnation, now);
        }
        let (links, epoll) = (&self.links, &self.epoll);
        self.unwatchable.retain(|incarnation| {
            let link = links.get(incarnation);
            link.is_some_and(|(_, link)| watch_receipts(epoll, *incarnation, link).is_err())
        });
    }

    /// Closes the door when everybody who had connected is in; lets the workers go when all of them
    /// were received, or have waited long enough.
    fn end_last_call(&mut self, now: Tick) {
        let Some(call) = &self.last_call else { return };
        if self.acceptor.is_open() && (self.acceptor.is_done() || call.door <= now) {
            self.acceptor.close(&self.epoll);
            self.desk.tell(News::ListenersClosed);
        }
        let queued = |(worker, _): &(WorkerId, Link)| self.dispatcher.queued(*worker);
        let waiting = self.dispatcher.pending() + self.links.values().map(queued).sum::<usize>();
        let served = !self.acceptor.is_open() && waiting == 0;
        if served || self.links.is_empty() || call.until <= now {
            let withheld = self.last_call.take().map(|call| call.withheld);
            for worker in withheld.unwrap_or_default() {
                self.withdraw(worker, now);
            }
        }
    }

    fn withdraw(&mut self, worker: WorkerId, now: Tick) {
        self.dispatcher.handle(Event::Withdraw { worker }, now);
        // Taken back before its death is told, which may be the next command: what waits for a
        // worker that leaves has not met a death.
        self.act(now);
    }

    fn act(&mut self, now: Tick) {
        while let Some(action) = self.dispatcher.poll_action() {
            match action {
                Action::Close { conn, reason } => self.close(conn, reason),
                Action::Measure { worker } => self.measure(worker.incarnation, now),
                Action::Probe { worker } => self.probe(worker),
                Action::Send { worker, conns } => self.send(worker, conns, now),
                Action::TakeBack { worker } => self.take_back(worker, now),
                Action::Unwatch { worker } => self.unwatch(worker),
                Action::Watch { worker } => self.watch(worker),
                Action::Withdrawn { worker, .. } => self.withdrawn(worker),
            }
        }
    }

    fn send(&mut self, worker: WorkerId, conns: Batch, now: Tick) {
        let held = conns
            .as_slice()
            .iter()
            .filter_map(|conn| Some((*conn, self.hand.get(conn)?)));
        let sent = match self.links.get(&worker.incarnation) {
            Some((_, link)) => failpoint::check("dispatch.send").and_then(|()| link.send(held)),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(()) => {
                failpoint::hit("dispatch.sent");
                for conn in conns.as_slice() {
                    self.hand.remove(conn);
                }
                self.desk
                    .counters
                    .add(Count::Handed, conns.as_slice().len());
            }
            // A full channel, or too many descriptors in flight for this user: they stay ours.
            Err(_) => self
                .dispatcher
                .handle(Event::Refused { worker, conns }, now),
        }
    }

    fn measure(&mut self, incarnation: Incarnation, now: Tick) {
        let Some((worker, link)) = self.links.get_mut(&incarnation) else {
            return;
        };
        // It fails only on a descriptor that is no socket.
        if let Ok((count, probe)) = link.unreceived() {
            let event = Event::Unreceived {
                worker: *worker,
                count,
                probe,
            };
            self.dispatcher.handle(event, now);
        }
    }

    fn probe(&mut self, worker: WorkerId) {
        if let Some((_, link)) = self.links.get_mut(&worker.incarnation) {
            // A probe that does not fit is not needed: the queue holds records to receive.
            let _full = link.probe();
        }
    }

    fn take_back(&mut self, worker: WorkerId, now: Tick) {
        let conns = self.empty_queue(worker);
        self.dispatcher
            .handle(Event::TakenBack { worker, conns }, now);
    }

    fn gone(&mut self, worker: WorkerId, now: Tick) {
        let conns = self.empty_queue(worker);
        if let Some((_, link)) = self.links.remove(&worker.incarnation) {
            // Not watched is as good as unwatched; dropping the link ends the watch anyway.
            let _unwatched = self.epoll.remove(link.master_end());
        }
        self.dispatcher.handle(Event::Gone { worker, conns }, now);
    }

    fn empty_queue(&mut self, worker: WorkerId) -> Vec<ConnId> {
        let Some((_, link)) = self.links.get_mut(&worker.incarnation) else {
            return Vec::new();
        };
        self.reserve.release();
        let taken = link.take_back();
        self.reserve.refill();
        self.desk
            .counters
            .add(Count::TakenBack, taken.conns.len() + taken.lost);
        failpoint::hit("dispatch.taken_back");
        self.desk.counters.add(Count::Closed, taken.lost);
        let conns = taken.conns.iter().map(|(conn, _)| *conn).collect();
        self.hand.extend(taken.conns);
        conns
    }

    fn watch(&mut self, worker: WorkerId) {
        let incarnation = worker.incarnation;
        let Some((_, link)) = self.links.get(&incarnation) else {
            return;
        };
        // The kernel may have no memory for it; that must not cost the other workers their thread.
        if watch_receipts(&self.epoll, incarnation, link).is_err() {
            self.unwatchable.insert(incarnation);
        }
    }

    fn unwatch(&mut self, worker: WorkerId) {
        let Some((_, link)) = self.links.get(&worker.incarnation) else {
            return;
        };
        if !self.unwatchable.remove(&worker.incarnation) {
            // Watched and open: this cannot fail.
            let _unwatched = self.epoll.remove(link.master_end());
        }
    }

    fn withdrawn(&mut self, worker: WorkerId) {
        if let Some((_, link)) = self.links.get(&worker.incarnation) {
            link.end();
        }
        self.desk.tell(News::Withdrawn(worker));
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.hand.remove(&conn);
        self.desk.counters.add(Count::Closed, 1);
        self.desk.tell(self.unserved.count(reason));
    }
}

/// Each receipt makes room, which is an event.
fn watch_receipts(epoll: &Epoll, incarnation: Incarnation, link: &Link) -> io::Result<()> {
    let token = FIRST_LINK + incarnation.0;
    epoll.add(
        link.master_end(),
        token,
        Interest::WRITABLE | Interest::EDGE,
    )
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}

#[cfg(test)]
#[path = "pass_tests.rs"]
mod tests;
