//! The reverse proxy: workers that only know a port of their own, behind one public address.
//!
//! | module | what it is |
//! |---|---|
//! | [`settings`] | what the master says once |
//! | [`backends`] | the workers: who is next, connections that are kept, news for the master |
//! | `entrance` | what all clients pass: accepting, `protocol` (for whom they come), [`tls`] |
//! | [`http`] | the front that speaks HTTP/1.1 |
//! | `tcp` | the front for everything else |
//! | `process` | the life of the process, as the master directs it |

pub mod backends;
pub(crate) mod entrance;
pub mod http;
#[cfg(feature = "loopback")]
pub(crate) mod loopback;
pub(crate) mod process;
mod protocol;
pub mod settings;
pub(crate) mod tcp;
#[cfg(test)]
mod testing;
pub mod tls;
mod voice;

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use crate::edge::closing::House;

/// How long a connection is kept open for what is on its way when it is closed, or when the house is: a
/// client that knows of neither may have sent a request by then.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Who is at the other end of a client's connection, as the front that accepted it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// The client, as the kernel or the PROXY protocol says; none by a Unix listener.
    pub(crate) client: Option<SocketAddr>,
    /// Where it connected to.
    pub(crate) local: Option<SocketAddr>,
    /// Whether it came by TLS.
    pub(crate) scheme: Scheme,
    /// Whether it may say for whom it speaks.
    pub(crate) trust: Trust,
}

/// How a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In clear text.
    Http,
    /// By TLS.
    Https,
}

/// Whether somebody's forwarded headers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// They are stripped.
    No,
    /// They are kept and added to.
    Yes,
}
