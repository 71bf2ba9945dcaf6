//! Several listening sockets on one TCP address.
//!
//! The *anchor* is bound first, as the only one: whoever has the address, with `SO_REUSEPORT` or
//! without, makes that fail. Only then it is opened for others of the same user. It never listens, so
//! no connection comes to it, and it keeps the address while all others are closed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{Shutdown, sockopt};

use super::address::{BoundAddress, local_address};
use super::exact::{Families, internet_socket};
use crate::socket::length_of;

/// Takes the address for a group (port 0: one that the kernel chooses), without listening.
///
/// # Errors
///
/// `EADDRINUSE` when anybody listens there, also one who would share it.
pub fn bind_anchor(address: SocketAddr, families: Families) -> io::Result<OwnedFd> {
    let anchor = super::bind_tcp(address, families)?;
    // Not before: with it the kernel would let us join the group of a stranger of the same user.
    sockopt::set_socket_reuseport(&anchor, true)?;
    Ok(anchor)
}

/// A socket that listens on the anchor's address. It shares it with all others of the group.
///
/// # Errors
///
/// `EADDRINUSE` when a stranger has taken the address although it is anchored; `EMFILE`.
pub fn join(anchor: BorrowedFd<'_>, backlog: u32) -> io::Result<OwnedFd> {
    let address = match local_address(anchor)? {
        BoundAddress::Tcp(address) => address,
        BoundAddress::Unix(_) => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let families = match address {
        SocketAddr::V6(_) if sockopt::ipv6_v6only(anchor)? => Families::V6Only,
        SocketAddr::V4(_) | SocketAddr::V6(_) => Families::Both,
    };
    let socket = internet_socket(address, rustix::net::SocketType::STREAM, families)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    // Inherited by every accepted connection: one call here instead of one per connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    super::listen_again(std::os::fd::AsFd::as_fd(&socket), backlog)?;
    Ok(socket)
}

/// Ends the listening of a socket for everyone who holds it. Who waits there goes to others of the
/// group if a program decides there, and else is lost. It can
/// [listen again](super::listen_again).
///
/// # Errors
///
/// `ENOTCONN` when it does not listen.
pub fn shut_down(listener: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(listener, Shutdown::Read)?)
}

/// The number by which the kernel knows a socket, whoever holds it: never that of another one.
///
/// # Errors
///
/// `ENOTSOCK`.
pub fn cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut length = length_of::<u64>();
    // SAFETY: the pointer and the length describe `cookie`, which outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Not in libc for every target; the number is the same on all with the generic socket header.
const SO_COOKIE: libc::c_int = 57;
