//! A client's connection, for tasks.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use herder_sys::fd::Blocking;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::connection::{ConnectionGuard, Peer, Stream};
use crate::worker::acceptor::Arrival;
use crate::worker::link::Link;

/// A client's connection, for tasks. Dropping it closes it; see
/// [`Connection`](crate::Connection) for what a close does to bytes that were not read.
#[derive(Debug)]
pub struct AsyncConnection {
    stream: AsyncStream,
    guard: ConnectionGuard,
}

/// A connection's stream, by the kind of listener it came in by.
#[derive(Debug)]
pub enum AsyncStream {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// From a Unix listener.
    Unix(UnixStream),
}

impl AsyncConnection {
    pub(crate) fn new(arrival: Arrival, link: &Arc<Link>) -> io::Result<AsyncConnection> {
        let listener = arrival.listener;
        let stream = match Stream::new(arrival, link, Blocking::No)? {
            Stream::Tcp(stream) => AsyncStream::Tcp(TcpStream::from_std(stream)?),
            Stream::Unix(stream) => AsyncStream::Unix(UnixStream::from_std(stream)?),
        };
        Ok(AsyncConnection {
            stream,
            guard: ConnectionGuard::new(link, listener),
        })
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// When a TCP client has already gone.
    pub fn peer(&self) -> io::Result<Peer> {
        match &self.stream {
            AsyncStream::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            AsyncStream::Unix(_) => Ok(Peer::Unix),
        }
    }

    /// See [`Connection::listener`](crate::Connection::listener).
    #[must_use]
    pub fn listener(&self) -> usize {
        self.guard.listener()
    }

    /// See [`Connection::listener_name`](crate::Connection::listener_name).
    #[must_use]
    pub fn listener_name(&self) -> &str {
        self.guard.listener_name()
    }

    /// The stream as tokio has it, and the guard that keeps the connection counted as open. Drop
    /// the guard when the connection is closed, not before.
    #[must_use]
    pub fn into_tokio(self) -> (AsyncStream, ConnectionGuard) {
        (self.stream, self.guard)
    }
}

impl AsFd for AsyncConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            AsyncStream::Tcp(stream) => stream.as_fd(),
            AsyncStream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for AsyncConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            AsyncStream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            AsyncStream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for AsyncConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            AsyncStream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            AsyncStream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            AsyncStream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            AsyncStream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets buffer nothing on this side of the kernel.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            AsyncStream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            AsyncStream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
