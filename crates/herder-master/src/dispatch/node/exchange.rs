//! The listeners of an app, as its workers ask for them.
//!
//! A listener belongs to those workers that asked for it. It outlives them: only when a worker closes
//! it that is not leaving, and nobody else has it, its program does not want it any more. So after the
//! death of all workers their successors find it, with everybody who connected meanwhile. One that no
//! successor asks for is closed in the end: it was a worker's own.

mod succession;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::dispatch::Dispatcher;
use herder_core::spec::DispatchSpec;
use herder_core::{Incarnation, Tick};
use herder_sys::epoll::Epoll;
use herder_sys::listener::{self, Listener};
use herder_sys::{failpoint, socket};
use herder_wire::keeper::Key;
use herder_wire::node::{Endpoint, Identity, Json, Query, SharedKind};

use super::Scheduling;
use super::bind::{self, Bound, Place, SocketFile, libc_errno};
use super::deal::PATIENCE;
use crate::dispatch::acceptor::Acceptor;
use crate::estate::Vault;

pub(super) use succession::ExchangeState;

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
    spec: DispatchSpec,
    first_token: u64,
    next_key: u64,
    vault: Vault,
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
    /// What goes back to it.
    pub(super) data: Option<Json>,
}

impl Exchange {
    /// No listener yet. In the epoll each will have `first_token` plus its key.
    pub(super) fn new(
        scheduling: Scheduling,
        spec: &DispatchSpec,
        first_token: u64,
        vault: Vault,
    ) -> Exchange {
        Exchange {
            ports: BTreeMap::new(),
            scheduling,
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
            let errno = libc_errno::IN_USE;
            return Answer::Refused(Refusal { errno, data });
        }
        let opened = if self.held_by(worker) < MAX_PORTS {
            self.open(worker, query, identity, epoll)
        } else {
            Err(io::Error::from_raw_os_error(libc_errno::TOO_MANY_FILES))
        };
        opened.map_or_else(
            |error| {
                let errno = error.raw_os_error().unwrap_or(libc_errno::INVALID);
                let data = query.data.clone();
                Answer::Refused(Refusal { errno, data })
            },
            Answer::Opened,
        )
    }

    /// A worker closes a listener that it has. Returns whether nobody has it any more.
    pub(super) fn leave(&mut self, worker: Incarnation, key: u64, now: Tick) -> bool {
        let Some(port) = self.ports.get_mut(&key) else {
            return false;
        };
        port.release(worker, now)
    }

    /// A worker is gone.
    pub(super) fn forget(&mut self, worker: Incarnation, now: Tick) {
        for port in self.ports.values_mut() {
            port.release(worker, now);
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

    /// Those where the master accepts.
    pub(super) fn doorways(&mut self) -> impl Iterator<Item = (u64, &mut Doorway)> {
        self.ports
            .iter_mut()
            .filter_map(|(key, port)| match &mut port.service {
                Service::Passed(doorway) => Some((*key, &mut **doorway)),
                Service::Shared { .. } => None,
            })
    }

    pub(super) fn doorway(&mut self, key: u64) -> Option<&mut Doorway> {
        match &mut self.ports.get_mut(&key)?.service {
            Service::Passed(doorway) => Some(doorway),
            Service::Shared { .. } => None,
        }
    }

    /// Closes where the master accepts; what it has accepted is still given out.
    pub(super) fn close_doors(&mut self, epoll: &Epoll) {
        for (key, port) in &mut self.ports {
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
        if let Some(socket) = self.ports.get(&key).and_then(Port::socket) {
            // It fails for what does not listen.
            let _unconnected = socket::shutdown_both(socket);
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
        self.vault.forget(&Key::node(key));
        if let Some(file) = &port.file {
            file.remove();
        }
        Some(port)
    }

    /// Whether what is asked for is only in the way of what was closed a moment ago.
    pub(super) fn passes_soon(&self, query: &Query) -> bool {
        self.closed_lately.iter().any(|place| place.meets(query))
    }

    fn open(
        &mut self,
        worker: Incarnation,
        query: &Query,
        identity: Identity,
        epoll: &Epoll,
    ) -> io::Result<u64> {
        let key = self.next_key;
        let opened = match self.establish(query, key, epoll) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && self.make_way(query, epoll) =>
            {
                self.establish(query, key, epoll)
            }
            result => result,
        };
        let (bound, service) = opened?;
        self.next_key += 1;
        self.closed_lately.retain(|place| !place.meets(query));
        let port = Port {
            name: key.to_string(),
            service,
            address: bound.address,
            data: query.data.clone(),
            place: bound.place,
            file: bound.file,
            identity,
            holders: BTreeSet::from([worker]),
            orphaned_at: None,
        };
        self.ports.insert(key, port);
        Ok(key)
    }

    fn establish(&self, query: &Query, key: u64, epoll: &Epoll) -> io::Result<(Meta, Service)> {
        failpoint::check("dispatch.node.bind")?;
        let bound = bind::bind(query)?;
        failpoint::hit("dispatch.node.bound");
        let file = bound.file.clone();
        let established = self.serve(bound, query, key, epoll);
        if established.is_err() {
            // A stored socket would stay bound.
            self.vault.forget(&Key::node(key));
            if let Some(file) = file {
                file.remove();
            }
        }
        established
    }

    fn serve(
        &self,
        bound: Bound,
        query: &Query,
        key: u64,
        epoll: &Epoll,
    ) -> io::Result<(Meta, Service)> {
        let Bound {
            socket,
            kind,
            place,
            address,
            file,
        } = bound;
        let meta = Meta {
            place,
            address,
            file,
        };
        let is_shared = kind == SharedKind::Datagram || self.scheduling == Scheduling::Shared;
        if !is_shared {
            listener::listen_again(socket.as_fd(), query.backlog)?;
        }
        // Before anybody is told of it: the next master shall have it, too.
        self.vault.store(&Key::node(key), socket.as_fd(), 0)?;
        failpoint::hit("dispatch.node.stored");
        let service = if is_shared {
            Service::Shared { socket, kind }
        } else {
            self.doorway_of(socket, key, epoll)?
        };
        Ok((meta, service))
    }

    /// The master accepts at this socket.
    fn doorway_of(&self, socket: OwnedFd, key: u64, epoll: &Epoll) -> io::Result<Service> {
        let listeners = vec![Listener::adopt(socket)?];
        let acceptor = Acceptor::new(listeners, epoll, self.first_token + key)?;
        let doorway = Doorway {
            acceptor,
            dispatcher: Dispatcher::new(&self.spec, herder_sys::random::seed()),
            is_ready: false,
        };
        Ok(Service::Passed(Box::new(doorway)))
    }

    /// Closes what nobody has any more and is in the way of a new listener: the program listens
    /// elsewhere now. Returns whether there was such.
    fn make_way(&mut self, query: &Query, epoll: &Epoll) -> bool {
        let orphans = self.ports.iter();
        let orphans = orphans.filter(|(_, p)| p.holders.is_empty() && p.place.meets(query));
        let keys: Vec<u64> = orphans.map(|(key, _)| *key).collect();
        for key in &keys {
            self.close(*key, epoll);
        }
        !keys.is_empty()
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

/// What is to be known of a socket beside itself.
struct Meta {
    place: Place,
    address: Option<SocketAddr>,
    file: Option<SocketFile>,
}

impl Port {
    /// Its socket; `None` when it was closed.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.service {
            Service::Passed(doorway) => doorway.acceptor.listeners().first().map(AsFd::as_fd),
            Service::Shared { socket, .. } => Some(socket.as_fd()),
        }
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
