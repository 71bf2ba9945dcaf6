//! Why one cannot listen, and what would be right.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// A listener could not be made. Each message names the address and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The host is no address of this machine.
    #[error("cannot listen on {address}: this machine has no such address")]
    NotHere {
        /// What was asked for.
        address: String,
    },
    /// Something that is not a socket is at the path.
    #[error("cannot listen on unix:{}: there is {found}, which is left alone; remove it or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// What is there, with its article.
        found: &'static str,
    },
    /// The left-over socket belongs to another user.
    #[error("cannot listen on unix:{}: the socket there belongs to user {owner}; let that user remove it or choose another path", path.display())]
    NotOurs {
        /// The path.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Another process has the address.
    #[error(
        "cannot listen on {address}: another process listens there; stop it or choose another address"
    )]
    InUse {
        /// What was asked for.
        address: String,
    },
    /// The path does not fit into a socket address.
    #[error("cannot listen on unix:{}: a socket path may have at most {max} bytes", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// How long it may be.
        max: usize,
    },
    /// The user may not.
    #[error("cannot listen on {address}: not permitted; {cure}")]
    Permission {
        /// What was asked for.
        address: String,
        /// What would help.
        cure: &'static str,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    System {
        /// What was asked for.
        address: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The name of the host means nothing here.
    #[error("cannot listen on {address}: the host is unknown: {source}")]
    UnknownHost {
        /// What was asked for.
        address: String,
        /// What the resolver answered.
        source: io::Error,
    },
}

impl ListenError {
    /// The error for a system call that failed with `error` while making a listener at `address`.
    pub(crate) fn from_errno(address: String, error: Errno, cure: &'static str) -> Self {
        match error {
            Errno::ADDRINUSE => Self::InUse { address },
            Errno::ADDRNOTAVAIL => Self::NotHere { address },
            Errno::ACCESS | Errno::PERM => Self::Permission { address, cure },
            error => Self::System {
                address,
                source: error.into(),
            },
        }
    }
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match &error {
            ListenError::InUse { .. }
            | ListenError::NotASocket { .. }
            | ListenError::NotOurs { .. } => io::ErrorKind::AddrInUse,
            ListenError::NotHere { .. } => io::ErrorKind::AddrNotAvailable,
            ListenError::PathTooLong { .. } => io::ErrorKind::InvalidInput,
            ListenError::Permission { .. } => io::ErrorKind::PermissionDenied,
            ListenError::System { source, .. } | ListenError::UnknownHost { source, .. } => {
                source.kind()
            }
        };
        Self::new(kind, error)
    }
}
