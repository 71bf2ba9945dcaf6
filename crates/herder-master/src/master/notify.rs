//! `sd_notify` for programs that speak it: one datagram socket per process, so that who speaks is
//! known by where, and not by a pid.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_sys::socket::{self, Wait};
use herder_sys::user::Identity;
use herder_wire::notify::{self, Assignment, MAX_DATAGRAM};

/// How many datagrams one turn reads from one program.
pub(super) const PER_TURN: usize = 64;

/// Where a program says how it fares.
pub(super) struct NotifySocket {
    socket: OwnedFd,
    /// Where it is found; `None` when it is inherited.
    path: Option<PathBuf>,
}

/// What matters of what it said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    Beat,
    Extend(Duration),
    Hung,
    Ready,
}

impl NotifySocket {
    /// A socket at `path`, which `identity` may write to.
    pub(super) fn bind(path: PathBuf, identity: Option<&Identity>) -> io::Result<NotifySocket> {
        let socket = socket::bind_datagram(&path)?;
        if let Some(identity) = identity {
            std::os::unix::fs::chown(&path, Some(identity.uid), Some(identity.gid))?;
        }
        let path = Some(path);
        Ok(NotifySocket { socket, path })
    }

    /// The socket that another master had.
    pub(super) fn adopt(socket: OwnedFd, path: Option<PathBuf>) -> NotifySocket {
        NotifySocket { socket, path }
    }

    /// A socket without a path, and the end to write to, for programs that cannot send to a path but
    /// can write to a descriptor.
    pub(super) fn pair() -> io::Result<(NotifySocket, OwnedFd)> {
        let (socket, theirs) = socket::datagram_pair()?;
        Ok((NotifySocket { socket, path: None }, theirs))
    }

    /// Where it is found.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What the next datagram says, which stays there for another master until it is [taken](NotifySocket::take):
    /// a program says only once that it is ready. `None` = there is none.
    pub(super) fn look(&self) -> Option<Vec<Heard>> {
        let mut bytes = [0; MAX_DATAGRAM + 1];
        match socket::peek(self.as_fd(), &mut bytes, Wait::DontWait) {
            Ok(length) if length <= MAX_DATAGRAM => Some(meanings(&bytes[..length])),
            // A cut line could mean something else.
            Ok(_) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    /// Takes away what was looked at.
    pub(super) fn take(&self) {
        // It is there: nobody else reads.
        let _taken = socket::receive(self.as_fd(), &mut [0], &mut Vec::new(), 0, Wait::DontWait);
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // The directory goes with the herd; here it only must not fill up.
        let _left = self.path.as_ref().map(std::fs::remove_file);
    }
}

fn meanings(datagram: &[u8]) -> Vec<Heard> {
    let meaning = |assignment: Assignment<'_>| match assignment {
        Assignment::ExtendTimeout(by) => Some(Heard::Extend(by)),
        Assignment::Ready => Some(Heard::Ready),
        Assignment::Watchdog => Some(Heard::Beat),
        Assignment::WatchdogTrigger => Some(Heard::Hung),
        Assignment::Errno(_)
        | Assignment::MainPid(_)
        | Assignment::Other
        | Assignment::Reloading
        | Assignment::Status(_)
        | Assignment::Stopping => None,
    };
    notify::parse(datagram).filter_map(meaning).collect()
}
