//! The end of a socket's queue, a moment after it was decided.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::Tick;
use herder_core::rotation::{Balance, SocketId};
use herder_sys::listener;

use super::{Doors, Group};

/// How long whoever had the socket's turn just before it was written to others has for shaking hands: many times what
/// it takes within a machine. (On the way through a network that may not be enough: then the handshake ends at another
/// socket.) Whoever waits there waits for as long.
const HANDSHAKE: Duration = Duration::from_micros(250);

/// How long whoever gets a queue by load has the processor for itself, before its old socket listens again. The kernel
/// compares that with every connection of the port (0.4 ms for some 10,000), and meanwhile nobody else runs there.
const SERVING: Duration = Duration::from_millis(1);

/// What becomes of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// Its queue is handed on, and it is closed.
    Close,
    /// Its queue is handed on, and it listens again.
    ListenAgain,
    /// Its queue was handed on: it listens again.
    Listen,
}

/// The sockets whose queues are about to be handed on to others, or were, and when the next step is due.
#[derive(Default)]
pub(super) struct Partings(BTreeMap<SocketId, (Then, Tick)>);

impl Partings {
    pub(super) fn include(&self, id: SocketId) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn next_timer(&self) -> Option<Tick> {
        self.0.values().map(|(_, at)| *at).min()
    }

    fn due(&self, now: Tick) -> Vec<SocketId> {
        let due = self.0.iter().filter(|(_, (_, at))| *at <= now);
        due.map(|(id, _)| *id).collect()
    }
}

impl Group {
    /// Who waits at the socket goes to others as soon as nobody can be shaking hands there; at once where the kernel
    /// hands nobody on. Behind closed doors nobody would get them, so they stay as long as the socket is there.
    pub(super) fn part(&mut self, id: SocketId, then: Then, now: Tick) {
        if self.doors == Doors::Closed && then == Then::ListenAgain {
            return;
        }
        if self.steering.is_none() {
            return self.end(id, then, now);
        }
        let known = self.partings.0.get(&id).copied();
        if then == Then::ListenAgain && known.is_some_and(|(it, _)| it == Then::Listen) {
            return;
        }
        let at = known.map_or(now.after(HANDSHAKE), |(_, at)| at);
        self.partings.0.insert(id, (then, at));
    }

    /// Somebody accepts at the socket again: whoever waits there need not go. Not if it is about to be closed: whoever
    /// could want it back knows only another one.
    pub(super) fn stay(&mut self, id: SocketId) {
        match self.partings.0.get(&id).map(|(then, _)| *then) {
            Some(Then::ListenAgain) => drop(self.partings.0.remove(&id)),
            Some(Then::Listen) => self.part_now(id),
            Some(Then::Close) | None => {}
        }
    }

    /// Does all of it for this socket if anything was to be done.
    pub(super) fn part_now(&mut self, id: SocketId) {
        while let Some((then, at)) = self.partings.0.remove(&id) {
            self.end(id, then, at);
        }
    }

    /// Does what was to be done soon.
    pub(super) fn finish_all_partings(&mut self) {
        for id in self.partings.0.keys().copied().collect::<Vec<_>>() {
            self.part_now(id);
        }
    }

    /// Does what is due.
    pub(super) fn finish_partings(&mut self, now: Tick) {
        for id in self.partings.due(now) {
            if let Some((then, _)) = self.partings.0.remove(&id) {
                self.end(id, then, now);
            }
        }
    }

    fn end(&mut self, id: SocketId, then: Then, now: Tick) {
        match then {
            Then::Close => {
                self.hand_on(id);
                if let Some(berth) = self.berths.remove(&id) {
                    berth.leave(&self.epoll);
                    self.edition += 1;
                }
            }
            Then::ListenAgain => {
                self.hand_on(id);
                match self.spec.rotation.balance {
                    Balance::LeastLoaded => {
                        let at = now.after(SERVING);
                        self.partings.0.insert(id, (Then::Listen, at));
                    }
                    Balance::RoundRobin => self.revive(id),
                }
            }
            Then::Listen => self.revive(id),
        }
    }

    fn hand_on(&self, id: SocketId) {
        let Some(berth) = self.berths.get(&id) else {
            return;
        };
        let end = match self.steering {
            Some(_) => listener::hand_on,
            None => listener::shut_down,
        };
        // It may have been shut down by a worker on its way out: then it was over before.
        let _silent = end(berth.as_fd());
    }
}
