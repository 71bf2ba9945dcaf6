//! The sockets, and who gets a connection.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::Slot;
use herder_core::rotation::{SocketId, Steering};

use super::rng::Rng;

/// The kernel, as far as it matters.
#[derive(Debug)]
pub(crate) struct Kernel {
    steering: Steering,
    /// How many wait at each socket that listens.
    pub(crate) queues: BTreeMap<SocketId, u32>,
    pub(crate) places: BTreeMap<Slot, SocketId>,
    /// How many came to each socket, and how many were accepted there, since it was made.
    pub(crate) traffic: BTreeMap<SocketId, Traffic>,
    /// Where no new connection begins.
    pub(crate) barred: BTreeSet<SocketId>,
    pub(crate) turns: Vec<Slot>,
    /// How many turns were taken.
    pub(crate) taken: u64,
    /// How many of them each slot has yielded, and how many it is to have.
    yielded: BTreeMap<Slot, u64>,
    to_yield: BTreeMap<Slot, u64>,
    /// As user space has seen it last.
    seen: BTreeMap<Slot, u64>,
    pub(crate) arrived: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) moved: u64,
    /// Waited at a socket that was shut down, and nobody else listened.
    pub(crate) lost: u64,
}

/// What passed through a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) came: u64,
    pub(crate) accepted: u64,
}

impl Kernel {
    pub(crate) fn new(steering: Steering) -> Kernel {
        Kernel {
            steering,
            queues: BTreeMap::new(),
            places: BTreeMap::new(),
            traffic: BTreeMap::new(),
            barred: BTreeSet::new(),
            turns: Vec::new(),
            taken: 0,
            yielded: BTreeMap::new(),
            to_yield: BTreeMap::new(),
            seen: BTreeMap::new(),
            arrived: 0,
            accepted: 0,
            refused: 0,
            moved: 0,
            lost: 0,
        }
    }

    pub(crate) fn arrive(&mut self, rng: &mut Rng) {
        self.arrived += 1;
        match self.choose(rng) {
            Some(socket) => self.wait_at(socket),
            None => self.refused += 1,
        }
    }

    /// Takes up to so many out of the queue.
    pub(crate) fn accept(&mut self, socket: SocketId, most: u32) -> u32 {
        let Some(queue) = self.queues.get_mut(&socket) else {
            return 0;
        };
        let taken = most.min(*queue);
        *queue -= taken;
        self.accepted += u64::from(taken);
        self.traffic.entry(socket).or_default().accepted += u64::from(taken);
        taken
    }

    fn wait_at(&mut self, socket: SocketId) {
        *self.queues.entry(socket).or_default() += 1;
        self.traffic.entry(socket).or_default().came += 1;
    }

    /// It leaves its place, and who waits goes to others.
    pub(crate) fn shut_down(&mut self, socket: SocketId, rng: &mut Rng) {
        let waiting = self.queues.remove(&socket).unwrap_or(0);
        self.places.retain(|_, at| *at != socket);
        self.barred.remove(&socket);
        for _ in 0..waiting {
            let other = match self.steering {
                Steering::Program => self.choose(rng),
                Steering::Hash => None,
            };
            match other {
                Some(other) => {
                    self.moved += 1;
                    self.wait_at(other);
                }
                None => self.lost += 1,
            }
        }
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.queues.values().map(|queue| u64::from(*queue)).sum()
    }

    pub(crate) fn look_at_yielded(&mut self) -> Vec<(Slot, u64)> {
        let slots: BTreeSet<Slot> = self.queues.keys().map(|socket| socket.slot).collect();
        for slot in slots {
            let yielded = self.yielded.get(&slot).copied().unwrap_or(0);
            self.seen.insert(slot, yielded);
        }
        self.seen
            .iter()
            .map(|(slot, count)| (*slot, *count))
            .collect()
    }

    pub(crate) fn order(&mut self, slot: Slot, turns: u32) {
        let seen = self.seen.get(&slot).copied().unwrap_or(0);
        self.to_yield.insert(slot, seen + u64::from(turns));
    }

    fn has_yielded(&mut self, slot: Slot) -> bool {
        let yielded = self.yielded.entry(slot).or_default();
        let yields = *yielded < self.to_yield.get(&slot).copied().unwrap_or(0);
        *yielded += u64::from(yields);
        yields
    }

    fn choose(&mut self, rng: &mut Rng) -> Option<SocketId> {
        for left in (0..4).rev() {
            if self.turns.is_empty() {
                break;
            }
            let turn = usize::try_from(self.taken).unwrap_or(0) % self.turns.len();
            self.taken += 1;
            let slot = self.turns[turn];
            if left > 0 && self.has_yielded(slot) {
                continue;
            }
            if let Some(socket) = self.places.get(&slot) {
                return Some(*socket);
            }
        }
        // Who asks where it is barred asks again.
        let is_open = |socket: &&SocketId| !self.barred.contains(socket);
        let listening: Vec<SocketId> = self.queues.keys().filter(is_open).copied().collect();
        rng.pick(&listening)
    }
}
