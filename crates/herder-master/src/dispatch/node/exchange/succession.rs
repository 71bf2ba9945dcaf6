//! The listeners as another master left them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use herder_core::rotation::{Relief, Steering};
use herder_core::{Incarnation, Tick, WorkerId};
use herder_sys::epoll::Epoll;
use herder_wire::keeper::{Key, Prefix};
use herder_wire::node::{Identity, Json, SharedKind};
use serde::{Deserialize, Serialize};

use super::{Exchange, Place, Port, Service, SocketFile};
use crate::dispatch::Pieces;
use crate::dispatch::group::{Group, Piece};

/// What is written down of all listeners.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::dispatch::node) struct ExchangeState {
    next_key: u64,
    ports: Vec<PortState>,
}

/// What there is of listeners beside what was written down.
#[derive(Default)]
pub(in crate::dispatch::node) struct Heirlooms {
    /// Those that there is one socket of, by their keys.
    pub(in crate::dispatch::node) sockets: Vec<(u64, OwnedFd)>,
    /// Those of which each worker has its own.
    pub(in crate::dispatch::node) groups: BTreeMap<u64, Pieces>,
}

#[derive(Serialize, Deserialize)]
struct PortState {
    key: u64,
    /// `None` where the master accepts.
    shared: Option<SharedKind>,
    /// Each worker has a socket of its own.
    #[serde(default)]
    is_own: bool,
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
                Service::Own(_) | Service::Passed(_) => None,
                Service::Shared { kind, .. } => Some(*kind),
            },
            is_own: matches!(port.service, Service::Own(_)),
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
                .filter(|(_, port)| port.is_open())
                .map(port)
                .collect(),
        }
    }

    /// Has the listeners that the last master had. `estate` is what was stored of them, and `living` the
    /// workers that may have them. Returns where the herd does not listen any more.
    pub(in crate::dispatch::node) fn restore(
        &mut self,
        state: ExchangeState,
        estate: Heirlooms,
        living: &BTreeMap<Incarnation, WorkerId>,
        (epoll, now): (&Epoll, Tick),
    ) -> io::Result<Vec<Place>> {
        let mut sockets: BTreeMap<u64, OwnedFd> = estate.sockets.into_iter().collect();
        let mut groups = estate.groups;
        let mut lost = Vec::new();
        self.next_key = state.next_key.max(1);
        for state in state.ports {
            let holders = state.holders.iter().copied().map(Incarnation);
            let holders: BTreeSet<_> = holders.filter(|life| living.contains_key(life)).collect();
            let service = if state.is_own {
                let workers: Vec<_> = holders.iter().map(|life| living[life]).collect();
                let pieces = groups.remove(&state.key);
                pieces.map(|pieces| self.adopt(state.key, pieces, &workers, (epoll, now)))
            } else {
                let socket = sockets.remove(&state.key);
                socket.map(|socket| match state.shared {
                    Some(kind) => Ok(Service::Shared { socket, kind }),
                    None => self.doorway_of(socket, state.key, epoll),
                })
            };
            let Some(service) = service.transpose()? else {
                lost.push(state.place);
                continue;
            };
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
        for key in groups.into_keys() {
            self.next_key = self.next_key.max(key + 1);
            self.vault.forget_all(&Prefix::group(key));
        }
        Ok(lost)
    }

    /// Goes on with a group in the mode that it was made in.
    fn adopt(
        &self,
        key: u64,
        pieces: Pieces,
        workers: &[WorkerId],
        (epoll, now): (&Epoll, Tick),
    ) -> io::Result<Service> {
        let has_program = pieces.iter().any(|(piece, _)| *piece == Piece::Program);
        let mut spec = self.group_spec.clone();
        spec.rotation.steering = if has_program {
            Steering::Program
        } else {
            Steering::Hash
        };
        let survivor = |worker: &WorkerId| (*worker, self.weight_of(*worker), Relief::HandOver);
        let survivors: Vec<_> = workers.iter().map(survivor).collect();
        let group = Group::adopt(&spec, pieces, &survivors, now)?;
        self.quay_of(group, &spec, key, epoll)
    }
}
