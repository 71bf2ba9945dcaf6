//! Opening a listener, in the way in which it is to be served.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use herder_core::Incarnation;
use herder_core::dispatch::Dispatcher;
use herder_sys::epoll::Epoll;
use herder_sys::failpoint;
use herder_sys::listener::{self, Listener};
use herder_wire::keeper::Key;
use herder_wire::node::{Identity, Query, SharedKind};

use super::{Doorway, Exchange, Place, Port, Service, SocketFile};
use crate::dispatch::GroupSpec;
use crate::dispatch::acceptor::Acceptor;
use crate::dispatch::group::Group;
use crate::dispatch::node::Scheduling;
use crate::dispatch::node::bind::{self, Bound};
use crate::dispatch::node::quay::Quay;

/// What is to be known of a socket beside itself.
struct Meta {
    place: Place,
    address: Option<SocketAddr>,
    file: Option<SocketFile>,
}

impl Exchange {
    pub(super) fn open(
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
        if self.scheduling == Scheduling::Own
            && let Some((group, spec)) = bind::bind_group(query, &self.group_spec)?
        {
            failpoint::hit("dispatch.node.bound");
            return self.moor(group, &spec, key, epoll);
        }
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

    /// Each worker will have a socket of this group.
    fn moor(
        &self,
        group: Group,
        spec: &GroupSpec,
        key: u64,
        epoll: &Epoll,
    ) -> io::Result<(Meta, Service)> {
        let address = group.local();
        let meta = Meta {
            place: Place::Tcp(address),
            address: Some(address),
            file: None,
        };
        let service = self.quay_of(group, spec, key, epoll)?;
        failpoint::hit("dispatch.node.stored");
        Ok((meta, service))
    }

    pub(super) fn quay_of(
        &self,
        group: Group,
        spec: &GroupSpec,
        key: u64,
        epoll: &Epoll,
    ) -> io::Result<Service> {
        let watch = (epoll, self.first_token + key);
        let store = (key, &self.vault);
        let steering = spec.rotation.steering;
        let quay = Quay::new(group, steering, self.new_dispatcher(), store, watch)?;
        Ok(Service::Own(Box::new(quay)))
    }

    fn new_dispatcher(&self) -> Dispatcher {
        Dispatcher::new(&self.spec, herder_sys::random::seed())
    }

    /// The master accepts at this socket.
    pub(super) fn doorway_of(
        &self,
        socket: OwnedFd,
        key: u64,
        epoll: &Epoll,
    ) -> io::Result<Service> {
        let listeners = vec![Listener::adopt(socket)?];
        let acceptor = Acceptor::new(listeners, epoll, self.first_token + key)?;
        let doorway = Doorway {
            acceptor,
            dispatcher: self.new_dispatcher(),
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
}
