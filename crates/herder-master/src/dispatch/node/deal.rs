//! Connections: accepted, dealt out, decided upon, and dealt out again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::dispatch::{Action, Batch, CloseReason, Event};
use herder_core::rotation::Event as Turns;
use herder_core::{ConnId, Incarnation, Tick, WorkerId};
use herder_sys::failpoint;
use herder_sys::socket::{self, Touch};
use herder_wire::node::Accepted as Verdict;
use herder_wire::node::{Delivery, ToNode};

use super::peer::{Admission, Course, Peer};
use super::switchboard::{Held, Switchboard};
use super::{NodeNews, Word};
use crate::dispatch::News;
use crate::dispatch::acceptor::{Accepted, origin_of};
use crate::dispatch::counters::Count;

/// How many connections a listener gives in one turn at the last call.
const AT_LAST_CALL: usize = 64;

impl Switchboard {
    /// Accepts while somebody has credit; the listeners are level-triggered, so that the rest comes
    /// next turn.
    pub(super) fn accept(&mut self, now: Tick) {
        let at_last_call = self.last_call.is_some();
        let asks_for_origin = self.spec.picker.asks_for_origin();
        for (key, doorway) in self.exchange.doorways() {
            if !std::mem::take(&mut doorway.is_ready) {
                continue;
            }
            let budget = if at_last_call {
                AT_LAST_CALL
            } else {
                doorway.dispatcher.accept_budget()
            };
            for _ in 0..budget {
                let accept = || doorway.acceptor.accept(0, now);
                let socket = match self.desk.counters.accept(accept) {
                    Accepted::Connection(socket) => socket,
                    Accepted::Nothing => break,
                    Accepted::Paused(error) => {
                        self.desk.tell(News::AcceptPaused(error.to_string()));
                        break;
                    }
                };
                failpoint::hit("dispatch.node.accepted");
                let origin = if asks_for_origin {
                    origin_of(socket.as_fd())
                } else {
                    None
                };
                let conn = ConnId(self.next_conn);
                self.next_conn += 1;
                self.hand.insert(conn, Held { socket, port: key });
                doorway
                    .dispatcher
                    .handle(Event::Accepted { conn, origin }, now);
            }
        }
    }

    /// Does what the dispatchers ask for.
    pub(super) fn act(&mut self, now: Tick) {
        while let Some((key, action)) = self.next_action() {
            match action {
                Action::Close { conn, reason } => self.close_connection(conn, reason),
                Action::Send { worker, conns } => self.deal(key, worker, conns, now),
                // The worker's word is what counts; and a withdrawal is answered when it is asked for.
                Action::Measure { .. }
                | Action::Probe { .. }
                | Action::TakeBack { .. }
                | Action::Unwatch { .. }
                | Action::Watch { .. }
                | Action::Withdrawn { .. } => {}
            }
        }
    }

    /// A worker may get connections, or may not.
    pub(super) fn set_admission(&mut self, worker: WorkerId, admission: Admission, now: Tick) {
        let Some(peer) = self.peers.get_mut(&worker.incarnation) else {
            return;
        };
        if peer.admission == Admission::NoMore {
            return;
        }
        peer.admission = admission;
        if admission == Admission::Admitted && std::mem::take(&mut peer.is_young) {
            self.note_change();
        }
        for key in self.exchange.keys_of(worker.incarnation) {
            self.admit_to(key, worker.incarnation, now);
        }
    }

