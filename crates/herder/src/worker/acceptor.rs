//! Where a worker's connections come from, and the wait for the next.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::Blocking;

use crate::worker::link::Link;
use crate::worker::sources::{CHANNEL, Places, Sources};

/// How long a worker without descriptors leaves new connections to others.
const PAUSE: Duration = Duration::from_millis(50);

/// How many events are taken at a time.
const EVENTS: usize = 4;

/// How many connections a worker may accept that the kernel has announced to it before it rests.
const LEFTOVER: u32 = 64;

const HOUSE: u64 = 0;

/// A connection that is ours.
pub(crate) struct Arrival {
    pub(crate) fd: OwnedFd,
    /// By which listener it came.
    pub(crate) listener: u16,
    /// Whether reading from it waits, as it is; `None` = that is not known.
    pub(crate) is_now: Option<Blocking>,
}

/// What a source of connections had.
pub(crate) enum Look {
    Arrived(Arrival),
    /// There may be one, but the process has no descriptor left for it.
    NoDescriptors,
    Nothing,
}

impl Look {
    /// The same, with another connection.
    pub(crate) fn map(self, change: impl FnOnce(Arrival) -> Arrival) -> Look {
        match self {
            Look::Arrived(arrival) => Look::Arrived(change(arrival)),
            Look::NoDescriptors => Look::NoDescriptors,
            Look::Nothing => Look::Nothing,
        }
    }
}

/// What one look for a connection brought.
pub(crate) enum Step {
    Arrived(Arrival),
    /// No more will come.
    Exhausted,
    /// None now.
    Nothing,
}

/// A worker's source of connections.
pub(crate) struct Acceptor {
    /// Watches the sources and, unless a runtime does, the link.
    epoll: Arc<Epoll>,
    sources: Sources,
    nudges_seen: u64,
    /// Set while the source is not watched for want of descriptors.
    pause_until: Option<Instant>,
    /// How many more are accepted although the master wants others to, or `None` while it does not.
    leftover: Option<u32>,
}

impl Acceptor {
    /// Connections passed over this channel.
    pub(crate) fn passed(link: &Link, channel: OwnedFd) -> io::Result<Acceptor> {
        Acceptor::new(link, Sources::passed(channel)?)
    }

    /// Connections accepted from these listeners.
    pub(crate) fn listening(link: &Link, sockets: Vec<OwnedFd>) -> io::Result<Acceptor> {
        Acceptor::new(link, Sources::accepted(sockets)?)
    }

    /// Connections passed over this channel, and others accepted from these listeners.
    pub(crate) fn both(
        link: &Link,
        channel: OwnedFd,
        sockets: Vec<OwnedFd>,
        places: Places,
    ) -> io::Result<Acceptor> {
        Acceptor::new(link, Sources::both(channel, sockets, places)?)
    }

    fn new(link: &Link, sources: Sources) -> io::Result<Acceptor> {
        let epoll = Arc::new(Epoll::new()?);
        epoll.add(link.house(), HOUSE, Interest::READABLE)?;
        let mut acceptor = Acceptor {
            epoll,
            sources,
            nudges_seen: 0,
            pause_until: None,
            leftover: None,
        };
        acceptor.watch()?;
        Ok(acceptor)
    }

    /// Looks for a connection, without waiting.
    pub(crate) fn step(&mut self, link: &Link) -> io::Result<Step> {
        let nothing = if link.ending().has_begun() {
            Step::Exhausted
        } else {
            Step::Nothing
        };
        let is_over = matches!(nothing, Step::Exhausted);
        if is_over && !self.is_heir(link) {
            // Nothing more is received or accepted: the others get it.
            return Ok(self.sources.received().map_or(nothing, Step::Arrived));
        }
        let nudges = link.nudges();
        let nudged = std::mem::replace(&mut self.nudges_seen, nudges) != nudges;
        if self.is_pausing()? || (!is_over && self.is_resting(link)?) {
            return Ok(Step::Nothing);
        }
        if nudged && let Some(listeners) = self.sources.listeners() {
            listeners.promise_all();
        }
        let look = if is_over {
            self.sources.next_passed(&self.epoll)?
        } else {
            self.sources.next(&self.epoll)?
        };
        match look {
            Look::Arrived(arrival) => Ok(Step::Arrived(arrival)),
            Look::Nothing => {
                // Who rests has taken what was announced to it.
                self.leftover = self.leftover.map(|_| 0);
                Ok(nothing)
            }
            Look::NoDescriptors => {
                self.pause()?;
                Ok(Step::Nothing)
            }
        }
    }

    /// Whether the worker leaves shared listeners to others, since the master said so. What the
    /// kernel has told this worker of, and perhaps nobody else, is accepted first.
    fn is_resting(&mut self, link: &Link) -> io::Result<bool> {
        let Some(listeners) = self.sources.listeners() else {
            return Ok(false);
        };
        match (link.is_paused(), &mut self.leftover) {
            (false, None) => return Ok(false),
            (false, leftover) => {
                *leftover = None;
                if self.pause_until.is_none() {
                    listeners.watch(&self.epoll)?;
                }
                listeners.promise_all();
                return Ok(false);
            }
            (true, Some(left)) => *left = left.saturating_sub(1),
            (true, leftover) => {
                *leftover = Some(LEFTOVER);
                if self.pause_until.is_none() {
                    listeners.unwatch(&self.epoll)?;
                }
                listeners.promise_all();
            }
        }
        Ok(self.leftover == Some(0))
    }

