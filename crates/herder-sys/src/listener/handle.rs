//! A listener as its owner holds it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::address::{Address, BoundAddress, local_address};
use super::error::ListenError;
use super::unix_path::{self, FileIdentity};
use super::{accept, tcp};

/// How to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; the kernel cuts it at `net.core.somaxconn`.
    pub backlog: u32,
    /// The mode of the file of a Unix socket, whatever the umask.
    pub unix_mode: u32,
}

impl Default for ListenOptions {
    /// As long a queue as the kernel allows by default (4096), and a Unix socket for its owner.
    fn default() -> Self {
        Self {
            backlog: 4096,
            unix_mode: 0o600,
        }
    }
}

/// A listening socket. Dropping it closes this descriptor only: duplicates go on listening, and
/// the file of a Unix socket stays until [`unlink`](Listener::unlink).
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    local: BoundAddress,
    /// Which file is ours, for a Unix socket that has one.
    file: Option<FileIdentity>,
}

impl Listener {
    /// Binds and listens. A host name is resolved, which may take the resolver's time.
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    pub fn bind(address: Address<'_>, options: &ListenOptions) -> Result<Self, ListenError> {
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        let system = |source| ListenError::System {
            address: address.to_string(),
            source,
        };
        match address {
            Address::Tcp { host, port } => {
                let socket = tcp::bind(host, port, backlog)?;
                let local = local_address(socket.as_fd()).map_err(system)?;
                Ok(Self {
                    socket,
                    local,
                    file: None,
                })
            }
            Address::Unix(path) => bind_unix(path, options.unix_mode, backlog),
        }
    }

    /// Takes over a socket that listens already, for instance one that was inherited. Its flags
    /// are left alone.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it does not listen.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        if !rustix::net::sockopt::socket_acceptconn(&socket)? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a listening socket",
            ));
        }
        let local = local_address(socket.as_fd())?;
        let file = match &local {
            BoundAddress::Unix(path) => FileIdentity::at(path).ok(),
            BoundAddress::Tcp(_) => None,
        };
        Ok(Self {
            socket,
            local,
            file,
        })
    }

    /// Where it really listens.
    #[must_use]
    pub fn local(&self) -> &BoundAddress {
        &self.local
    }

    /// The bare socket.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.socket
    }

    /// See [`accept_queue_length`](super::accept_queue_length).
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn accept_queue_length(&self) -> io::Result<Option<u32>> {
        accept::accept_queue_length(self.as_fd())
    }

    /// Whether a connection waits to be accepted.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        accept::has_waiting(self.as_fd())
    }

    /// Removes the file of a Unix socket, if it is still the one that was made; else does nothing.
    ///
    /// # Errors
    ///
    /// What `unlink` answers.
    pub fn unlink(&self) -> io::Result<()> {
        let (BoundAddress::Unix(path), Some(ours)) = (&self.local, self.file) else {
            return Ok(());
        };
        match FileIdentity::at(path) {
            Ok(now) if now == ours => fs::remove_file(path),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn bind_unix(path: &Path, mode: u32, backlog: i32) -> Result<Listener, ListenError> {
    let address = || Address::Unix(path).to_string();
    let system = |source| ListenError::System {
        address: address(),
        source,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| system(error.into()))?;
    let file = unix_path::bind(&socket, path, mode)?;
    rustix::net::listen(&socket, backlog).map_err(|error| system(error.into()))?;
    // Before it listened, another process could take it for abandoned; then the path is no longer
    // ours, and connections would go elsewhere without anyone noticing.
    if FileIdentity::at(path).ok() != Some(file) {
        return Err(ListenError::InUse { address: address() });
    }
    let local = std::path::absolute(path).map_err(system)?;
    Ok(Listener {
        socket,
        local: BoundAddress::Unix(local),
        file: Some(file),
    })
}