    /// A worker gets connections from this listener if it may.
    pub(super) fn admit_to(&mut self, key: u64, life: Incarnation, now: Tick) {
        let Some(peer) = self.peers.get(&life) else {
            return;
        };
        let worker = peer.id;
        let mut keeps_up = true;
        if let Some(quay) = self.exchange.quay(key) {
            quay.tell(turns_of(peer), now);
            keeps_up = quay.keeps_up(worker);
        }
        let event = match (peer.course, peer.admission) {
            // Who leaves does not come back: if it dies of that, no connection was the cause.
            (Course::Leaves, _) | (_, Admission::NoMore) => Event::Withdraw { worker },
            (Course::Serves, Admission::Admitted) if peer.is_settling() || !keeps_up => {
                Event::Hold { worker }
            }
            (Course::Serves, Admission::Admitted) => Event::Admit { worker },
            (Course::Severed, Admission::Admitted) | (_, Admission::NotNow) => {
                Event::Hold { worker }
            }
        };
        if let Some(dispatcher) = self.exchange.dispatcher(key) {
            dispatcher.handle(event, now);
        }
    }

    /// A worker gets nothing more. What it has not decided about it still decides about, or dies.
    pub(super) fn withdraw(&mut self, worker: WorkerId, now: Tick) {
        self.set_admission(worker, Admission::NoMore, now);
        self.withdrawing.insert(worker);
        self.tell_withdrawn();
    }

    /// Tells who has no turns any more, at any of its listeners.
    fn tell_withdrawn(&mut self) {
        let exchange = &self.exchange;
        let over = |worker: &&WorkerId| exchange.has_withdrawn(**worker);
        let over: Vec<WorkerId> = self.withdrawing.iter().filter(over).copied().collect();
        for worker in over {
            self.withdrawing.remove(&worker);
            self.desk.tell(News::Withdrawn(worker));
        }
    }

    /// Looks after listeners of which each worker has its own.
    pub(super) fn tend_quays(&mut self, now: Tick) {
        let vault = self.exchange.vault.clone();
        let mut readmitted = Vec::new();
        for (key, quay) in self.exchange.quays() {
            let catch = quay.tend(&vault, now);
            for text in catch.failed {
                self.desk.tell(News::Failed(text));
            }
            readmitted.extend(catch.readmitted.into_iter().map(|worker| (key, worker)));
            for socket in catch.rescued {
                let socket = match self.desk.counters.accept(|| Accepted::Connection(socket)) {
                    Accepted::Connection(socket) => socket,
                    Accepted::Nothing | Accepted::Paused(_) => continue,
                };
                let conn = ConnId(self.next_conn);
                self.next_conn += 1;
                self.hand.insert(conn, Held { socket, port: key });
                let origin = None;
                let event = Event::Accepted { conn, origin };
                quay.dispatcher.handle(event, now);
            }
        }
        for (key, worker) in readmitted {
            self.admit_to(key, worker.incarnation, now);
        }
        self.tell_withdrawn();
    }

    /// Tells a worker to leave. A second time would end its channel before its connections have ended.
    pub(super) fn disconnect(&mut self, life: Incarnation, now: Tick) {
        match self.peers.get_mut(&life) {
            Some(peer) if peer.course == Course::Serves => peer.course = Course::Leaves,
            Some(_) | None => return,
        }
        self.note_change();
        self.hold_everywhere(life, now);
        let seq = self.seq();
        self.say(life, &ToNode::Disconnect { seq }, None, now);
    }

