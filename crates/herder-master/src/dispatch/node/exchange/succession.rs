//! The listeners as another master left them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use herder_core::{Incarnation, Tick};
use herder_sys::epoll::Epoll;
use herder_wire::keeper::Key;
use herder_wire::node::{Identity, Json, SharedKind};
use serde::{Deserialize, Serialize};

use super::{Exchange, Place, Port, Service, SocketFile};

/// What is written down of all listeners.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::dispatch::node) struct ExchangeState {
    next_key: u64,
    ports: Vec<PortState>,
}

#[derive(Serialize, Deserialize)]
struct PortState {
    key: u64,
    /// `None` where the master accepts.
    shared: Option<SharedKind>,
    address: Option<SocketAddr>,
    data: Option<String>,
    place: Place,
    file: Option<SocketFile>,
    identity: Identity,
    holders: Vec<u64>,
}

impl Exchange {
    /// What is to be written down.
    pub(in crate::dispatch::node) fn state(&self) -> ExchangeState {
        let port = |(key, port): (&u64, &Port)| PortState {
            key: *key,
            shared: match &port.service {
                Service::Passed(_) => None,
                Service::Shared { kind, .. } => Some(*kind),
            },
            address: port.address,
            data: port.data.as_ref().map(|data| data.as_str().to_owned()),
            place: port.place.clone(),
            file: port.file.clone(),
            identity: port.identity.clone(),
            holders: port.holders.iter().map(|life| life.0).collect(),
        };
        ExchangeState {
            next_key: self.next_key,
            // Those that were closed stay for what they have accepted.
            ports: self
                .ports
                .iter()
                .filter(|(_, port)| port.socket().is_some())
                .map(port)
                .collect(),
        }
    }

    /// Has the listeners that the last master had. `sockets` are what was stored of them, and `living` the
    /// workers that may have them. Returns where the herd does not listen any more.
    pub(in crate::dispatch::node) fn restore(
        &mut self,
        state: ExchangeState,
        sockets: Vec<(u64, OwnedFd)>,
        living: &BTreeSet<Incarnation>,
        (epoll, now): (&Epoll, Tick),
    ) -> io::Result<Vec<Place>> {
        let mut sockets: BTreeMap<u64, OwnedFd> = sockets.into_iter().collect();
        let mut lost = Vec::new();
        self.next_key = state.next_key.max(1);
        for state in state.ports {
            let Some(socket) = sockets.remove(&state.key) else {
                lost.push(state.place);
                continue;
            };
            let service = match state.shared {
                Some(kind) => Service::Shared { socket, kind },
                None => self.doorway_of(socket, state.key, epoll)?,
            };
            let holders = state.holders.into_iter().map(Incarnation);
            let holders: BTreeSet<_> = holders.filter(|life| living.contains(life)).collect();
            let port = Port {
                name: state.key.to_string(),
                service,
                address: state.address,
                data: state.data.and_then(|data| Json::parse(&data).ok()),
                place: state.place,
                file: state.file,
                identity: state.identity,
                orphaned_at: holders.is_empty().then_some(now),
                holders,
            };
            self.ports.insert(state.key, port);
        }
        // Those that were opened when the master died: no worker was told of them.
        for key in sockets.into_keys() {
            self.next_key = self.next_key.max(key + 1);
            self.vault.forget(&Key::node(key));
        }
        Ok(lost)
    }
}