    /// Whether nobody else would serve what lies in the channel: the master would take it back, but
    /// is gone.
    fn is_heir(&self, link: &Link) -> bool {
        self.sources.conns().is_some() && link.ending().master_gone()
    }

    /// How many connections are the worker's own and were not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.sources.conns().map_or(0, |conns| conns.waiting())
    }

    /// How often the worker was told to look at shared listeners again, when it last did.
    #[cfg(feature = "tokio")]
    pub(crate) fn nudges_seen(&self) -> u64 {
        self.nudges_seen
    }

    /// Whether nothing comes any more, though the worker's end has not begun yet.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_withdrawn(&self) -> bool {
        match &self.sources {
            Sources::Passed(conns) => conns.is_withdrawn(),
            // Who waits at its listeners is still accepted.
            Sources::Accepted(_) | Sources::Both(_) => false,
        }
    }

    /// Waits until something may have happened, at most `due`, and takes care of the link.
    pub(crate) fn wait(&mut self, link: &Link, due: Option<Duration>) -> io::Result<()> {
        let before = Instant::now();
        let due = due.into_iter().chain(self.pause_left(before)).min();
        let mut events = Events::with_capacity(EVENTS);
        self.epoll.wait(&mut events, due)?;
        link.waited(before.elapsed());
        self.sort(&events, link);
        Ok(())
    }

    /// Asks the kernel which listeners have a connection, for a task that waits elsewhere.
    /// Returns whether another [`step`](Acceptor::step) is worth while.
    #[cfg(feature = "tokio")]
    pub(crate) fn refresh(&mut self, link: &Link) -> io::Result<bool> {
        match &self.sources {
            Sources::Passed(_) => Ok(false),
            Sources::Accepted(_) | Sources::Both(_) => self.look(link),
        }
    }

    /// What is readable when another [`step`](Acceptor::step) is worth while, after a [`look`](Acceptor::look).
    pub(crate) fn descriptor(&self) -> Arc<Epoll> {
        Arc::clone(&self.epoll)
    }

    /// Reading from connections is not to wait.
    pub(crate) fn accept_nonblocking(&mut self) {
        if let Some(listeners) = self.sources.listeners() {
            listeners.accept_nonblocking();
        }
    }

    /// Has the next [`step`](Acceptor::step) try the listener, if there is one and nothing else. Returns whether
    /// it does.
    pub(crate) fn expect(&mut self) -> bool {
        match &mut self.sources {
            Sources::Accepted(listeners) => listeners.promise_only(),
            Sources::Passed(_) | Sources::Both(_) => false,
        }
    }

    /// Sees what the kernel has to tell, and takes care of the link. Returns whether there was anything.
    pub(crate) fn look(&mut self, link: &Link) -> io::Result<bool> {
        let mut events = Events::with_capacity(EVENTS);
        self.epoll.wait(&mut events, Some(Duration::ZERO))?;
        self.sort(&events, link);
        Ok(!events.is_empty())
    }

    /// A descriptor that is readable when another [`step`](Acceptor::step) is worth while, for a
    /// caller that waits elsewhere, and that takes care of the link by other means.
    #[cfg(feature = "tokio")]
    pub(crate) fn detach(&mut self, link: &Link) -> io::Result<OwnedFd> {
        match self.epoll.remove(link.house()) {
            // It was detached before, for a runtime that is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.accept_nonblocking();
        match &self.sources {
            Sources::Passed(conns) => herder_sys::fd::duplicate(conns.channel()),
            Sources::Accepted(_) | Sources::Both(_) => {
                herder_sys::fd::duplicate(std::os::fd::AsFd::as_fd(&self.epoll))
            }
        }
    }

    /// In how long to come again although nothing happens.
    pub(crate) fn pause_left(&self, now: Instant) -> Option<Duration> {
        self.pause_until
            .map(|until| until.saturating_duration_since(now))
    }

    /// What waits at a watched source that cannot be taken would wake us without end.
    fn pause(&mut self) -> io::Result<()> {
        self.pause_until = Some(Instant::now() + PAUSE);
        self.sources.unwatch(&self.epoll)
    }

    fn is_pausing(&mut self) -> io::Result<bool> {
        match self.pause_until {
            None => Ok(false),
            Some(until) if Instant::now() < until => Ok(true),
            Some(_) => {
                if let Some(listeners) = self.sources.listeners()
                    && !listeners.has_room()
                {
                    // Who watches is woken, in the place of one who could accept.
                    self.pause_until = Some(Instant::now() + PAUSE);
                    return Ok(true);
                }
                self.pause_until = None;
                if self.leftover.is_none() {
                    self.watch()?;
                }
                if let Some(listeners) = self.sources.listeners() {
                    listeners.promise_all();
                }
                Ok(false)
            }
        }
    }

    fn watch(&mut self) -> io::Result<()> {
        self.sources.watch(&self.epoll)
    }

    fn sort(&mut self, events: &Events, link: &Link) {
        for event in events.iter() {
            match event.token {
                HOUSE => link.read(),
                CHANNEL => {}
                token => {
                    if let Some(listeners) = self.sources.listeners() {
                        listeners.promise(token);
                    }
                }
            }
        }
    }
}