    /// A worker broke the protocol: it is not listened to any more. What it was given it may still
    /// take, until it is dead.
    pub(super) fn sever(&mut self, life: Incarnation, problem: String, now: Tick) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        if peer.course == Course::Severed {
            return;
        }
        peer.course = Course::Severed;
        self.ledger.note_change();
        // It is watched as long as it is listened to.
        let _unwatched = peer.unwatch(&self.epoll);
        let worker = peer.id;
        self.hold_everywhere(life, now);
        self.tell(NodeNews::Word(worker, Word::Broken(problem)));
    }

    /// A worker's channel has ended, or its process: what it has not decided about goes to others.
    pub(super) fn part_with(&mut self, worker: WorkerId, now: Tick) {
        let life = worker.incarnation;
        self.read_lane_dry(life, now);
        self.tell_losses(life, now);
        self.note_change();
        self.parked.retain(|parked| parked.life != life);
        let Some(peer) = self.peers.remove(&life) else {
            // One that the last master had, and that died with it.
            return self.exchange.forget(worker, now);
        };
        self.withdrawing.remove(&worker);
        if peer.course != Course::Severed {
            // It is watched as long as it is listened to.
            let _unwatched = peer.unwatch(&self.epoll);
        }
        self.exchange.forget(worker, now);
        let mut returned: BTreeMap<u64, Vec<ConnId>> = BTreeMap::new();
        let mut inherited = Vec::new();
        for (seq, (port, conn)) in peer.undecided {
            if self.is_touched(conn) {
                // It was taken; only the verdict was lost. A request is never carried out twice.
                self.hand.remove(&conn);
            } else if peer.inherited.contains(&seq) {
                inherited.push(conn);
            } else {
                returned.entry(port).or_default().push(conn);
            }
        }
        for (key, dispatcher) in self.exchange.dispatchers() {
            let mut conns = returned.remove(&key).unwrap_or_default();
            // Who connected first is served first.
            conns.sort_unstable();
            self.desk.counters.add(Count::TakenBack, conns.len());
            dispatcher.handle(Event::Gone { worker, conns }, now);
        }
        // Those of a listener that was closed meanwhile.
        for conn in returned.into_values().flatten() {
            self.hand.remove(&conn);
            self.desk.counters.add(Count::TakenBack, 1);
            self.desk.counters.add(Count::Closed, 1);
        }
        for conn in inherited {
            self.desk.counters.add(Count::TakenBack, 1);
            self.give_again_to_others(conn, now);
        }
        self.ledger.marks.take(peer.mark);
    }

    /// A worker's verdict on what it was given under this number.
    pub(super) fn decide(&mut self, life: Incarnation, seq: u64, verdict: Verdict, now: Tick) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        let Some((key, conn)) = peer.undecided.remove(&seq) else {
            return self.decide_foreign(life, seq, verdict);
        };
        let is_inherited = peer.inherited.remove(&seq);
        let worker = peer.id;
        let event = match verdict {
            Verdict::Yes => {
                peer.mark.add_served();
                // The client must see the worker's close.
                self.hand.remove(&conn);
                Event::Received { worker, conn }
            }
            Verdict::No => {
                self.desk.counters.add(Count::TakenBack, 1);
                if is_inherited {
                    return self.give_again_to_others(conn, now);
                }
                Event::Rejected { worker, conn }
            }
        };
        match self.exchange.dispatcher(key) {
            Some(dispatcher) => dispatcher.handle(event, now),
            // The listener was closed meanwhile.
            None if self.hand.remove(&conn).is_some() => self.desk.counters.add(Count::Closed, 1),
            None => {}
        }
    }

    /// A verdict on what this master has not given. If the last one has, its duplicate died with it.
    fn decide_foreign(&mut self, life: Incarnation, seq: u64, verdict: Verdict) {
        let Some(peer) = self.peers.get(&life) else {
            return;
        };
        // Any other number changes nothing.
        if !peer.is_adopted || seq > self.first_seq {
            return;
        }
        match verdict {
            Verdict::Yes => peer.mark.add_served(),
            Verdict::No => {
                self.desk.counters.add(Count::TakenBack, 1);
                self.desk.counters.add(Count::Closed, 1);
            }
        }
    }

    /// Nobody wants this listener any more.
    pub(super) fn close_port(&mut self, key: u64) {
        self.exchange.close(key, &self.epoll);
        self.note_change();
        let before = self.hand.len();
        let given = self.peers.values().flat_map(|it| it.undecided.values());
        let given: BTreeSet<ConnId> = given.map(|(_, conn)| *conn).collect();
        self.hand
            .retain(|conn, held| held.port != key || given.contains(conn));
        self.desk
            .counters
            .add(Count::Closed, before - self.hand.len());
    }

    /// Closes what the workers have left for good. (When the herd stops, who waits is still served.)
    pub(super) fn close_abandoned(&mut self, now: Tick) {
        if self.last_call.is_some() {
            return;
        }
        for key in self.exchange.abandoned(now) {
            self.close_port(key);
        }
    }

    pub(super) fn hold_everywhere(&mut self, life: Incarnation, now: Tick) {
        for key in self.exchange.keys_of(life) {
            self.admit_to(key, life, now);
        }
    }

    /// Whether some worker has read from a connection or written to it. Where the kernel does not tell
    /// the verdict is all there is, and it goes out before the first byte is read.
    pub(super) fn is_touched(&self, conn: ConnId) -> bool {
        let held = self.hand.get(&conn);
        let touch = held.map(|held| socket::touch(held.socket.as_fd()));
        matches!(touch, Some(Ok(Touch::Touched)))
    }

    fn next_action(&mut self) -> Option<(u64, Action)> {
        let mut dispatchers = self.exchange.dispatchers();
        dispatchers.find_map(|(key, dispatcher)| Some((key, dispatcher.poll_action()?)))
    }

    /// Gives connections to a worker, one message each.
    fn deal(&mut self, key: u64, worker: WorkerId, conns: Batch, now: Tick) {
        let mut refused = Batch::new();
        for conn in conns.as_slice() {
            // In order: after one that does not go, none goes.
            if !refused.as_slice().is_empty() || !self.pass(key, worker, *conn) {
                refused.push(*conn);
            }
        }
        if !refused.as_slice().is_empty()
            && let Some(dispatcher) = self.exchange.dispatcher(key)
        {
            let event = Event::Refused {
                worker,
                conns: refused,
            };
            dispatcher.handle(event, now);
        }
    }

    fn pass(&mut self, key: u64, worker: WorkerId, conn: ConnId) -> bool {
        let seq = self.seq();
        let (Some(peer), Some(held), Some(port)) = (
            self.peers.get_mut(&worker.incarnation),
            self.hand.get(&conn),
            self.exchange.ports.get(&key),
        ) else {
            return false;
        };
        if peer.course != Course::Serves {
            return false;
        }
        // A worker that reads nothing, or too many descriptors in flight: it stays ours.
        let passed = failpoint::check("dispatch.node.pass");
        let socket = held.socket.as_fd();
        // Whether a worker has begun with a connection without having said so, the kernel tells of TCP alone.
        let short = port.address.and_then(|_| u32::try_from(key).ok());
        let lane = peer.lane.as_mut().filter(|lane| lane.is_open());
        let passed = passed.and_then(|()| match lane.zip(short) {
            Some((lane, key)) => lane.pass(Delivery { seq, key }, socket),
            None => peer.channel.pass(&port.name, seq, socket),
        });
        if passed.is_ok() {
            failpoint::hit("dispatch.node.passed");
            peer.undecided.insert(seq, (key, conn));
            self.desk.counters.add(Count::Handed, 1);
        }
        passed.is_ok()
    }

    fn close_connection(&mut self, conn: ConnId, reason: CloseReason) {
        self.hand.remove(&conn);
        self.desk.counters.add(Count::Closed, 1);
        self.desk.tell(self.unserved.count(reason));
    }
}

/// What a worker's course means where it has a socket of its own.
fn turns_of(peer: &Peer) -> Turns {
    let worker = peer.id;
    match (peer.course, peer.admission) {
        (Course::Leaves, _) | (_, Admission::NoMore) => Turns::Withdraw { worker },
        (Course::Serves, Admission::Admitted) => Turns::Admit { worker },
        (Course::Severed, Admission::Admitted) | (_, Admission::NotNow) => Turns::Hold { worker },
    }
}

/// Beyond this a connection that every worker rejects is not kept: its client has gone long since. Nor is
/// a listener that no worker asks for any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
