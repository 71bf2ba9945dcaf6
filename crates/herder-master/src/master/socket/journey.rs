//! The herd's socket from one image of the master to the next. In an upgrade the listener and the connections
//! lie with the keeper for a moment, and what was said and is owed stands in the state. After a death none
//! of this is taken over: whoever was connected has seen the end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use herder_sys::listener::{BoundAddress, Listener};
use herder_wire::keeper::Key;
use serde::{Deserialize, Serialize};

use super::bind::{self, SocketError};
use super::client::{Client, ClientState};
use super::owed::Owed;
use super::{HerdSocket, REST};
use crate::estate::{Treasury, Vault};
use crate::master::{Master, now};

/// Who is connected, and what is owed to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::master) struct SocketState {
    clients: Vec<ClientState>,
    owed: Vec<Owed>,
    last: u64,
}

/// What an image before this one has left.
pub(in crate::master) struct Luggage {
    listener: Option<OwnedFd>,
    clients: Vec<(u64, OwnedFd)>,
}

impl Luggage {
    /// Takes everything, so that from now on nobody but this image holds it.
    pub(in crate::master) fn take(treasury: &mut Treasury, vault: &Vault) -> Luggage {
        let mut take = |key: &Key| {
            let taken = treasury.take(key);
            if taken.is_some() {
                vault.forget(key);
            }
            taken
        };
        let listener = take(&Key::control());
        let keys: Vec<_> = treasury.keys().copied().collect();
        let clients = keys.into_iter().filter_map(|key| {
            let number = key.as_client()?;
            let socket = treasury.take(&key)?;
            vault.forget(&key);
            Some((number, socket))
        });
        Luggage {
            listener,
            clients: clients.collect(),
        }
    }

    /// The listener, if it is where the socket is to be.
    fn listener_at(&mut self, path: &Path) -> Option<Listener> {
        let listener = Listener::adopt(self.listener.take()?).ok()?;
        let is_there = matches!(listener.local(), BoundAddress::Unix(local) if local == path);
        is_there.then_some(listener)
    }
}

/// What becomes of a herd whose socket cannot be bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::master) enum Bound {
    /// It is not started.
    ToSucceed,
    /// It lives already, and goes on: it is tried again.
    Sometime,
}

impl HerdSocket {
    /// Opens the socket, and goes on with whom there is luggage and state of.
    ///
    /// # Errors
    /// When it cannot be bound, and is to be.
    pub(in crate::master) fn open(
        path: &Path,
        mut luggage: Luggage,
        state: Option<SocketState>,
        bound: Bound,
    ) -> Result<HerdSocket, SocketError> {
        let absolute = |path: &Path| -> io::Result<PathBuf> { std::path::absolute(path) };
        let unseen = |error| {
            let path = path.to_owned();
            SocketError::Unseen { path, error }
        };
        let path = absolute(path).map_err(unseen)?;
        let mut socket = HerdSocket::new(path).map_err(unseen)?;
        match luggage.listener_at(&socket.path) {
            Some(listener) => socket.listener = Some(listener),
            None => match (bind::bind(&socket.path), bound) {
                (Ok(listener), _) => socket.listener = Some(listener),
                (Err(error), Bound::ToSucceed) => return Err(error),
                (Err(error), Bound::Sometime) => {
                    socket.rests_until = Some(now().after(REST));
                    socket.complaint = Some(format!("there is no herd's socket: {error}"));
                }
            },
        }
        if let Some(state) = state {
            socket.restore(state, luggage.clients);
        }
        Ok(socket)
    }

    fn restore(&mut self, state: SocketState, mut sockets: Vec<(u64, OwnedFd)>) {
        self.last = state.last;
        for state in state.clients {
            let found = sockets
                .iter()
                .position(|(number, _)| *number == state.number);
            if let Some(place) = found {
                let (number, socket) = sockets.swap_remove(place);
                self.clients.insert(number, Client::restored(state, socket));
            }
        }
        let is_here = |owed: &Owed| self.clients.contains_key(&owed.to.client);
        self.owed = state.owed.into_iter().filter(is_here).collect();
    }

    /// What the next image has to know, if there is to be one.
    pub(in crate::master) fn state(&self) -> Option<SocketState> {
        self.travels.then(|| SocketState {
            clients: self.travellers().map(|(_, it)| it.state()).collect(),
            owed: self.owed.clone(),
            last: self.last,
        })
    }

    /// Whose connections stay open.
    fn travellers(&self) -> impl Iterator<Item = (u64, &Client)> {
        let all = self.clients.iter().map(|(number, it)| (*number, it));
        all.filter(|(_, client)| client.is_light())
    }

    /// Whether somebody is connected already.
    pub(in crate::master) fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Where it is told that something was told.
    pub(in crate::master) fn bell(&self) -> std::sync::Arc<herder_sys::wake::Wake> {
        std::sync::Arc::clone(&self.bell)
    }
}

impl Master {
    /// Lays the socket and its connections down for the next image. What cannot be stored is not missed
    /// there: such a client sees the end of its connection.
    pub(in crate::master) fn pack_socket(&mut self) {
        self.serve_clients();
        let Some(socket) = &mut self.socket else {
            return;
        };
        socket.travels = true;
        let vault = &self.book.vault;
        if let Some(listener) = &socket.listener {
            let _unstored = vault.store(&Key::control(), listener.as_fd(), 0);
        }
        for (number, client) in socket.travellers() {
            let _unstored = vault.store(&Key::client(number), client.as_fd(), 0);
        }
    }
}
