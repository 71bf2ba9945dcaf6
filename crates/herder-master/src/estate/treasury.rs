//! What a master finds in the keeper's store when it starts.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd;
use herder_sys::listener::{self, BoundAddress};
use herder_sys::pidfd::PidFd;
use herder_sys::signal::Signal;
use herder_sys::socket::{self, Wait};
use herder_wire::keeper::{FromKeeper, Key, MAX_FRAME, MemberItem};

use super::Vault;

/// How long the keeper may take to hand everything over.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came from the keeper and was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Treasury {
    treasures: BTreeMap<Key, OwnedFd>,
    exits: Vec<(i32, ExitStatus)>,
    masters_died: u32,
    keeper: Manner,
}

/// What a keeper understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A master that is silent hangs.
    #[default]
    Strict,
    /// One that has said so rests.
    LetsRest,
}

impl Treasury {
    /// Waits until the keeper has handed everything over.
    ///
    /// # Errors
    ///
    /// When it does not, or speaks what nobody here understands.
    pub(crate) fn receive(keeper: &impl AsFd) -> io::Result<Treasury> {
        let epoll = Epoll::new()?;
        epoll.add(keeper.as_fd(), 0, Interest::READABLE)?;
        let (mut events, give_up) = (Events::with_capacity(1), Instant::now() + PATIENCE);
        let mut treasury = Treasury::default();
        loop {
            match hear(keeper) {
                Ok(Heard::Said(frame, fd)) => {
                    if treasury.take_in(frame, fd)? {
                        return Ok(treasury);
                    }
                }
                Ok(Heard::Ended) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = give_up.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::Error::other("the keeper does not hand over"));
                    }
                    epoll.wait(&mut events, Some(left))?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether this was all.
    fn take_in(&mut self, frame: Option<FromKeeper>, fd: Option<OwnedFd>) -> io::Result<bool> {
        match (frame, fd) {
            (Some(FromKeeper::Stored { key, .. }), Some(fd)) => {
                self.treasures.insert(key, fd);
            }
            (Some(FromKeeper::Stored { key, .. }), None) => {
                let text = format!("{key} came without its descriptor");
                return Err(io::Error::other(text));
            }
            (Some(FromKeeper::Exited { pid, status }), _) => {
                self.exits.push((pid, ExitStatus::from_raw(status)));
            }
            (Some(FromKeeper::Complete { masters_died }), _) => {
                self.masters_died = masters_died;
                return Ok(true);
            }
            (Some(FromKeeper::LetsRest), _) => self.keeper = Manner::LetsRest,
            (None, _) => {}
        }
        Ok(false)
    }

    /// How many masters this keeper has lost.
    pub(crate) fn masters_died(&self) -> u32 {
        self.masters_died
    }

    /// What this keeper understands.
    pub(crate) fn keeper(&self) -> Manner {
        self.keeper
    }

    /// The processes whose ends nobody was told of.
    pub(crate) fn take_exits(&mut self) -> Vec<(i32, ExitStatus)> {
        std::mem::take(&mut self.exits)
    }

    /// Takes what lies under this key. It stays in the store, too.
    pub(crate) fn take(&mut self, key: &Key) -> Option<OwnedFd> {
        self.treasures.remove(key)
    }

    /// The keys of what was not taken yet.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.treasures.keys()
    }

    /// Where the first of the listeners listens that are at a TCP address.
    pub(crate) fn port(&self) -> Option<SocketAddr> {
        let listeners = self.treasures.iter();
        let listeners = listeners.filter(|(key, _)| key.as_listener().is_some());
        let locals = listeners.map(|(_, fd)| listener::local_address(fd.as_fd()));
        locals.flatten().find_map(|local| match local {
            BoundAddress::Tcp(address) => Some(address),
            BoundAddress::Unix(_) => None,
        })
    }

    /// Kills the processes that nobody took: they were started in the moment in which a master died, and
    /// have no plan.
    pub(crate) fn end_strays(&self) {
        for (key, treasure) in &self.treasures {
            if let Some((.., MemberItem::Pidfd)) = key.as_member()
                && let Ok(process) = fd::duplicate(treasure.as_fd())
            {
                let _dead_already = PidFd::from_fd(process).signal(Signal::Kill);
            }
        }
    }

    /// What nobody took is not needed.
    pub(crate) fn forget_rest(self, vault: &Vault) {
        for key in self.treasures.keys() {
            vault.forget(key);
        }
    }
}

/// What was heard from the keeper.
pub(crate) enum Heard {
    /// It closed its end.
    Ended,
    /// A frame (`None`: one that a newer keeper sends, and that can be skipped) and its descriptor.
    Said(Option<FromKeeper>, Option<OwnedFd>),
}

/// The next frame.
///
/// # Errors
///
/// `WouldBlock` when there is none; or it is nonsense.
pub(crate) fn hear(keeper: &impl AsFd) -> io::Result<Heard> {
    let mut bytes = [0; MAX_FRAME];
    let mut fds = Vec::new();
    let received = socket::receive(keeper.as_fd(), &mut bytes, &mut fds, 1, Wait::DontWait)?;
    if received.len == 0 {
        return Ok(Heard::Ended);
    }
    let frame = FromKeeper::decode(&bytes[..received.len]).map_err(io::Error::other)?;
    Ok(Heard::Said(frame, fds.pop()))
}
