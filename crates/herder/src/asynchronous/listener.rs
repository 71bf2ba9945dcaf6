//! The worker's connections, for tasks.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use herder_wire::record::MAX_BATCH;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use crate::asynchronous::connection::AsyncConnection;
use crate::asynchronous::incoming::Incoming;
use crate::connection::Peer;
use crate::worker::acceptor::{Acceptor, Step};
use crate::worker::link::Link;
use crate::worker::lock;

/// Where a worker's connections come from. Clones are the same listener.
///
/// With the feature `axum` it can be given to `axum::serve`; for hyper, wrap each connection in
/// `hyper_util::rt::TokioIo`.
#[derive(Clone, Debug)]
pub struct Listener {
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
    acceptor: Arc<Mutex<Acceptor>>,
    source: AsyncFd<OwnedFd>,
    taken: AtomicUsize,
}

/// What one look brought; see [`Step`].
enum Look {
    Connection(AsyncConnection),
    Exhausted,
    Nothing,
}

impl Listener {
    pub(crate) fn new(link: Arc<Link>, acceptor: Arc<Mutex<Acceptor>>) -> io::Result<Listener> {
        let source = lock(&acceptor).detach(&link)?;
        let source = super::watch(source)?;
        let taken = AtomicUsize::new(0);
        Ok(Listener {
            shared: Arc::new(Shared {
                link,
                acceptor,
                source,
                taken,
            }),
        })
    }

    /// The next connection; waits for it. `None` = the worker comes to its end, and no connection
    /// is left that was already its own: finish what is open, then return.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the source of connections is unusable. Return the error: the worker will be replaced.
    pub async fn accept(&self) -> io::Result<Option<AsyncConnection>> {
        let shared = &*self.shared;
        // Connections that were taken get their turn before more are taken from other workers.
        if shared.taken.load(Ordering::Relaxed) >= MAX_BATCH {
            shared.taken.store(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        let mut readable: Option<AsyncFdReadyGuard<'_, OwnedFd>> = None;
        loop {
            match shared.look()? {
                Look::Connection(connection) => {
                    shared.taken.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(connection));
                }
                Look::Exhausted => return Ok(None),
                Look::Nothing => {
                    if let Some(mut readable) = readable.take() {
                        readable.clear_ready();
                    }
                    readable = shared.wait().await?;
                }
            }
        }
    }

    /// The connections as a stream.
    #[must_use]
    pub fn incoming(&self) -> Incoming {
        Incoming::new(self.clone())
    }

    /// Where the first of the worker's listeners listens. In `pass` mode it is known as it was
    /// written, so port 0 stays 0.
    ///
    /// # Errors
    /// When it was written with a host name, or there is none.
    pub fn local_addr(&self) -> io::Result<Peer> {
        let name = self.shared.link.identity().listeners.first();
        let name = name.ok_or(io::ErrorKind::AddrNotAvailable)?;
        parse(name).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}

impl Shared {
    /// A connection is counted as open before the acceptor is given up: a worker that leaves sees
    /// it at every moment, as waiting or as open.
    fn look(&self) -> io::Result<Look> {
        let mut acceptor = lock(&self.acceptor);
        loop {
            let mut step = acceptor.step(&self.link)?;
            if matches!(step, Step::Nothing) && acceptor.refresh(&self.link)? {
                step = acceptor.step(&self.link)?;
            }
            match step {
                // One that cannot be set up is gone already; the next may be fine.
                Step::Arrived(arrival) => {
                    if let Ok(connection) = AsyncConnection::new(arrival, &self.link) {
                        return Ok(Look::Connection(connection));
                    }
                }
                Step::Exhausted => return Ok(Look::Exhausted),
                Step::Nothing => return Ok(Look::Nothing),
            }
        }
    }

    /// Waits until another look is worth while.
    async fn wait(&self) -> io::Result<Option<AsyncFdReadyGuard<'_, OwnedFd>>> {
        let ending = self.link.ending();
        let (pause, withdrawn, seen) = {
            let acceptor = lock(&self.acceptor);
            let pause = acceptor.pause_left(Instant::now());
            (pause, acceptor.is_withdrawn(), acceptor.nudges_seen())
        };
        let ended = ending.until(|| ending.has_begun());
        if withdrawn {
            // The end of a channel is readable for ever; the master's word comes next.
            ended.await;
            return Ok(None);
        }
        if let Some(pause) = pause {
            // The source may be readable all the time, and the end may have begun already.
            tokio::time::sleep(pause).await;
            return Ok(None);
        }
        let nudged = ending.until(|| self.link.nudges() != seen);
        tokio::select! {
            readable = self.source.readable() => readable.map(Some),
            () = ended => Ok(None),
            () = nudged => Ok(None),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

fn parse(name: &str) -> Option<Peer> {
    if name.starts_with("unix:") {
        return Some(Peer::Unix);
    }
    let every = name.strip_prefix("*:").and_then(|port| port.parse().ok());
    let every = every.map(|port| SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    every.or_else(|| name.parse().ok()).map(Peer::Tcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_written_are_understood() {
        assert_eq!(parse("unix:/run/a"), Some(Peer::Unix));
        assert_eq!(parse("*:80"), Some(Peer::Tcp("[::]:80".parse().unwrap())));
        assert_eq!(
            parse("[::1]:8"),
            Some(Peer::Tcp("[::1]:8".parse().unwrap()))
        );
        assert_eq!(parse("localhost:80"), None);
    }
}
