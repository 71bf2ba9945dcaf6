//! Ports of the loopback interface that are kept free for somebody.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// A port that the kernel gives to nobody else as long as this lives. A program that sets
/// `SO_REUSEADDR`, as servers do, can listen on it meanwhile; any other can when this is dropped.
#[derive(Debug)]
pub struct ReservedPort {
    _socket: OwnedFd,
    address: SocketAddr,
}

impl ReservedPort {
    /// A port of 127.0.0.1 that is nobody's.
    ///
    /// # Errors
    /// When there is none, or the process has no descriptor left.
    pub fn new() -> io::Result<ReservedPort> {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        // Who listens must be allowed to share the address with a socket that does not.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = rustix::net::getsockname(&socket)?;
        let address = SocketAddr::try_from(address)?;
        Ok(ReservedPort {
            _socket: socket,
            address,
        })
    }

    /// Where a program is to listen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_can_be_listened_on_and_is_nobody_elses() {
        let reserved = ReservedPort::new().expect("a port");
        let address = reserved.address();
        assert!(TcpStream::connect(address).is_err(), "nobody listens yet");
        // The standard library's listeners share addresses as servers do.
        let listener = TcpListener::bind(address).expect("it is kept for us");
        TcpStream::connect(address).expect("it listens");
        drop(listener);
        let others: Vec<_> = (0..64)
            .map(|_| ReservedPort::new().expect("a port"))
            .collect();
        assert!(others.iter().all(|other| other.address() != address));
    }

    #[test]
    fn a_port_that_was_let_go_can_be_had_by_anybody() {
        let reserved = ReservedPort::new().expect("a port");
        let address = reserved.address();
        let bind = || {
            let socket = rustix::net::socket_with(
                AddressFamily::INET,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            rustix::net::bind(&socket, &address)?;
            rustix::net::listen(&socket, 1)
        };
        assert_eq!(bind(), Err(rustix::io::Errno::ADDRINUSE));
        drop(reserved);
        assert_eq!(bind(), Ok(()));
    }
}
