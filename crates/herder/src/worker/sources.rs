//! Where a worker's connections come from: passed by the master, accepted here, or both.

use std::io;
use std::os::fd::OwnedFd;

use herder_sys::epoll::Epoll;

use crate::worker::acceptor::{Arrival, Look};
use crate::worker::conns::Conns;
use crate::worker::listeners::Listeners;

/// The token of the channel in the epoll instance that watches the sources.
pub(super) const CHANNEL: u64 = 1;

/// The token of the first listener; the others follow.
const FIRST_LISTENER: u64 = 2;

/// The sources of one worker.
pub(super) enum Sources {
    /// Connections are passed.
    Passed(Conns),
    /// The worker accepts them.
    Accepted(Listeners),
    /// Both, each for some of the herd's listeners.
    Both(Box<Both>),
}

/// A worker that is passed the connections of some listeners and accepts those of others.
pub(super) struct Both {
    conns: Conns,
    listeners: Listeners,
    places: Places,
    /// Which is looked at first: neither waits until there is nothing at the other.
    turn: Turn,
}

/// Which places the listeners have among the herd's addresses: of those whose connections are passed, and of
/// the worker's own, each in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) passed: Vec<u16>,
    pub(crate) own: Vec<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Conns,
    Listeners,
}

impl Sources {
    pub(super) fn passed(channel: OwnedFd) -> io::Result<Sources> {
        Ok(Sources::Passed(Conns::new(channel)?))
    }

    pub(super) fn accepted(sockets: Vec<OwnedFd>) -> io::Result<Sources> {
        Ok(Sources::Accepted(Listeners::new(sockets, FIRST_LISTENER)?))
    }

    pub(super) fn both(
        channel: OwnedFd,
        sockets: Vec<OwnedFd>,
        places: Places,
    ) -> io::Result<Sources> {
        Ok(Sources::Both(Box::new(Both {
            conns: Conns::new(channel)?,
            listeners: Listeners::new(sockets, FIRST_LISTENER)?,
            places,
            turn: Turn::Listeners,
        })))
    }

    /// The next connection, wherever it comes from.
    ///
    /// # Errors
    /// When a source is unusable.
    pub(super) fn next(&mut self, epoll: &Epoll) -> io::Result<Look> {
        match self {
            Sources::Passed(conns) => conns.next(epoll),
            Sources::Accepted(listeners) => listeners.next(epoll),
            Sources::Both(both) => both.next(epoll),
        }
    }

    /// The next connection of those that only this worker can serve, once the master is gone.
    ///
    /// # Errors
    /// As [`next`](Sources::next).
    pub(super) fn next_passed(&mut self, epoll: &Epoll) -> io::Result<Look> {
        match self {
            Sources::Passed(conns) => conns.next(epoll),
            Sources::Accepted(_) => Ok(Look::Nothing),
            Sources::Both(both) => both.next_passed(epoll),
        }
    }

    /// A connection that was received before.
    pub(super) fn received(&mut self) -> Option<Arrival> {
        match self {
            Sources::Passed(conns) => conns.received(),
            Sources::Accepted(_) => None,
            Sources::Both(both) => both.conns.received().map(|it| both.places.of_passed(it)),
        }
    }

    /// What the worker accepts from.
    pub(super) fn listeners(&mut self) -> Option<&mut Listeners> {
        match self {
            Sources::Passed(_) => None,
            Sources::Accepted(listeners) => Some(listeners),
            Sources::Both(both) => Some(&mut both.listeners),
        }
    }

    /// What it is passed connections by.
    pub(super) fn conns(&self) -> Option<&Conns> {
        match self {
            Sources::Passed(conns) => Some(conns),
            Sources::Accepted(_) => None,
            Sources::Both(both) => Some(&both.conns),
        }
    }

    pub(super) fn watch(&mut self, epoll: &Epoll) -> io::Result<()> {
        match self {
            Sources::Passed(conns) => conns.watch(epoll, CHANNEL),
            Sources::Accepted(listeners) => listeners.watch(epoll),
            Sources::Both(both) => {
                both.conns.watch(epoll, CHANNEL)?;
                both.listeners.watch(epoll)
            }
        }
    }

    pub(super) fn unwatch(&mut self, epoll: &Epoll) -> io::Result<()> {
        match self {
            Sources::Passed(conns) => conns.unwatch(epoll),
            Sources::Accepted(listeners) => listeners.unwatch(epoll),
            Sources::Both(both) => {
                both.conns.unwatch(epoll)?;
                both.listeners.unwatch(epoll)
            }
        }
    }
}

impl Both {
    fn next(&mut self, epoll: &Epoll) -> io::Result<Look> {
        let first = self.turn;
        let look = self.look(first, epoll)?;
        match look {
            Look::Nothing => self.look(first.other(), epoll),
            Look::Arrived(_) | Look::NoDescriptors => Ok(look),
        }
    }

    fn look(&mut self, turn: Turn, epoll: &Epoll) -> io::Result<Look> {
        let look = match turn {
            Turn::Conns => self.next_passed(epoll)?,
            Turn::Listeners => {
                // While connections are passed nobody asks the kernel who waits.
                if self.turn == Turn::Listeners {
                    self.listeners.promise_all();
                }
                let look = self.listeners.next(epoll)?;
                look.map(|arrival| self.places.of_own(arrival))
            }
        };
        if let Look::Arrived(_) = look {
            self.turn = turn.other();
        }
        Ok(look)
    }

    fn next_passed(&mut self, epoll: &Epoll) -> io::Result<Look> {
        let look = self.conns.next(epoll)?;
        Ok(look.map(|arrival| self.places.of_passed(arrival)))
    }
}

impl Turn {
    fn other(self) -> Turn {
        match self {
            Turn::Conns => Turn::Listeners,
            Turn::Listeners => Turn::Conns,
        }
    }
}

impl Places {
    fn of_passed(&self, arrival: Arrival) -> Arrival {
        at(&self.passed, arrival)
    }

    fn of_own(&self, arrival: Arrival) -> Arrival {
        at(&self.own, arrival)
    }
}

/// One of a listener that nobody knows has a name as empty as its.
fn at(places: &[u16], arrival: Arrival) -> Arrival {
    let place = places.get(usize::from(arrival.listener));
    Arrival {
        listener: place.copied().unwrap_or(u16::MAX),
        ..arrival
    }
}
