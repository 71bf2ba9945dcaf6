//! Where clients come in.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::time::Duration;

use herder_sys::fd::{Blocking, set_blocking};
use herder_sys::listener::{accept_from, waiting_at};
use herder_sys::socket::{set_keep_alive, set_no_delay};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;
use tokio::task::consume_budget;

use crate::edge::fresh::Fresh;
use crate::edge::stream::Stream;
use crate::reactor;

pub(super) enum Listener {
    Tcp(Tcp),
    Unix(UnixListener),
}

pub(super) struct Tcp {
    listener: AsyncFd<OwnedFd>,
    /// Where clients connect to, if it is one place.
    local: Option<SocketAddr>,
    /// How many clients may be accepted before the kernel is asked again. A call that accepts in vain is the
    /// dearest way to ask.
    waiting: Cell<u32>,
}

impl Listener {
    pub(super) fn new(listener: OwnedFd) -> io::Result<Listener> {
        set_blocking(listener.as_fd(), Blocking::No)?;
        let tcp = StdTcpListener::from(listener);
        let Ok(local) = tcp.local_addr() else {
            let unix = StdUnixListener::from(OwnedFd::from(tcp));
            unix.local_addr()?;
            return UnixListener::from_std(unix).map(Listener::Unix);
        };
        // Both are inherited by who is accepted, which saves calls for each.
        set_no_delay(tcp.as_fd())?;
        set_keep_alive(tcp.as_fd(), KEEP_ALIVE)?;
        Ok(Listener::Tcp(Tcp {
            listener: reactor::watch(tcp.into())?,
            local: Some(local).filter(|local| !local.ip().is_unspecified()),
            waiting: Cell::new(0),
        }))
    }

    /// The next client, the address it came from, and the one it came to.
    pub(super) async fn accept(
        &self,
    ) -> io::Result<(Stream, Option<SocketAddr>, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (tcp, client) = listener.accept().await?;
                let local = listener.local.or_else(|| tcp.local_addr().ok());
                Ok((Stream::Fresh(Fresh::new(tcp)), client, local))
            }
            Listener::Unix(listener) => {
                let (unix, _) = listener.accept().await?;
                Ok((Stream::Unix(unix), None, None))
            }
        }
    }
}

impl Tcp {
    /// The next client, however many processes accept here.
    async fn accept(&self) -> io::Result<(StdTcpStream, Option<SocketAddr>)> {
        loop {
            self.somebody().await?;
            // Whoever was accepted before is served in between.
            consume_budget().await;
            match accept_from(self.listener.as_fd()) {
                Ok((connection, client)) => {
                    self.waiting.set(self.waiting.get().saturating_sub(1));
                    return Ok((connection.into(), client));
                }
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.waiting.set(0),
                // Those who wait still do.
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until there is somebody to accept.
    async fn somebody(&self) -> io::Result<()> {
        while self.waiting.get() == 0 {
            let mut ready = self.listener.readable().await?;
            // Where the kernel does not tell, or that there is nobody, as of a listener that is none any more,
            // accepting says how it is.
            let told = waiting_at(self.listener.as_fd()).ok().flatten();
            let waiting = told.filter(|it| *it > 0).unwrap_or(u32::MAX);
            self.waiting.set(waiting);
            // Whoever came after that look is told of anew.
            ready.clear_ready();
        }
        Ok(())
    }
}

/// A client that says nothing is asked by the kernel after so long whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
