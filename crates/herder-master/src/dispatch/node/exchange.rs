//! The listeners of an app, as its workers ask for them.
//!
//! A listener belongs to those workers that asked for it. It outlives them: only when a worker closes
//! it that is not leaving, and nobody else has it, its program does not want it any more. So after the
//! death of all workers their successors find it, with everybody who connected meanwhile. One that no
//! successor asks for is closed in the end: it was a worker's own.

mod opening;
mod succession;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::dispatch::Dispatcher;
use herder_core::rotation::Weight;
use herder_core::spec::DispatchSpec;
use herder_core::{Incarnation, Tick, WorkerId};
use herder_sys::epoll::Epoll;
use herder_sys::socket;
use herder_wire::keeper::Key;
use herder_wire::node::{Endpoint, Identity, Json, Query, SharedKind};

use super::Scheduling;
use super::bind::{Place, SocketFile, libc_errno};
use super::deal::PATIENCE;
use super::quay::Quay;
use crate::dispatch::GroupSpec;
use crate::dispatch::acceptor::Acceptor;
use crate::estate::Vault;

pub(super) use succession::{ExchangeState, Heirlooms};

/// How many listeners one worker may have at a time.
pub(super) const MAX_PORTS: usize = 256;

/// How many listeners may wait for a worker while others have theirs.
const MAX_ORPHANS: usize = 256;

/// How many places are remembered that were closed.
const MAX_CLOSED: usize = 64;

/// All listeners.
pub(super) struct Exchange {
    pub(super) ports: BTreeMap<u64, Port>,
    scheduling: Scheduling,
    group_spec: GroupSpec,
    spec: DispatchSpec,
    first_token: u64,
    next_key: u64,
    pub(super) vault: Vault,
    /// Where the keeper may still have a duplicate, the newest first.
    closed_lately: Vec<Place>,
}

/// One listener.
pub(super) struct Port {
    /// What the workers call it.
    pub(super) name: String,
    pub(super) service: Service,
    /// For TCP and UDP.
    pub(super) address: Option<SocketAddr>,
    /// What its first worker shares with the others.
    pub(super) data: Option<Json>,
    pub(super) place: Place,
    pub(super) file: Option<SocketFile>,
    identity: Identity,
    holders: BTreeSet<Incarnation>,
    /// Since when nobody has it.
    orphaned_at: Option<Tick>,
}

/// Who accepts.
pub(super) enum Service {
    /// The workers, each of which has a socket of its own.
    Own(Box<Quay>),
    /// The master, which passes connections on.
    Passed(Box<Doorway>),
    /// The workers, each of which has the socket.
    Shared { socket: OwnedFd, kind: SharedKind },
}

/// Where connections come in.
pub(super) struct Doorway {
    pub(super) acceptor: Acceptor,
    pub(super) dispatcher: Dispatcher,
    /// Somebody waits to be accepted.
    pub(super) is_ready: bool,
}

/// What became of a query.
pub(super) enum Answer {
    /// The worker has this listener now, which is new.
    Opened(u64),
    /// The worker has this listener now.
    Joined(u64),
    /// It has none, because of this error; its data goes back to it.
    Refused(Refusal),
}

/// Why a worker has no listener.
pub(super) struct Refusal {
    pub(super) errno: i32,
    /// What a number does not tell.
    pub(super) problem: Option<String>,
    /// What goes back to it.
    pub(super) data: Option<Json>,
}

impl Refusal {
    pub(super) fn new(errno: i32, data: Option<Json>) -> Refusal {
        Refusal {
            errno,
            problem: None,
            data,
        }
    }
}

impl Exchange {
    /// No listener yet. In the epoll each will have `first_token` plus its key.
    pub(super) fn new(
        (scheduling, group_spec): (Scheduling, GroupSpec),
        spec: &DispatchSpec,
        first_token: u64,
        vault: Vault,
    ) -> Exchange {
        Exchange {
            ports: BTreeMap::new(),
            scheduling,
            group_spec,
            spec: spec.clone(),
            first_token,
            next_key: 1,
            vault,
            closed_lately: Vec::new(),
        }
    }

