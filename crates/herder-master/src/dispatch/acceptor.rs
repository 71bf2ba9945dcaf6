//! Listeners in the hand of a dispatch thread.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::listener::{self, AcceptError, Listener};

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
            epoll.add(listener.as_fd(), token, Interest::NONE)?;
        }
        Ok(Acceptor {
            listeners,
            first_token,
            armed: false,
            paused_until: None,
            told_at: None,
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.listeners.len()
    }

    /// Whether a token is one of these.
    pub(super) fn owns(&self, token: u64) -> bool {
        token >= self.first_token && token - self.first_token < self.listeners.len() as u64
    }

    /// Accepts one connection from the listener at this place.
    pub(super) fn accept(&mut self, place: usize, now: Tick) -> Accepted {
        if self.is_paused(now) {
            return Accepted::Nothing;
        }
        loop {
            let error = match listener::accept(self.listeners[place].as_fd()) {
                Ok(connection) => return Accepted::Connection(connection),
                Err(error) => error,
            };
            match listener::accept_error(&error) {
                AcceptError::None => return Accepted::Nothing,
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
    pub(super) fn close(&mut self) {
        self.listeners.clear();
        self.armed = false;
        self.paused_until = None;
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
