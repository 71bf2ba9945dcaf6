//! TLS with clients: certificates from files, by the name that a client asks for. The master opens the
//! files, and again when they have changed: they may be root's alone, and this process is nobody.
//!
//! | module | what it is |
//! |---|---|
//! | `pem` | sections of a file, with their lines |
//! | `files` | a certificate and its key, and what is wrong with them |
//! | `names` | which certificate a client gets |
//! | `validity` | until when a certificate is valid |
//! | `acceptor` | the handshake; certificates in place of others |
//!
//! Without the feature `tls` there is none of it, and settings that ask for it are refused.

#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod validity;

#[cfg(not(feature = "tls"))]
mod absent;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use thiserror::Error;

#[cfg(not(feature = "tls"))]
pub use absent::{Acceptor, ends};
#[cfg(feature = "tls")]
pub use acceptor::Acceptor;
#[cfg(feature = "tls")]
pub(crate) use acceptor::{TlsStream, agreed};
#[cfg(feature = "tls")]
pub use validity::ends;

/// The files of a certificate, open for reading, or why they cannot be.
#[derive(Debug)]
pub enum OpenFiles {
    /// Both are open.
    Both {
        /// The chain.
        certificate: File,
        /// The key.
        key: File,
    },
    /// The chain could not be opened.
    NoCertificate(String),
    /// The key could not be opened.
    NoKey(String),
}

impl OpenFiles {
    /// Opens them here, for a proxy without a master.
    #[cfg(any(test, feature = "loopback"))]
    pub fn open(files: &crate::proxy::settings::Certificate) -> OpenFiles {
        match (File::open(&files.certificate), File::open(&files.key)) {
            (Ok(certificate), Ok(key)) => OpenFiles::Both { certificate, key },
            (Err(error), _) => OpenFiles::NoCertificate(error.to_string()),
            (_, Err(error)) => OpenFiles::NoKey(error.to_string()),
        }
    }
}

/// Why there are no certificates to serve with.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum TlsError {
    /// Something is wrong with a file.
    #[error("{}{}: {}", .0.file.display(), Line(.0.line), .0.what)]
    File(Fault),
    /// No certificate is named.
    #[error("TLS needs a certificate and its key; none is named")]
    Nothing,
    /// This build has no TLS.
    #[error("this build of herder has no TLS; build it with the feature `tls`")]
    Absent,
}

/// What is wrong with a file, and what would be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Where in it, from 1; nothing if it is not about a line.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// What serves, but should be seen to: one sentence that names the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning(pub String);

struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(out, ":{line}"))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