    /// Finds or opens what a worker asks for.
    pub(super) fn ask(&mut self, worker: Incarnation, query: &Query, epoll: &Epoll) -> Answer {
        let identity = query.identity();
        let known = self.ports.iter_mut();
        let mut own = None;
        for (key, port) in known.filter(|(_, port)| port.identity == identity) {
            if port.holders.insert(worker) {
                port.orphaned_at = None;
                return Answer::Joined(*key);
            }
            own = Some(port);
        }
        if let Some(port) = own.filter(|_| !allows_another(query)) {
            let data = port.data.clone().or_else(|| query.data.clone());
            return Answer::Refused(Refusal::new(libc_errno::IN_USE, data));
        }
        let opened = if self.held_by(worker) < MAX_PORTS {
            self.open(worker, query, identity, epoll)
        } else {
            Err(io::Error::from_raw_os_error(libc_errno::TOO_MANY_FILES))
        };
        opened.map_or_else(
            |error| {
                let data = query.data.clone();
                Answer::Refused(match error.raw_os_error() {
                    Some(errno) => Refusal::new(errno, data),
                    None => Refusal {
                        problem: Some(error.to_string()),
                        ..Refusal::new(libc_errno::INVALID, data)
                    },
                })
            },
            Answer::Opened,
        )
    }

    /// A worker closes a listener that it has. Returns whether nobody has it any more.
    pub(super) fn leave(&mut self, worker: WorkerId, key: u64, now: Tick) -> bool {
        let Some(port) = self.ports.get_mut(&key) else {
            return false;
        };
        if let Service::Own(quay) = &mut port.service {
            quay.leave(worker, now);
        }
        port.release(worker.incarnation, now)
    }

    /// A worker is gone.
    pub(super) fn forget(&mut self, worker: WorkerId, now: Tick) {
        for port in self.ports.values_mut() {
            if let Service::Own(quay) = &mut port.service {
                quay.part_with(worker, now);
            }
            port.release(worker.incarnation, now);
        }
    }

    /// Listeners that nobody has and nobody will ask for, the oldest first: they were left long ago, or
    /// too many are like them. While no worker has any listener all of them may be about to come back.
    pub(super) fn abandoned(&self, now: Tick) -> Vec<u64> {
        let orphans = self.orphans();
        let surplus = orphans.len().saturating_sub(MAX_ORPHANS);
        let orphans = orphans.into_iter().enumerate();
        let is_over = |(place, (since, _)): &(usize, (Tick, u64))| {
            *place < surplus || since.after(PATIENCE) <= now
        };
        orphans.filter(is_over).map(|(_, (_, key))| key).collect()
    }

    /// When the next one is abandoned, if nothing else happens.
    pub(super) fn next_abandoned(&self) -> Option<Tick> {
        let oldest = self.orphans().first().copied();
        oldest.map(|(since, _)| since.after(PATIENCE))
    }

    /// The listeners that a worker has.
    pub(super) fn keys_of(&self, worker: Incarnation) -> Vec<u64> {
        let held = self.ports.iter().filter(|(_, p)| p.is_held_by(worker));
        held.map(|(key, _)| *key).collect()
    }

    /// Who gives connections to workers, for each listener at which there may be any.
    pub(super) fn dispatchers(&mut self) -> impl Iterator<Item = (u64, &mut Dispatcher)> {
        self.ports
            .iter_mut()
            .filter_map(|(key, port)| Some((*key, port.service.dispatcher()?)))
    }

    /// Who gives the connections of this listener to workers.
    pub(super) fn dispatcher(&mut self, key: u64) -> Option<&mut Dispatcher> {
        self.ports.get_mut(&key)?.service.dispatcher()
    }

