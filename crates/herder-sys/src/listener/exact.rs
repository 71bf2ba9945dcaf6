//! Sockets bound exactly as asked, for a master that stands in for another one: nothing is resolved,
//! no file that is in the way is replaced, and no option is set that is not named here.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

/// What an IPv6 socket takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 too, when it is bound to every address.
    Both,
    /// IPv6 only.
    V6Only,
}

/// Whether several UDP sockets may have one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Those that are bound with this, too.
    Allowed,
    /// One only.
    Refused,
}

/// A TCP socket that is bound and does not listen: [`listen_again`](super::listen_again) makes it.
/// Like all of these, it is non-blocking and closed on exec.
///
/// # Errors
///
/// What `bind` answers. That another socket listens there may be told by `listen` only.
pub fn bind_tcp(address: SocketAddr, families: Families) -> io::Result<OwnedFd> {
    let socket = internet_socket(address, SocketType::STREAM, families)?;
    // Without it a restart within a minute would meet its own connections in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// A bound UDP socket.
///
/// # Errors
///
/// What `bind` answers.
pub fn bind_udp(address: SocketAddr, families: Families, sharing: Sharing) -> io::Result<OwnedFd> {
    let socket = internet_socket(address, SocketType::DGRAM, families)?;
    sockopt::set_socket_reuseaddr(&socket, sharing == Sharing::Allowed)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// A Unix stream socket that is bound to a path and does not listen. Its file has the rights that
/// the umask leaves it.
///
/// # Errors
///
/// `EADDRINUSE` when anything is there, `ENOENT` without the directory, `ENAMETOOLONG`.
pub fn bind_unix_path(path: &Path) -> io::Result<OwnedFd> {
    bind_unix(&SocketAddrUnix::new(path)?)
}

/// A Unix stream socket with an abstract name (here without its leading NUL) that does not listen.
///
/// # Errors
///
/// `EADDRINUSE`, `ENAMETOOLONG`.
pub fn bind_unix_name(name: &[u8]) -> io::Result<OwnedFd> {
    bind_unix(&SocketAddrUnix::new_abstract_name(name)?)
}

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

pub(super) fn internet_socket(
    address: SocketAddr,
    kind: SocketType,
    families: Families,
) -> rustix::io::Result<OwnedFd> {
    match address {
        SocketAddr::V4(_) => rustix::net::socket_with(AddressFamily::INET, kind, FLAGS, None),
        SocketAddr::V6(_) => {
            let socket = rustix::net::socket_with(AddressFamily::INET6, kind, FLAGS, None)?;
            // The system's default may be either.
            sockopt::set_ipv6_v6only(&socket, families == Families::V6Only)?;
            Ok(socket)
        }
    }
}

fn bind_unix(address: &impl SocketAddrArg) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    rustix::net::bind(&socket, address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::os::fd::AsFd;

    use crate::listener::{BoundAddress, listen_again, local_address};

    fn port(socket: &OwnedFd) -> u16 {
        match local_address(socket.as_fd()).unwrap() {
            BoundAddress::Tcp(address) => address.port(),
            BoundAddress::Unix(path) => panic!("{path:?} is no port"),
        }
    }

    #[test]
    fn a_second_listener_on_a_port_is_refused() {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let first = bind_tcp(any, Families::Both).unwrap();
        listen_again(first.as_fd(), 8).unwrap();
        let taken = (Ipv4Addr::LOCALHOST, port(&first)).into();
        let error = bind_tcp(taken, Families::Both).expect_err("somebody listens there");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_ipv6_socket_takes_what_it_is_told_to() {
        let every = (Ipv6Addr::UNSPECIFIED, 0).into();
        for (families, only) in [(Families::Both, false), (Families::V6Only, true)] {
            let socket = bind_tcp(every, families).unwrap();
            assert_eq!(sockopt::ipv6_v6only(&socket).unwrap(), only);
        }
    }

    #[test]
    fn udp_sockets_share_an_address_only_if_both_say_so() {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        for (sharing, second) in [(Sharing::Allowed, true), (Sharing::Refused, false)] {
            let first = bind_udp(any, Families::Both, sharing).unwrap();
            let same = (Ipv4Addr::LOCALHOST, port(&first)).into();
            let result = bind_udp(same, Families::Both, Sharing::Allowed);
            assert_eq!(result.is_ok(), second);
        }
    }

    #[test]
    fn a_file_in_the_way_stays() {
        let path = std::env::temp_dir().join(format!("herder-sys-exact-{}", std::process::id()));
        drop(bind_unix_path(&path).unwrap());
        let error = bind_unix_path(&path).expect_err("the file is there");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        std::fs::remove_file(&path).unwrap();
        let missing = path.join("socket");
        let error = bind_unix_path(&missing).expect_err("there is no such directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn an_abstract_name_is_taken_once() {
        let name = format!("herder-sys-exact-{}", std::process::id());
        let first = bind_unix_name(name.as_bytes()).unwrap();
        assert!(bind_unix_name(name.as_bytes()).is_err());
        drop(first);
        bind_unix_name(name.as_bytes()).unwrap();
    }
}
