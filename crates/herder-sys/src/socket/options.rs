//! Settings of sockets, and questions to them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::Shutdown;

/// Who made the other end of a socket, as the kernel recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process; 0 when it lives in a pid namespace that is not visible from here.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// Says that nothing more will be sent: the other side reads what is there, then the end.
///
/// # Errors
///
/// `ENOTCONN`.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Write)?)
}

/// Ends a connection for everyone who holds it, which closing a descriptor does not.
///
/// # Errors
///
/// `ENOTCONN`.
pub fn shutdown_both(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Both)?)
}

/// Makes the kernel refuse (`EPERM`) what the *other* end tries to send with descriptors; plain
/// data passes. It belongs to this end's socket, so it holds for duplicates too.
///
/// # Errors
///
/// `ENOPROTOOPT` before Linux 6.16: then the receiver has to close what it did not ask for.
pub fn refuse_descriptors(fd: BorrowedFd<'_>) -> io::Result<()> {
    let off: libc::c_int = 0;
    // SAFETY: the pointer and the length describe `off`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const off).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the descriptor is a socket of any kind.
#[must_use]
pub fn is_socket(fd: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_type(fd).is_ok()
}

/// Who is on the other side: who called `connect`, `listen` or `socketpair`, at that time. A
/// process that received the socket later is not seen.
///
/// # Errors
///
/// `ENOTSOCK`, or `InvalidInput` when it is not a connected Unix socket.
pub fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut found = MaybeUninit::<libc::ucred>::zeroed();
    let mut length = length_of::<libc::ucred>();
    // SAFETY: the pointer and the length describe `found`, which outlives the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            found.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all bytes were zeroed before the call, and three integers may have any value.
    let found = unsafe { found.assume_init() };
    if found.uid == NOBODY_THERE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a connected unix socket",
        ));
    }
    Ok(Credentials {
        pid: found.pid,
        uid: found.uid,
        gid: found.gid,
    })
}

/// Sets how much may be on its way, in bytes as the kernel counts them (it doubles the number and
/// adds its own overhead per message); it is cut at `net.core.wmem_max`.
///
/// # Errors
///
/// `ENOTSOCK`.
pub fn set_send_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(
        fd, bytes,
    )?)
}

/// Closes a descriptor that a peer sent and nobody wants, without waiting: a TCP connection whose
/// sender set `SO_LINGER` would hold a plain `close` for as long as that says.
pub fn discard(fd: OwnedFd) {
    // Whatever is not a socket does not linger, so the error needs no answer.
    let _not_a_socket = rustix::net::sockopt::set_socket_linger(fd.as_fd(), None);
    drop(fd);
}

/// Not in libc yet; the number is the same on all architectures with the generic socket header.
const SO_PASSRIGHTS: libc::c_int = 83;

/// What the kernel gives as user of an end that was never connected.
const NOBODY_THERE: u32 = u32::MAX;

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("socket options are a few bytes")
}