    /// Those where each worker has a socket of its own.
    pub(super) fn quays(&mut self) -> impl Iterator<Item = (u64, &mut Quay)> {
        self.ports
            .iter_mut()
            .filter_map(|(key, port)| match &mut port.service {
                Service::Own(quay) => Some((*key, &mut **quay)),
                Service::Passed(_) | Service::Shared { .. } => None,
            })
    }

    pub(super) fn quay(&mut self, key: u64) -> Option<&mut Quay> {
        match &mut self.ports.get_mut(&key)?.service {
            Service::Own(quay) => Some(quay),
            Service::Passed(_) | Service::Shared { .. } => None,
        }
    }

    /// The socket that a worker is to have of this listener, if it is to have any.
    pub(super) fn socket_for(
        &mut self,
        worker: WorkerId,
        key: u64,
        now: Tick,
    ) -> Option<io::Result<(OwnedFd, SharedKind)>> {
        let weight = self.weight_of(worker);
        match &mut self.ports.get_mut(&key)?.service {
            Service::Own(quay) => {
                let berth = quay.berth((worker, weight), &self.vault, now);
                Some(berth.map(|socket| (socket, SharedKind::Stream)))
            }
            Service::Passed(_) => None,
            Service::Shared { socket, kind } => {
                let copy = herder_sys::fd::duplicate(socket.as_fd());
                Some(copy.map(|copy| (copy, *kind)))
            }
        }
    }

    /// How often its turn comes.
    fn weight_of(&self, worker: WorkerId) -> Weight {
        let weight = self.spec.weights.get(usize::from(worker.slot.0));
        weight.copied().unwrap_or(Weight::ONE)
    }

    /// A duplicate of what a worker has of this listener.
    pub(super) fn socket_of(&self, worker: WorkerId, key: u64) -> Option<OwnedFd> {
        let port = self.ports.get(&key)?;
        if let Service::Own(quay) = &port.service {
            return quay.berth_of(worker);
        }
        herder_sys::fd::duplicate(port.socket()?).ok()
    }

    /// Whether each listener of this worker's at which it accepts from a socket of its own has no turns for it
    /// any more.
    pub(super) fn has_withdrawn(&self, worker: WorkerId) -> bool {
        let ports = self.ports.values();
        let mut held = ports.filter(|port| port.is_held_by(worker.incarnation));
        held.all(|port| match &port.service {
            Service::Own(quay) => quay.has_withdrawn(worker),
            Service::Passed(_) | Service::Shared { .. } => true,
        })
    }

    /// Those where the master accepts.
    pub(super) fn doorways(&mut self) -> impl Iterator<Item = (u64, &mut Doorway)> {
        self.ports
            .iter_mut()
            .filter_map(|(key, port)| match &mut port.service {
                Service::Passed(doorway) => Some((*key, &mut **doorway)),
                Service::Own(_) | Service::Shared { .. } => None,
            })
    }

    /// Something has happened at this listener.
    pub(super) fn stir(&mut self, key: u64) {
        match self.ports.get_mut(&key).map(|port| &mut port.service) {
            Some(Service::Own(quay)) => quay.stir(),
            Some(Service::Passed(doorway)) => doorway.is_ready = true,
            Some(Service::Shared { .. }) | None => {}
        }
    }

    /// When one of the listeners wants attention.
    pub(super) fn due(&self) -> Option<Tick> {
        let wishes = self.ports.values().flat_map(|port| match &port.service {
            Service::Own(quay) => [quay.dispatcher.poll_timeout(), quay.due()],
            Service::Passed(doorway) => [
                doorway.dispatcher.poll_timeout(),
                doorway.acceptor.timeout(),
            ],
            Service::Shared { .. } => [None, None],
        });
        wishes.flatten().min()
    }

    /// Closes where the master accepts; what it has accepted is still given out.
    pub(super) fn close_doors(&mut self, epoll: &Epoll) {
        for (key, port) in &mut self.ports {
            // Workers accept there until they leave.
            if let Service::Own(_) = port.service {
                continue;
            }
            if let Some(socket) = port.socket() {
                // So that nobody waits at the keeper's duplicate.
                let _unconnected = socket::shutdown_both(socket);
            }
            self.vault.forget(&Key::node(*key));
            if let Service::Passed(doorway) = &mut port.service {
                doorway.acceptor.close(epoll);
            }
            if let Some(file) = port.file.take() {
                file.remove();
            }
        }
    }

