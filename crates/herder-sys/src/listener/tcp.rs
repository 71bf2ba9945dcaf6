//! TCP listeners.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::address::{Address, without_brackets};
use super::error::ListenError;

/// A bound and listening socket for `host` and `port`; `None` = all addresses of the machine.
pub(crate) fn bind(
    host: Option<&str>,
    port: u16,
    backlog: i32,
) -> std::result::Result<OwnedFd, ListenError> {
    bind_first(host, port, |candidate| Ok(listen(candidate, backlog)?))
}

/// What `bind` makes of the first address that `host` may mean and that this machine has; `None` = all
/// addresses of the machine. A host name is resolved, which may take the resolver's time.
///
/// # Errors
///
/// See [`ListenError`].
pub fn bind_first<T>(
    host: Option<&str>,
    port: u16,
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> std::result::Result<T, ListenError> {
    let address = || Address::Tcp { host, port }.to_string();
    let mut failed = Errno::ADDRNOTAVAIL;
    for candidate in candidates(host, port).map_err(|source| ListenError::UnknownHost {
        address: address(),
        source,
    })? {
        let source = match bind(candidate) {
            Ok(bound) => return Ok(bound),
            Err(error) => error,
        };
        match Errno::from_io_error(&source) {
            // The machine lacks the address or the whole family: the next may do. Anything else,
            // above all a stranger on the port, must not be evaded by listening elsewhere.
            Some(error @ (Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) => failed = error,
            Some(error) => {
                failed = error;
                break;
            }
            None => {
                let address = address();
                return Err(ListenError::System { address, source });
            }
        }
    }
    Err(ListenError::from_errno(address(), failed, CURE))
}

const CURE: &str = "a port below 1024 needs root or CAP_NET_BIND_SERVICE";

/// What `host` may mean, the preferred meaning first.
fn candidates(host: Option<&str>, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let Some(host) = host else {
        return Ok(vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ]);
    };
    let mut found: Vec<_> = (without_brackets(host), port).to_socket_addrs()?.collect();
    if host.eq_ignore_ascii_case("localhost") {
        // Stable, so the order of the resolver stands within each family.
        found.sort_by_key(|address| !address.is_ipv4());
    }
    Ok(found)
}

fn listen(address: SocketAddr, backlog: i32) -> Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Without it a restart within a minute would meet its own connections in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Inherited by every accepted connection: one call here instead of one per connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(socket)
}
