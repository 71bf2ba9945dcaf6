//! Taking connections, and looking at those that wait.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, acceptfrom_with,
};

use super::address::BoundAddress;
use crate::fd::Blocking;
use crate::socket::tcp_info::{self, TcpInfo};

/// What a failed [`accept`] means for the loop around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The listener is no listener (any more): it was shut down, or the descriptor is wrong.
    Broken,
    /// There is nothing to accept.
    None,
    /// No descriptor or no memory. The connection waits in the queue, and a level-triggered
    /// listener stays readable: stop watching it for a while, else the loop spins.
    OutOfDescriptors,
    /// One connection went away before it was taken. The next may be fine.
    Transient,
}

/// Takes one connection; it is non-blocking. The address of the client is not asked for.
///
/// # Errors
///
/// Classify with [`accept_error`].
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    accept_as(listener, Blocking::No)
}

/// As [`accept`], but the connection is as it is said to be.
///
/// # Errors
///
/// Classify with [`accept_error`].
pub fn accept_as(listener: BorrowedFd<'_>, blocking: Blocking) -> io::Result<OwnedFd> {
    let flags = match blocking {
        Blocking::Yes => SocketFlags::CLOEXEC,
        Blocking::No => SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
    };
    Ok(retry_on_intr(|| accept_with(listener, flags))?)
}

/// As [`accept`], with the client's address; a client of a Unix listener has none.
///
/// # Errors
///
/// Classify with [`accept_error`].
pub fn accept_from(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (connection, from) = retry_on_intr(|| acceptfrom_with(listener, flags))?;
    let from = from.and_then(|address| SocketAddr::try_from(address).ok());
    Ok((connection, from))
}

/// Says what an error of [`accept`] means.
#[must_use]
pub fn accept_error(error: &io::Error) -> AcceptError {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => AcceptError::None,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            AcceptError::OutOfDescriptors
        }
        // Linux hands errors that already wait on the new connection to accept (see accept(2));
        // EPERM comes from a firewall.
        Some(
            Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET,
        ) => AcceptError::Transient,
        Some(_) | None => AcceptError::Broken,
    }
}

/// Makes a socket listen again that somebody shut down, or changes the length of its queue.
///
/// # Errors
///
/// `EADDRINUSE` when a stranger took the port meanwhile.
pub fn listen_again(listener: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    Ok(rustix::net::listen(listener, backlog)?)
}

/// Whether the socket listens: nobody has shut it down.
#[must_use]
pub fn is_listening(listener: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_acceptconn(listener).unwrap_or(false)
}

/// Whether a connection waits to be accepted; also for Unix listeners.
#[must_use]
pub fn has_waiting(listener: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(listener, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // It can fail for lack of memory only; then nobody accepts either.
    retry_on_intr(|| poll(&mut asked, Some(&at_once))).is_ok()
        && asked[0].revents().contains(PollFlags::IN)
}

/// How many connections wait to be accepted; `None` for a listener that does not tell (Unix).
///
/// # Errors
///
/// In practice none for a listener.
pub fn accept_queue_length(listener: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let info = TcpInfo::if_tcp(listener)?;
    Ok(info.map(|info| info.waiting()))
}

/// How many connections wait at a TCP socket that listens; `None` when it does not listen (any more).
///
/// # Errors
///
/// What is no TCP socket.
pub fn waiting_at(listener: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let info = TcpInfo::of(listener)?;
    Ok((info.state() == tcp_info::LISTEN).then(|| info.waiting()))
}

/// Opens a connection to a listener of ours and closes it at once: a nudge for whoever waits for
/// it. Never waits.
///
/// # Errors
///
/// `WouldBlock` when the queue of a Unix listener is full (then nobody needs a nudge), else what
/// `connect` answers.
pub fn connect_and_close(bound: &BoundAddress) -> io::Result<()> {
    match bound {
        BoundAddress::Unix(path) => nudge(AddressFamily::UNIX, &SocketAddrUnix::new(path)?),
        BoundAddress::Tcp(address) => match nudge_tcp(reachable(*address)) {
            // A machine without IPv6 on its loopback still has our dual listener under IPv4.
            Err(Errno::ADDRNOTAVAIL | Errno::NETUNREACH | Errno::AFNOSUPPORT)
                if address.ip() == Ipv6Addr::UNSPECIFIED =>
            {
                nudge_tcp((Ipv4Addr::LOCALHOST, address.port()).into())
            }
            result => result,
        },
    }
    .map_err(io::Error::from)
}

/// "Every address" is no destination; the loopback is one of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => return address,
    };
    SocketAddr::new(ip, address.port())
}

fn nudge_tcp(address: SocketAddr) -> rustix::io::Result<()> {
    match address {
        SocketAddr::V4(address) => nudge(AddressFamily::INET, &address),
        SocketAddr::V6(address) => nudge(AddressFamily::INET6, &address),
    }
}

fn nudge(family: AddressFamily, address: &impl SocketAddrArg) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
