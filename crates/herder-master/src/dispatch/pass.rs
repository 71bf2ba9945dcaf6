//! `pass` mode: the master accepts, and hands each connection to a worker.
//!
//! The thread translates between the kernel and the pure `Dispatcher`: it accepts while somebody
//! has credit, sends what the dispatcher assigns, measures and takes back what it asks for.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::dispatch::{Action, Batch, CloseReason, Dispatcher, Event, MAX_BATCH};
use herder_core::spec::DispatchSpec;
use herder_core::{ConnId, Incarnation, Tick, WorkerId};
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::Reserve;
use herder_sys::listener::Listener;
use herder_sys::{clock, sched};

use super::acceptor::{Accepted, Acceptor};
use super::counters::Count;
use super::link::{Held, Link};
use super::{Command, Desk, News};

const WAKE: u64 = 0;
const FIRST_LISTENER: u64 = 1;
/// Tokens from here on are incarnations; listeners stay far below.
const FIRST_LINK: u64 = 1 << 32;

/// How many events one turn takes from the kernel.
const EVENTS: usize = 64;

/// The dispatch thread of an app in `pass` mode.
pub(super) struct Pass {
    desk: Desk,
    epoll: Epoll,
    acceptor: Acceptor,
    dispatcher: Dispatcher,
    links: BTreeMap<Incarnation, (WorkerId, Link)>,
    /// Connections in the master's own hand.
    hand: BTreeMap<ConnId, Held>,
    next_conn: u64,
    /// Room for what is taken back when every other descriptor is in use.
    reserve: Reserve,
    poisoned: u64,
    timed_out: u64,
}

/// Whether the thread goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

impl Pass {
    pub(super) fn new(
        spec: &DispatchSpec,
        listeners: Vec<Listener>,
        desk: Desk,
    ) -> io::Result<Pass> {
        let epoll = Epoll::new()?;
        epoll.add(desk.wake.as_fd(), WAKE, Interest::READABLE)?;
        let acceptor = Acceptor::new(listeners, &epoll, FIRST_LISTENER)?;
        Ok(Pass {
            desk,
            epoll,
            acceptor,
            dispatcher: Dispatcher::new(spec),
            links: BTreeMap::new(),
            hand: BTreeMap::new(),
            next_conn: 1,
            reserve: Reserve::new(MAX_BATCH)?,
            poisoned: 0,
            timed_out: 0,
        })
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        // It halves the cost per connection: the thread is not run at each handshake, but finds
        // many connections when its turn comes. Refused in some sandboxes; then it costs more.
        let _unbatched = sched::batch_this_thread();
        if let Err(error) = self.turns() {
            self.desk
                .tell(News::Failed(format!("the dispatch thread failed: {error}")));
        }
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.epoll.wait(&mut events, self.timeout())?;
            let now = now();
            for event in events.iter() {
                match event.token {
                    WAKE => {
                        if self.obey(now)? == Next::End {
                            return Ok(());
                        }
                    }
                    token if self.acceptor.owns(token) => self.accept_from(token, now),
                    token => self.measure(Incarnation(token - FIRST_LINK), now),
                }
            }
            // Last, so that what was received just now is not judged late.
            if self.dispatcher.poll_timeout().is_some_and(|at| at <= now) {
                self.dispatcher.handle(Event::Timer, now);
            }
            self.act(now)?;
            let budget = self.dispatcher.accept_budget();
            self.acceptor.arm(&self.epoll, budget, now)?;
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let wishes = [self.dispatcher.poll_timeout(), self.acceptor.timeout()];
        wishes.into_iter().flatten().min().map(|at| at.since(now()))
    }

    fn obey(&mut self, now: Tick) -> io::Result<Next> {
        self.desk.wake.clear();
        while let Ok(command) = self.desk.commands.try_recv() {
            match command {
                Command::Admit(worker) => self.dispatcher.handle(Event::Admit { worker }, now),
                Command::Attach(worker, link) => {
                    self.links.insert(worker.incarnation, (worker, link));
                }
                Command::CloseListeners => self.close_listeners(now)?,
                Command::Gone(worker) => self.gone(worker, now),
                Command::Hold(worker) => self.dispatcher.handle(Event::Hold { worker }, now),
                Command::Load(worker, open) => {
                    self.dispatcher.handle(Event::Load { worker, open }, now);
                }
                Command::Stop => return Ok(Next::End),
                Command::Withdraw(worker) => {
                    self.dispatcher.handle(Event::Withdraw { worker }, now);
                    // Taken back before its death is told, which may be the next command: what
                    // waits for a worker that leaves has not met a death.
                    self.act(now)?;
                }
            }
        }
        Ok(Next::Continue)
    }

