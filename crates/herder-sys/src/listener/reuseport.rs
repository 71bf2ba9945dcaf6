//! Several listening sockets on one TCP address.
//!
//! The *anchor* is bound first, as the only one: whoever has the address, with `SO_REUSEPORT` or
//! without, makes that fail. Only then it is opened for others of the same user. It never listens, so
//! no connection comes to it, and it keeps the address while all others are closed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

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

/// Whether the socket is one of several on its address.
///
/// # Errors
///
/// What is no socket.
pub fn is_in_group(listener: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(sockopt::socket_reuseport(listener)?)
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

/// As [`shut_down`], for a queue that a program hands on to others, and without a reset for whoever ends a handshake
/// in this very moment: the kernel makes the connection before it looks once more whether anybody listens, and if
/// not, ends it. So the queue is declared full first, and whoever is on the way into it has arrived a moment later.
/// The last packet of a handshake is not heard in that moment, and comes again.
///
/// Take care that no connection begins at the socket by then: its first packet would not be heard either, and comes
/// again only after a second. An empty queue cannot be full, so that one may still enter it, and be reset.
///
/// # Errors
///
/// In practice none.
pub fn hand_on(listener: BorrowedFd<'_>) -> io::Result<()> {
    super::listen_again(listener, 0)?;
    std::thread::sleep(LAST_STEP);
    shut_down(listener)
}

/// What a handshake takes from the look whether there is room to its place in the queue, many times over: that is a
/// few microseconds, in which nothing else runs on that processor.
const LAST_STEP: Duration = Duration::from_micros(100);

/// How well a socket is [barred](bar).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// No new connection begins there.
    Closed,
    /// One may begin whenever nobody waits there: the right for more is missing.
    Narrow,
}

/// Lets no new connection begin at a listening socket: whoever asks is not heard, asks again (as for a
/// packet that was lost, after a second), and is then heard by whoever listens by then. Who is shaking
/// hands already, or waits, is not touched.
///
/// Newer kernels want `CAP_NET_ADMIN` for that. Without it the queue gets no room, which keeps out all
/// but one.
///
/// # Errors
///
/// In practice none.
pub fn bar(listener: BorrowedFd<'_>) -> io::Result<Bar> {
    match drop_first_packets(listener) {
        Ok(()) => Ok(Bar::Closed),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            super::listen_again(listener, 0)?;
            Ok(Bar::Narrow)
        }
        Err(error) => Err(error),
    }
}

fn drop_first_packets(listener: BorrowedFd<'_>) -> io::Result<()> {
    let step = |code, jump_if_not, operand| libc::sock_filter {
        code,
        jt: 0,
        jf: jump_if_not,
        k: operand,
    };
    let mut steps = [
        // The flags of the TCP header, at which a packet begins here …
        step(LOAD_BYTE, 0, 13),
        // … of which these two say what it is.
        step(AND, 0, SYN | ACK),
        // The first packet of a connection has one of them alone. Any other goes on at the last line.
        step(JUMP_IF_EQUAL, 1, SYN),
        // Nothing is left of it.
        step(RETURN, 0, 0),
        // All of it is left.
        step(RETURN, 0, u32::MAX),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).expect("a handful"),
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the pointer and the length describe `program`, and what it points to is `steps`, with
    // their number; both outlive the call, which only reads.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length_of::<libc::sock_fprog>(),
        )
    };
    answer(result)
}

/// The end of [`bar`]: so many may wait again. Nothing happens to one that was not barred.
///
/// # Errors
///
/// In practice none.
pub fn unbar(listener: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    super::listen_again(listener, backlog)?;
    let unused: libc::c_int = 0;
    // SAFETY: the pointer and the length describe `unused`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DETACH_FILTER,
            (&raw const unused).cast(),
            length_of::<libc::c_int>(),
        )
    };
    match answer(result) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

fn answer(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

// Steps of a packet filter, as `linux/filter.h` has them.
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

// Flags of a TCP header.
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

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
    answer(result).map(|()| cookie)
}

/// Not in libc for every target; the number is the same on all with the generic socket header.
const SO_COOKIE: libc::c_int = 57;