    /// Closes a listener. Who waits there is refused.
    ///
    /// The keeper has a duplicate for some moments more, so that it is ended for whoever has it; what then
    /// is still in the way of another one passes soon.
    pub(super) fn close(&mut self, key: u64, epoll: &Epoll) {
        let port = self.ports.get(&key);
        if let Some(socket) = port.and_then(Port::socket) {
            // It fails for what does not listen.
            let _unconnected = socket::shutdown_both(socket);
        }
        if let Some(Service::Own(quay)) = port.map(|port| &port.service) {
            quay.shut_down();
        }
        if let Some(port) = self.let_go(key) {
            if let Service::Passed(mut doorway) = port.service {
                doorway.acceptor.close(epoll);
            }
            self.closed_lately.truncate(MAX_CLOSED - 1);
            self.closed_lately.insert(0, port.place);
        }
    }

    /// Lets go of a listener that workers have, who go on accepting there.
    pub(super) fn let_go(&mut self, key: u64) -> Option<Port> {
        let port = self.ports.remove(&key)?;
        match &port.service {
            Service::Own(quay) => quay.let_go(&self.vault),
            Service::Passed(_) | Service::Shared { .. } => self.vault.forget(&Key::node(key)),
        }
        if let Some(file) = &port.file {
            file.remove();
        }
        Some(port)
    }

    /// Whether what is asked for is only in the way of what was closed a moment ago.
    pub(super) fn passes_soon(&self, query: &Query) -> bool {
        self.closed_lately.iter().any(|place| place.meets(query))
    }

    /// Those that nobody has although somebody has another one, the oldest first.
    fn orphans(&self) -> Vec<(Tick, u64)> {
        let is_orphan = |port: &Port| port.holders.is_empty();
        if self.ports.values().all(is_orphan) {
            return Vec::new();
        }
        let since = |(key, port): (&u64, &Port)| Some((port.orphaned_at?, *key));
        let mut orphans: Vec<_> = self.ports.iter().filter_map(since).collect();
        orphans.sort_unstable();
        orphans
    }

    fn held_by(&self, worker: Incarnation) -> usize {
        let ports = self.ports.values();
        ports.filter(|port| port.is_held_by(worker)).count()
    }
}

/// Whether one worker may have two of these. Elsewhere there cannot be two.
fn allows_another(query: &Query) -> bool {
    let shares =
        |endpoint| matches!(endpoint, Endpoint::Udp { reuse_address, .. } if reuse_address);
    query.endpoint().is_ok_and(shares)
}

impl Service {
    /// Who gives connections to workers, where there may be any.
    fn dispatcher(&mut self) -> Option<&mut Dispatcher> {
        match self {
            Service::Own(quay) => Some(&mut quay.dispatcher),
            Service::Passed(doorway) => Some(&mut doorway.dispatcher),
            Service::Shared { .. } => None,
        }
    }
}

impl Port {
    /// Its socket; `None` when it was closed, or each worker has one of its own.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.service {
            Service::Own(_) => None,
            Service::Passed(doorway) => doorway.acceptor.listeners().first().map(AsFd::as_fd),
            Service::Shared { socket, .. } => Some(socket.as_fd()),
        }
    }

    /// Whether it was not closed.
    fn is_open(&self) -> bool {
        matches!(self.service, Service::Own(_)) || self.socket().is_some()
    }

    fn is_held_by(&self, worker: Incarnation) -> bool {
        self.holders.contains(&worker)
    }

    /// Returns whether nobody has it any more.
    fn release(&mut self, worker: Incarnation, now: Tick) -> bool {
        let is_orphan = self.holders.remove(&worker) && self.holders.is_empty();
        if is_orphan {
            self.orphaned_at = Some(now);
        }
        is_orphan
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
