//! What a query means to the kernel.

use std::net::IpAddr;

use super::Query;

/// For TCP and UDP: an IPv6 socket that takes no IPv4.
const V6_ONLY: u32 = 1;

/// For UDP: several sockets may have the address.
const REUSE_ADDRESS: u32 = 4;

/// What the master shall bind, or take, for a [`Query`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// A Unix socket with an abstract name, here without its leading NUL.
    Abstract {
        /// The name.
        name: String,
    },
    /// A descriptor of the master that is a socket already.
    Descriptor(i32),
    /// A TCP socket.
    Tcp {
        /// `None`: `::` for both families, or `0.0.0.0` where there is no IPv6.
        address: Option<IpAddr>,
        /// 0: the kernel picks.
        port: u16,
        /// IPv6 takes no IPv4. To be set or cleared explicitly: the system's default may be either.
        v6_only: bool,
    },
    /// A UDP socket.
    Udp {
        /// Where.
        address: IpAddr,
        /// 0: the kernel picks.
        port: u16,
        /// IPv6 takes no IPv4.
        v6_only: bool,
        /// Several sockets may have the address.
        reuse_address: bool,
    },
    /// A Unix socket with a path, to be removed when its last worker closed it.
    Unix {
        /// An absolute path.
        path: String,
    },
}

/// Why a query means nothing. The program is to be told `EINVAL`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EndpointError {
    /// There must be an address, and is none.
    #[error("no address")]
    NoAddress,
    /// The address is no IP address.
    #[error("{address:?} is no IP address")]
    NotAnAddress {
        /// What the worker said.
        address: String,
    },
    /// There is no such port.
    #[error("port {port} is out of range")]
    Port {
        /// What the worker said.
        port: i32,
    },
}

impl Query {
    /// What to bind, or to take.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] when no such thing can be. Node's workers check what they ask, save for
    /// the zone of an IPv6 address (`fe80::1%eth0`), which is not understood here.
    pub fn endpoint(&self) -> Result<Endpoint, EndpointError> {
        if let Some(descriptor) = self.descriptor() {
            return Ok(Endpoint::Descriptor(descriptor));
        }
        if self.is_unix() {
            return self.unix();
        }
        let said = self.port.unwrap_or(0);
        let port = u16::try_from(said).map_err(|_| EndpointError::Port { port: said })?;
        let address = self.ip_address()?;
        let v6_only = self.flags & V6_ONLY != 0;
        Ok(if self.is_udp() {
            Endpoint::Udp {
                address: address.ok_or(EndpointError::NoAddress)?,
                port,
                v6_only,
                reuse_address: self.flags & REUSE_ADDRESS != 0,
            }
        } else {
            Endpoint::Tcp {
                address,
                port,
                v6_only,
            }
        })
    }

    fn unix(&self) -> Result<Endpoint, EndpointError> {
        if let Some(name) = self.abstract_name() {
            return Ok(Endpoint::Abstract { name: name.into() });
        }
        let path = self.address.clone().filter(|path| !path.is_empty());
        path.map(|path| Endpoint::Unix { path })
            .ok_or(EndpointError::NoAddress)
    }

    /// An empty address means every address, as none does.
    fn ip_address(&self) -> Result<Option<IpAddr>, EndpointError> {
        let said = self.address.as_deref().filter(|said| !said.is_empty());
        let parse = |said: &str| {
            said.parse().map_err(|_| EndpointError::NotAnAddress {
                address: said.into(),
            })
        };
        said.map(parse).transpose()
    }
}
