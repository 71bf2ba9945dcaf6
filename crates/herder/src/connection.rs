//! A client's connection, and the count that goes with it.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use herder_sys::fd::Blocking;
use herder_sys::listener::{self, BoundAddress};

use crate::worker::acceptor::Arrival;
use crate::worker::link::Link;

/// A client's connection: for code that blocks or, from [`Worker::try_accept`](crate::Worker::try_accept), for an
/// event loop.
///
/// Dropping it closes it. What the client sent and nobody read makes the kernel answer the close
/// with a reset, which can destroy a response that is still on its way: read the whole request, or
/// [`shutdown`](Connection::shutdown) the writing side first and read to the end.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    guard: ConnectionGuard,
}

impl Connection {
    pub(crate) fn new(
        arrival: Arrival,
        link: &Arc<Link>,
        blocking: Blocking,
    ) -> io::Result<Connection> {
        let listener = arrival.listener;
        let stream = Stream::new(arrival, link, blocking)?;
        Ok(Connection {
            stream,
            guard: ConnectionGuard::new(link, listener),
        })
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// When a TCP client has already gone.
    pub fn peer(&self) -> io::Result<Peer> {
        self.stream.peer()
    }

    /// The listener it came in by: the place of its address in the order of
    /// [`Cluster::listen`](crate::Cluster::listen), from 0.
    #[must_use]
    pub fn listener(&self) -> usize {
        self.guard.listener()
    }

    /// The address of that listener.
    #[must_use]
    pub fn listener_name(&self) -> &str {
        self.guard.listener_name()
    }

    /// Closes one direction, or both, and leaves the connection in your hand.
    ///
    /// # Errors
    /// When the client has already gone.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(how),
            Stream::Unix(stream) => stream.shutdown(how),
        }
    }

    /// The stream as the standard library has it, and the guard that keeps the connection counted
    /// as open. Drop the guard when the connection is closed, not before.
    #[must_use]
    pub fn into_std(self) -> (Stream, ConnectionGuard) {
        (self.stream, self.guard)
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => (&mut &*stream).read_vectored(bufs),
            Stream::Unix(stream) => (&mut &*stream).read_vectored(bufs),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => (&mut &*stream).write_vectored(bufs),
            Stream::Unix(stream) => (&mut &*stream).write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As with the streams of the standard library, two threads can read and write at the same time.
impl Read for &Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => (&mut &*stream).read(buf),
            Stream::Unix(stream) => (&mut &*stream).read(buf),
        }
    }
}

impl Write for &Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => (&mut &*stream).write(buf),
            Stream::Unix(stream) => (&mut &*stream).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A connection's stream, by the kind of listener it came in by.
#[derive(Debug)]
pub enum Stream {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// From a Unix listener.
    Unix(UnixStream),
}

impl Stream {
    pub(crate) fn new(arrival: Arrival, link: &Link, blocking: Blocking) -> io::Result<Stream> {
        let is_unix = match link.identity().listeners.get(usize::from(arrival.listener)) {
            Some(name) => name.starts_with("unix:"),
            None => matches!(
                listener::local_address(arrival.fd.as_fd())?,
                BoundAddress::Unix(_)
            ),
        };
        let stream = if is_unix {
            Stream::Unix(UnixStream::from(arrival.fd))
        } else {
            Stream::Tcp(TcpStream::from(arrival.fd))
        };
        if arrival.is_now != Some(blocking) {
            stream.set_nonblocking(blocking == Blocking::No)?;
        }
        Ok(stream)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Stream::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    fn peer(&self) -> io::Result<Peer> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            Stream::Unix(_) => Ok(Peer::Unix),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Who is at the other end of a connection, or, of a listener, where it listens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Peer {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A process of this machine; Unix sockets of clients have no name.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
        }
    }
}

/// Keeps a connection counted as open. A draining worker ends when none is left.
#[derive(Debug)]
pub struct ConnectionGuard {
    link: Arc<Link>,
    listener: u16,
}

impl ConnectionGuard {
    pub(crate) fn new(link: &Arc<Link>, listener: u16) -> ConnectionGuard {
        link.connection_opened();
        ConnectionGuard {
            link: Arc::clone(link),
            listener,
        }
    }

    /// See [`Connection::listener`].
    #[must_use]
    pub fn listener(&self) -> usize {
        usize::from(self.listener)
    }

    /// See [`Connection::listener_name`].
    #[must_use]
    pub fn listener_name(&self) -> &str {
        self.link
            .identity()
            .listeners
            .get(self.listener())
            .map_or("", String::as_str)
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.link.connection_closed();
    }
}
