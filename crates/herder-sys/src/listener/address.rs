//! Addresses as they are asked for, and as they came out.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix};

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A TCP port.
    Tcp {
        /// A name or number of this machine; `None` = every address, IPv6 and IPv4.
        host: Option<&'a str>,
        /// The port; 0 = the kernel chooses.
        port: u16,
    },
    /// A Unix stream socket at this path.
    Unix(&'a Path),
}

/// Where a socket really listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BoundAddress {
    /// An address and the real port.
    Tcp(SocketAddr),
    /// A path in the file system; empty when the socket has none.
    Unix(PathBuf),
}

/// Asks a socket for its own address.
///
/// # Errors
///
/// `ENOTSOCK`; `Unsupported` for a socket that is neither Internet nor Unix.
pub fn local_address(fd: BorrowedFd<'_>) -> io::Result<BoundAddress> {
    let address = rustix::net::getsockname(fd)?;
    if address.address_family() == AddressFamily::UNIX {
        let address = SocketAddrUnix::try_from(address)?;
        let path = address.path_bytes().unwrap_or_default();
        return Ok(BoundAddress::Unix(
            Path::new(std::ffi::OsStr::from_bytes(path)).to_owned(),
        ));
    }
    match SocketAddr::try_from(address) {
        Ok(address) => Ok(BoundAddress::Tcp(address)),
        Err(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(f, "*:{port}"),
            Self::Tcp {
                host: Some(host),
                port,
            } if host.contains(':') => {
                write!(f, "[{}]:{port}", without_brackets(host))
            }
            Self::Tcp {
                host: Some(host),
                port,
            } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[::1]` as it stands in an address with a port, without what only the port makes necessary.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
