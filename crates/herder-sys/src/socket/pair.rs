//! Making sockets that are not listeners.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::listener::unix_path;

/// Two connected sockets that keep message boundaries and notice the end of the other side. Both
/// wait; use [`Wait::DontWait`](super::Wait::DontWait) per call, because a flag would be seen by
/// everyone who holds a duplicate.
///
/// # Errors
///
/// `EMFILE` or `ENFILE`.
pub fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::SEQPACKET)
}

/// Two connected byte streams, as [`seqpacket_pair`] but without message boundaries.
///
/// # Errors
///
/// `EMFILE` or `ENFILE`.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM)
}

/// Two connected datagram sockets, as [`seqpacket_pair`] but without notice of the other side's end,
/// save for who writes.
///
/// # Errors
///
/// `EMFILE` or `ENFILE`.
pub fn datagram_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::DGRAM)
}

/// A non-blocking Unix datagram socket at `path`, with mode 0600 from its first moment, whatever
/// the umask. A socket that a dead process left there is replaced.
///
/// # Errors
///
/// `AddrInUse` when a living process has it or when something else than a socket of ours is there;
/// else what `bind` answers.
pub fn bind_datagram(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    unix_path::bind(&socket, path, OWNER_ONLY).map_err(io::Error::from)?;
    Ok(socket)
}

const OWNER_ONLY: u32 = 0o600;

fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        kind,
        flags,
        None,
    )?)
}