    /// Accepts while there is credit; the listener is level-triggered, so the rest comes next turn.
    fn accept_from(&mut self, token: u64, now: Tick) {
        let place = usize::try_from(token - FIRST_LISTENER).unwrap_or(usize::MAX);
        let budget = self.dispatcher.accept_budget();
        for _ in 0..budget {
            match self.acceptor.accept(place, now) {
                Accepted::Connection(socket) => {
                    let conn = ConnId(self.next_conn);
                    self.next_conn += 1;
                    let listener = u16::try_from(place).unwrap_or(u16::MAX);
                    self.hand.insert(conn, Held { socket, listener });
                    self.dispatcher.handle(Event::Accepted { conn }, now);
                    self.desk.counters.add(Count::Accepted, 1);
                }
                Accepted::Nothing => return,
                Accepted::Paused(error) => {
                    return self.desk.tell(News::AcceptPaused(error.to_string()));
                }
            }
        }
    }

    /// What the kernel has completed the handshake for is served before the door closes.
    fn close_listeners(&mut self, now: Tick) -> io::Result<()> {
        for place in 0..self.acceptor.count() {
            loop {
                let before = self.next_conn;
                self.accept_from(FIRST_LISTENER + place as u64, now);
                self.act(now)?;
                if self.next_conn == before {
                    break;
                }
            }
        }
        self.acceptor.close();
        Ok(())
    }

    fn act(&mut self, now: Tick) -> io::Result<()> {
        while let Some(action) = self.dispatcher.poll_action() {
            match action {
                Action::Close { conn, reason } => self.close(conn, reason),
                Action::Measure { worker } => self.measure(worker.incarnation, now),
                Action::Probe { worker } => self.probe(worker),
                Action::Send { worker, conns } => self.send(worker, conns, now),
                Action::TakeBack { worker } => self.take_back(worker, now),
                Action::Unwatch { worker } => self.unwatch(worker)?,
                Action::Watch { worker } => self.watch(worker)?,
                Action::Withdrawn { worker, .. } => self.withdrawn(worker)?,
            }
        }
        Ok(())
    }

    fn send(&mut self, worker: WorkerId, conns: Batch, now: Tick) {
        let held = conns
            .as_slice()
            .iter()
            .filter_map(|conn| Some((*conn, self.hand.get(conn)?)));
        let sent = match self.links.get(&worker.incarnation) {
            Some((_, link)) => link.send(held),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(()) => {
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
        self.desk.counters.add(Count::Closed, taken.lost);
        let conns = taken.conns.iter().map(|(conn, _)| *conn).collect();
        self.hand.extend(taken.conns);
        conns
    }

    fn watch(&self, worker: WorkerId) -> io::Result<()> {
        let Some((_, link)) = self.links.get(&worker.incarnation) else {
            return Ok(());
        };
        let token = FIRST_LINK + worker.incarnation.0;
        self.epoll.add(
            link.master_end(),
            token,
            Interest::WRITABLE | Interest::EDGE,
        )
    }

    fn unwatch(&self, worker: WorkerId) -> io::Result<()> {
        let Some((_, link)) = self.links.get(&worker.incarnation) else {
            return Ok(());
        };
        self.epoll.remove(link.master_end())
    }

    fn withdrawn(&mut self, worker: WorkerId) -> io::Result<()> {
        if let Some((_, link)) = self.links.get(&worker.incarnation) {
            link.end();
        }
        self.desk.tell(News::Withdrawn(worker));
        Ok(())
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.hand.remove(&conn);
        self.desk.counters.add(Count::Closed, 1);
        match reason {
            CloseReason::Poisoned => self.poisoned += 1,
            CloseReason::TimedOut => self.timed_out += 1,
        }
        let news = News::Closed {
            poisoned: self.poisoned,
            timed_out: self.timed_out,
        };
        self.desk.tell(news);
    }
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}
