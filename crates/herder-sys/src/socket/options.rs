//! Settings of sockets, and questions to them.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

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

/// The supplementary groups of whoever is on the other side, as [`peer_credentials`] has the rest.
///
/// # Errors
///
/// `ENOTSOCK`; `ENODATA` when it is not a connected Unix socket.
pub fn peer_groups(fd: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let bytes = groups.len() * size_of::<u32>();
        let mut length = libc::socklen_t::try_from(bytes).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the pointer and the length describe `groups`, which outlives the call.
        let result = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = usize::try_from(length).unwrap_or_default() / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // It says how much room they need.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// The Internet address of whoever is on the other side; `None` for a Unix socket.
///
/// # Errors
///
/// `ENOTCONN` when the other side has gone already, `ENOTSOCK`.
pub fn peer_ip(fd: BorrowedFd<'_>) -> io::Result<Option<IpAddr>> {
    // A Unix socket that was never bound has an empty address: there may be none at all.
    let address = rustix::net::getpeername(fd)?;
    Ok(address
        .and_then(|address| SocketAddr::try_from(address).ok())
        .map(|address| address.ip()))
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

/// Has the kernel ask a silent TCP peer whether it is there, after so much silence and then ten
/// times in as much again; whole seconds, at least one. A peer that never answers is then an error
/// of the next call on the socket.
///
/// # Errors
///
/// `EOPNOTSUPP` for what is no TCP socket.
pub fn set_keep_alive(fd: BorrowedFd<'_>, silence: Duration) -> io::Result<()> {
    let second = Duration::from_secs(1);
    // The kernel's own limit is 32767 seconds.
    let silence = silence.clamp(second, Duration::from_secs(32_767));
    let interval = (silence / KEEP_ALIVE_PROBES).max(second);
    rustix::net::sockopt::set_tcp_keepidle(fd, silence)?;
    rustix::net::sockopt::set_tcp_keepintvl(fd, interval)?;
    rustix::net::sockopt::set_tcp_keepcnt(fd, KEEP_ALIVE_PROBES)?;
    Ok(rustix::net::sockopt::set_socket_keepalive(fd, true)?)
}

/// Has the kernel send what is written at once, however little it is. Of a listener, all who are accepted
/// inherit it.
///
/// # Errors
///
/// `EOPNOTSUPP` for what is no TCP socket.
pub fn set_no_delay(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_nodelay(fd, true)?)
}

/// Closes a descriptor that a peer sent and nobody wants, without waiting: a TCP connection whose
/// sender set `SO_LINGER` would hold a plain `close` for as long as that says.
pub fn discard(fd: OwnedFd) {
    // Whatever is not a socket does not linger, so the error needs no answer.
    let _not_a_socket = rustix::net::sockopt::set_socket_linger(fd.as_fd(), None);
    drop(fd);
}

/// How often a silent peer is asked.
const KEEP_ALIVE_PROBES: u32 = 10;

/// Not in libc yet; the number is the same on all architectures with the generic socket header.
const SO_PASSRIGHTS: libc::c_int = 83;

/// What the kernel gives as user of an end that was never connected.
const NOBODY_THERE: u32 = u32::MAX;

pub(crate) fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("socket options are a few bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_tcp_client_has_an_address_and_a_unix_client_has_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, client) = listener.accept().unwrap();
        assert_eq!(peer_ip(stream.as_fd()).unwrap(), Some(client.ip()));
        let (unix, _other) = UnixStream::pair().unwrap();
        assert_eq!(peer_ip(unix.as_fd()).unwrap(), None);
        assert!(peer_ip(listener.as_fd()).is_err(), "nobody is there");
    }

    #[test]
    fn the_groups_of_a_peer_are_ours_here() {
        let (one, _other) = super::super::stream_pair().unwrap();
        let mut found = peer_groups(one.as_fd()).unwrap();
        let mut ours: Vec<u32> = rustix::process::getgroups()
            .unwrap()
            .into_iter()
            .map(rustix::process::Gid::as_raw)
            .collect();
        found.sort_unstable();
        ours.sort_unstable();
        assert_eq!(found, ours);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(peer_groups(file.as_fd()).is_err());
    }

    #[test]
    fn a_silent_peer_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for (silence, idle, interval) in [(30_000, 30, 3), (1, 1, 1), (u64::MAX, 32_767, 3277)] {
            set_keep_alive(stream.as_fd(), Duration::from_millis(silence)).unwrap();
            let found = rustix::net::sockopt::tcp_keepidle(&stream).unwrap();
            assert_eq!(found, Duration::from_secs(idle));
            let found = rustix::net::sockopt::tcp_keepintvl(&stream).unwrap();
            assert_eq!(found, Duration::from_secs(interval));
        }
        let (unix, _other) = UnixStream::pair().unwrap();
        assert!(set_keep_alive(unix.as_fd(), Duration::from_secs(1)).is_err());
    }
}
