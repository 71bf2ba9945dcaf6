//! Listeners in the hand of a dispatch thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use herder_core::{Origin, Tick};
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::listener::{self, AcceptError, Listener};
use herder_sys::{failpoint, fd, socket};

/// How long accepting rests when there is no descriptor left. Without a rest the listener, still
/// readable, would wake the thread 200,000 times a second.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a pause is told of.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The listeners of one app, armed or not.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    first_token: u64,
    armed: bool,
    paused_until: Option<Tick>,
    told_at: Option<Tick>,
    /// After the last call: how many connections are still to be taken from each.
    left: Option<Vec<u32>>,
}

/// What one attempt to accept gave.
pub(super) enum Accepted {
    /// A connection.
    Connection(OwnedFd),
    /// Nobody waits, or accepting pauses.
    Nothing,
    /// Accepting pauses; tell of it.
    Paused(io::Error),
}

impl Acceptor {
    /// Takes the listeners; `first_token` and the following ones name them in the epoll.
    pub(super) fn new(
        listeners: Vec<Listener>,
        epoll: &Epoll,
        first_token: u64,
    ) -> io::Result<Acceptor> {
        for (listener, token) in listeners.iter().zip(first_token..) {
            // Those of a service manager may be blocking.
            fd::set_blocking(listener.as_fd(), fd::Blocking::No)?;
            epoll.add(listener.as_fd(), token, Interest::NONE)?;
        }
        Ok(Acceptor {
            listeners,
            first_token,
            armed: false,
            paused_until: None,
            told_at: None,
            left: None,
        })
    }

    /// Whether any listens still.
    pub(super) fn is_open(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// Which listener a token names; `None` for one that was closed a moment ago.
    pub(super) fn place_of(&self, token: u64) -> Option<usize> {
        let place = usize::try_from(token.checked_sub(self.first_token)?).ok()?;
        (place < self.listeners.len()).then_some(place)
    }

    /// From now on only those are accepted that wait at this moment.
    pub(super) fn last_call(&mut self) {
        // A Unix listener does not tell how many they are: all that come until nobody waits.
        let waiting = |listener: &Listener| match listener.accept_queue_length() {
            Ok(Some(waiting)) => waiting,
            Ok(None) | Err(_) => u32::from(listener.has_waiting()) * u32::MAX,
        };
        self.left = Some(self.listeners.iter().map(waiting).collect());
    }

    /// Whether the last call was heard by everybody.
    pub(super) fn is_done(&self) -> bool {
        self.left
            .as_ref()
            .is_some_and(|left| left.iter().all(|left| *left == 0))
    }

    /// Accepts one connection from the listener at this place.
    pub(super) fn accept(&mut self, place: usize, now: Tick) -> Accepted {
        if self.is_paused(now) || self.left_at(place) == Some(0) {
            return Accepted::Nothing;
        }
        loop {
            let listener = self.listeners[place].as_fd();
            let accepted = failpoint::check("dispatch.accept");
            let error = match accepted.and_then(|()| listener::accept(listener)) {
                Ok(connection) => {
                    self.count_down(place, 1);
                    return Accepted::Connection(connection);
                }
                Err(error) => error,
            };
            match listener::accept_error(&error) {
                AcceptError::None => {
                    self.count_down(place, u32::MAX);
                    return Accepted::Nothing;
                }
                AcceptError::Transient => {}
                AcceptError::OutOfDescriptors | AcceptError::Broken => {
                    self.paused_until = Some(now.after(PAUSE));
                    return if self.may_tell(now) {
                        Accepted::Paused(error)
                    } else {
                        Accepted::Nothing
                    };
                }
            }
        }
    }

    /// When a pause ends.
    pub(super) fn timeout(&self) -> Option<Tick> {
        self.paused_until
    }

    /// Wakes the thread for new connections, or does not: with no credit the kernel's backlog is
    /// the queue.
    pub(super) fn arm(&mut self, epoll: &Epoll, budget: usize, now: Tick) -> io::Result<()> {
        let wanted = budget > 0 && !self.is_paused(now);
        if wanted == self.armed {
            return Ok(());
        }
        self.armed = wanted;
        let interest = if wanted {
            Interest::READABLE
        } else {
            Interest::NONE
        };
        for (listener, token) in self.listeners.iter().zip(self.first_token..) {
            epoll.modify(listener.as_fd(), token, interest)?;
        }
        Ok(())
    }

    /// Stops listening.
    pub(super) fn close(&mut self, epoll: &Epoll) {
        for listener in self.listeners.drain(..) {
            // They were watched since they came. Somebody else may have a duplicate of what is closed here,
            // and then the epoll would go on watching it.
            let _unwatched = epoll.remove(listener.as_fd());
        }
        self.left = Some(Vec::new());
        self.armed = false;
        self.paused_until = None;
    }

    /// The listeners, while they are open.
    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Gives the listeners back.
    pub(super) fn into_listeners(self) -> Vec<Listener> {
        self.listeners
    }

    fn left_at(&self, place: usize) -> Option<u32> {
        self.left.as_ref().map(|left| left[place])
    }

    fn count_down(&mut self, place: usize, by: u32) {
        if let Some(left) = &mut self.left {
            left[place] = left[place].saturating_sub(by);
        }
    }

    fn is_paused(&mut self, now: Tick) -> bool {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        self.paused_until.is_some()
    }

    fn may_tell(&mut self, now: Tick) -> bool {
        let told_lately = self
            .told_at
            .is_some_and(|told| now.since(told) < TELL_EVERY);
        if !told_lately {
            self.told_at = Some(now);
        }
        !told_lately
    }
}

/// Where a connection comes from. Nobody knows it of one that has ended already, or of a client that
/// came by a Unix socket.
pub(super) fn origin_of(socket: BorrowedFd<'_>) -> Option<Origin> {
    let address = socket::peer_ip(socket).ok().flatten();
    address.map(Origin::from)
}
