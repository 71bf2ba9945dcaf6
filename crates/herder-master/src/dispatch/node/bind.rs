//! Binding as Node's primary binds.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use herder_sys::listener::{self, BoundAddress, Families, Sharing};
use herder_wire::node::{Endpoint, Query, SharedKind};
use serde::{Deserialize, Serialize};

use crate::dispatch::GroupSpec;
use crate::dispatch::group::Group;

/// A socket as a worker asked for it. It does not listen.
pub(super) struct Bound {
    pub(super) socket: OwnedFd,
    pub(super) kind: SharedKind,
    pub(super) place: Place,
    /// For TCP and UDP.
    pub(super) address: Option<SocketAddr>,
    pub(super) file: Option<SocketFile>,
}

/// Where a socket is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Place {
    Name(String),
    Path(PathBuf),
    Tcp(SocketAddr),
    Udp(SocketAddr),
}

/// The file of a Unix socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SocketFile {
    pub(crate) path: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Binds what a query asks for.
///
/// A descriptor of the master's own is never given: it has none that is meant for its workers.
pub(super) fn bind(query: &Query) -> io::Result<Bound> {
    let endpoint = query
        .endpoint()
        .map_err(|_| io::Error::from_raw_os_error(libc_errno::INVALID))?;
    match endpoint {
        Endpoint::Abstract { name } => {
            let socket = listener::bind_unix_name(name.as_bytes())?;
            Ok(Bound::unix(socket, Place::Name(name), None))
        }
        Endpoint::Descriptor(_) => Err(io::Error::from_raw_os_error(libc_errno::INVALID)),
        Endpoint::Tcp {
            address,
            port,
            v6_only,
        } => bind_tcp(address, port, families(v6_only)),
        Endpoint::Udp {
            address,
            port,
            v6_only,
            reuse_address,
        } => {
            let sharing = if reuse_address {
                Sharing::Allowed
            } else {
                Sharing::Refused
            };
            let wanted = SocketAddr::new(address, port);
            let socket = listener::bind_udp(wanted, families(v6_only), sharing)?;
            let bound = internet_address(&socket)?;
            Ok(Bound {
                socket,
                kind: SharedKind::Datagram,
                place: Place::Udp(bound),
                address: Some(bound),
                file: None,
            })
        }
        Endpoint::Unix { path } => bind_path(Path::new(&path), query),
    }
}

impl Bound {
    fn unix(socket: OwnedFd, place: Place, file: Option<SocketFile>) -> Bound {
        Bound {
            socket,
            kind: SharedKind::Stream,
            place,
            address: None,
            file,
        }
    }
}

impl Place {
    /// Whether one is in the other's way.
    pub(super) fn meets(&self, query: &Query) -> bool {
        match (self, query.endpoint()) {
            (Place::Name(ours), Ok(Endpoint::Abstract { name })) => *ours == name,
            (Place::Path(ours), Ok(Endpoint::Unix { path })) => *ours == Path::new(&path),
            (Place::Tcp(ours), Ok(Endpoint::Tcp { port, .. }))
            | (Place::Udp(ours), Ok(Endpoint::Udp { port, .. })) => ours.port() == port,
            (Place::Name(_) | Place::Path(_) | Place::Tcp(_) | Place::Udp(_), _) => false,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Name(name) => write!(f, "unix:@{name}"),
            Place::Path(path) => write!(f, "unix:{}", path.display()),
            Place::Tcp(address) => address.fmt(f),
            Place::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<SocketFile> {
        let found = fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Removes the file, if it is still this one.
    pub(super) fn remove(&self) {
        if SocketFile::at(&self.path).is_ok_and(|now| now == *self) {
            // Somebody else may be quicker, or the directory not be ours any more.
            let _gone = fs::remove_file(&self.path);
        }
    }
}

fn families(v6_only: bool) -> Families {
    if v6_only {
        Families::V6Only
    } else {
        Families::Both
    }
}

/// Without an address both families are meant, or IPv4 where there is no IPv6.
fn bind_either<T>(
    address: Option<IpAddr>,
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let wanted = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    match bind(SocketAddr::new(wanted, port)) {
        // A stranger on the port must not be evaded.
        Err(error) if address.is_none() && error.kind() != io::ErrorKind::AddrInUse => {
            bind((Ipv4Addr::UNSPECIFIED, port).into())
        }
        result => result,
    }
}

/// Takes a TCP address of which each worker is to have a socket of its own, and says how the group is made.
/// `None`: a query for anything else, of which there is one socket.
pub(super) fn bind_group(
    query: &Query,
    spec: &GroupSpec,
) -> io::Result<Option<(Group, GroupSpec)>> {
    let Ok(Endpoint::Tcp {
        address,
        port,
        v6_only,
    }) = query.endpoint()
    else {
        return Ok(None);
    };
    let spec = GroupSpec {
        families: families(v6_only),
        backlog: query.backlog,
        ..spec.clone()
    };
    let group = bind_either(address, port, |address| Group::bind(&spec, address))?;
    Ok(Some((group, spec)))
}

fn bind_tcp(address: Option<IpAddr>, port: u16, families: Families) -> io::Result<Bound> {
    let socket = bind_either(address, port, |address| {
        listener::bind_tcp(address, families)
    })?;
    let bound = internet_address(&socket)?;
    Ok(Bound {
        socket,
        kind: SharedKind::Stream,
        place: Place::Tcp(bound),
        address: Some(bound),
        file: None,
    })
}

fn internet_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    match listener::local_address(socket.as_fd())? {
        BoundAddress::Tcp(address) => Ok(address),
        BoundAddress::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// What Node adds to the rights of the file when everybody may read, or write.
const READABLE: u32 = 0o444;
const WRITABLE: u32 = 0o222;

fn bind_path(path: &Path, query: &Query) -> io::Result<Bound> {
    let socket = match listener::bind_unix_path(path) {
        // So says Node of a directory that is not there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::from_raw_os_error(libc_errno::ACCESS));
        }
        result => result?,
    };
    let mut more = 0;
    if query.readable_all {
        more |= READABLE;
    }
    if query.writable_all {
        more |= WRITABLE;
    }
    if more != 0 {
        let mode = fs::symlink_metadata(path)?.mode() & 0o777;
        fs::set_permissions(path, Permissions::from_mode(mode | more))?;
    }
    let file = SocketFile::at(path)?;
    Ok(Bound::unix(
        socket,
        Place::Path(path.to_owned()),
        Some(file),
    ))
}

/// The numbers of errors that a worker is told.
pub(super) mod libc_errno {
    pub(in crate::dispatch::node) const ACCESS: i32 = 13;
    pub(in crate::dispatch::node) const IN_USE: i32 = 98;
    pub(in crate::dispatch::node) const INVALID: i32 = 22;
    pub(in crate::dispatch::node) const TOO_MANY_FILES: i32 = 24;
}
