//! The end of a socket's queue, a moment after it was decided.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::Tick;
use herder_core::rotation::SocketId;
use herder_sys::listener;

use super::{Doors, Group};

/// How long whoever had the socket's turn just before it was written to others has for shaking hands: many times what
/// it takes within a machine. (On the way through a network that may not be enough: then the handshake ends at another
/// socket.) Whoever waits there waits for as long.
const HANDSHAKE: Duration = Duration::from_micros(250);

/// What becomes of a socket whose queue was handed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    Close,
    ListenAgain,
}

/// The sockets whose queues are about to be handed on to others, and when.
#[derive(Default)]
pub(super) struct Partings(BTreeMap<SocketId, (Then, Tick)>);

impl Partings {
    pub(super) fn include(&self, id: SocketId) -> bool {
        self.0.contains_key(&id)
    }

    /// Not if the socket is about to be closed: whoever could want it back knows only another one.
    pub(super) fn forget(&mut self, id: SocketId) {
        self.0
            .retain(|it, (then, _)| *it != id || *then == Then::Close);
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
            return self.end(id, then);
        }
        let at = self.partings.0.get(&id).map(|(_, at)| *at);
        let at = at.unwrap_or(now.after(HANDSHAKE));
        self.partings.0.insert(id, (then, at));
    }

    /// Does it for this socket if it was to be done.
    pub(super) fn part_now(&mut self, id: SocketId) {
        if let Some((then, _)) = self.partings.0.remove(&id) {
            self.end(id, then);
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
            self.part_now(id);
        }
    }

    fn end(&mut self, id: SocketId, then: Then) {
        let Some(berth) = self.berths.get(&id) else {
            return;
        };
        let end = match self.steering {
            Some(_) => listener::hand_on,
            None => listener::shut_down,
        };
        // It may have been shut down by a worker on its way out: then it was over before.
        let _silent = end(berth.as_fd());
        match then {
            Then::ListenAgain => self.revive(id),
            Then::Close => {
                if let Some(berth) = self.berths.remove(&id) {
                    berth.leave(&self.epoll);
                }
                self.edition += 1;
            }
        }
    }
}
