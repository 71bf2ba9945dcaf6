//! Connections that the worker accepts: from listeners that all workers share (`shared` mode), or from its
//! slot's own (`kernel`, `reuseport`).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_sys::epoll::{Epoll, Interest};
use herder_sys::fd::Reserve;
use herder_sys::listener::{
    AcceptError, Blocking, accept_as, accept_error, is_in_group, is_listening, set_blocking,
};

use crate::worker::acceptor::{Arrival, Look};

/// The kernel wakes the worker that watches a listener for the shortest time. Watching anew every
/// so many connections lets the others have their turn.
const TURN: u32 = 16;

/// How often, and after how long each, a listener is looked at that does not listen any more.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_micros(500);

pub(crate) struct Listeners {
    all: Vec<Door>,
    /// Those that may have a connection waiting, by place in `all`.
    promising: VecDeque<usize>,
    /// The token of the first in the epoll instance that watches them; the others follow.
    first_token: u64,
    /// The kernel wakes one worker for a connection. If that one has no descriptor left, nobody
    /// else hears of it: so a place is kept for it, and without one no listener is watched.
    reserve: Reserve,
    watching: Watching,
    /// What connections are to be: whoever serves them would have to change it otherwise, one by one.
    accepted: Blocking,
}

/// Whether the kernel wakes this worker for new connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watching {
    Yes,
    No,
}

struct Door {
    socket: OwnedFd,
    sharing: Sharing,
    accepted: u32,
}

/// Whether other workers watch the same listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sharing {
    /// Not for long: it is the slot's own.
    Own,
    All,
}

impl Listeners {
    /// Takes listeners over. They become non-blocking, for every holder.
    pub(crate) fn new(sockets: Vec<OwnedFd>, first_token: u64) -> io::Result<Listeners> {
        for socket in &sockets {
            set_blocking(socket.as_fd(), Blocking::No)?;
        }
        let all = sockets
            .into_iter()
            .map(|socket| {
                let sharing = match is_in_group(socket.as_fd()) {
                    Ok(true) => Sharing::Own,
                    Ok(false) | Err(_) => Sharing::All,
                };
                Door {
                    socket,
                    sharing,
                    accepted: 0,
                }
            })
            .collect();
        Ok(Listeners {
            all,
            promising: VecDeque::new(),
            first_token,
            reserve: Reserve::new(1)?,
            watching: Watching::No,
            accepted: Blocking::Yes,
        })
    }

    /// From now on reading from connections does not wait.
    pub(crate) fn accept_nonblocking(&mut self) {
        self.accepted = Blocking::No;
    }

    pub(crate) fn watch(&mut self, epoll: &Epoll) -> io::Result<()> {
        if self.watching == Watching::Yes {
            return Ok(());
        }
        self.watching = Watching::Yes;
        (0..self.all.len()).try_for_each(|place| self.watch_one(place, epoll))
    }

    pub(crate) fn unwatch(&mut self, epoll: &Epoll) -> io::Result<()> {
        if self.watching == Watching::No {
            return Ok(());
        }
        self.watching = Watching::No;
        self.all
            .iter()
            .try_for_each(|shared| epoll.remove(shared.socket.as_fd()))
    }

    /// Something may wait at the listener with this token.
    pub(crate) fn promise(&mut self, token: u64) {
        let place = token
            .checked_sub(self.first_token)
            .and_then(|place| place.try_into().ok());
        if let Some(place) = place
            && place < self.all.len()
            && !self.promising.contains(&place)
        {
            self.promising.push_back(place);
        }
    }

    /// Something may wait at each of them.
    pub(crate) fn promise_all(&mut self) {
        self.promising.clear();
        self.promising.extend(0..self.all.len());
    }

    /// Something may wait at the only one. Returns whether there is only one.
    pub(crate) fn promise_only(&mut self) -> bool {
        let is_only = self.all.len() == 1;
        if is_only {
            self.promise_all();
        }
        is_only
    }

    /// Whether the process has a descriptor to spare.
    pub(crate) fn has_room(&mut self) -> bool {
        self.reserve.refill() == 0
    }

    /// The next connection, of those listeners that promise one.
    ///
    /// # Errors
    /// When a listener is no listener any more.
    pub(crate) fn next(&mut self, epoll: &Epoll) -> io::Result<Look> {
        if !self.has_room() {
            return Ok(Look::NoDescriptors);
        }
        while let Some(place) = self.promising.pop_front() {
            match self.accept(place) {
                Ok(fd) => {
                    self.promising.push_back(place);
                    self.count(place, epoll)?;
                    let listener = u16::try_from(place).unwrap_or(u16::MAX);
                    let is_now = Some(self.accepted);
                    return Ok(Look::Arrived(Arrival {
                        fd,
                        listener,
                        is_now,
                    }));
                }
                Err(error) => match accept_error(&error) {
                    AcceptError::None => {}
                    AcceptError::Transient => self.promising.push_back(place),
                    AcceptError::OutOfDescriptors => return Ok(Look::NoDescriptors),
                    AcceptError::Broken if self.listens_again(place) => {
                        self.promising.push_back(place);
                    }
                    AcceptError::Broken => return Err(error),
                },
            }
        }
        Ok(Look::Nothing)
    }

    fn accept(&mut self, place: usize) -> io::Result<OwnedFd> {
        let socket = self.all[place].socket.as_fd();
        match accept_as(socket, self.accepted) {
            Err(error) if matches!(accept_error(&error), AcceptError::OutOfDescriptors) => {
                self.reserve.release();
                let last = accept_as(socket, self.accepted);
                if last.is_err() {
                    self.reserve.refill();
                }
                last
            }
            accepted => accepted,
        }
    }

    /// The master shuts a listener down for a moment to give those who wait there to others.
    fn listens_again(&self, place: usize) -> bool {
        let socket = self.all[place].socket.as_fd();
        (0..LOOKS).any(|look| {
            if look > 0 {
                std::thread::sleep(LOOK_AGAIN);
            }
            is_listening(socket)
        })
    }

    fn count(&mut self, place: usize, epoll: &Epoll) -> io::Result<()> {
        let shared = &mut self.all[place];
        if shared.sharing == Sharing::Own {
            return Ok(());
        }
        shared.accepted = shared.accepted.wrapping_add(1);
        if self.watching == Watching::Yes && shared.accepted.is_multiple_of(TURN) {
            epoll.remove(shared.socket.as_fd())?;
            self.watch_one(place, epoll)?;
        }
        Ok(())
    }

    fn watch_one(&self, place: usize, epoll: &Epoll) -> io::Result<()> {
        let token = self.first_token + place as u64;
        epoll.add(
            self.all[place].socket.as_fd(),
            token,
            Interest::READABLE | Interest::EXCLUSIVE,
        )
    }
}
