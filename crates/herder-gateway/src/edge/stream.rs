//! A client's socket, of either kind.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use herder_sys::socket::send_before_end;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::edge::fresh::Fresh;

/// Somebody at the other end of a connection.
pub(crate) trait Peer: AsyncRead + AsyncWrite + Unpin {
    /// Whether somebody who waits for what it does is woken, without having asked in vain before.
    fn is_watched(&self) -> bool {
        true
    }

    /// Writes. Whoever calls this ends the connection, or this half of it, as soon as all of it was written, so
    /// that it may go together with the end.
    fn poll_write_last(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            [bytes] => Pin::new(self).poll_write(context, bytes),
            _ => Pin::new(self).poll_write_vectored(context, slices),
        }
    }
}

/// Has an enum of connections read and write as the one that it is.
macro_rules! speaks_as_one_of {
    ($name:ident { $($(#[$condition:meta])* $kind:ident),+ $(,)? }) => {
        impl tokio::io::AsyncRead for $name {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    $($(#[$condition])* $name::$kind(stream) => {
                        std::pin::Pin::new(stream).poll_read(context, buf)
                    })+
                }
            }
        }

        impl tokio::io::AsyncWrite for $name {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match self.get_mut() {
                    $($(#[$condition])* $name::$kind(stream) => {
                        std::pin::Pin::new(stream).poll_write(context, bytes)
                    })+
                }
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                match self.get_mut() {
                    $($(#[$condition])* $name::$kind(stream) => {
                        std::pin::Pin::new(stream).poll_write_vectored(context, slices)
                    })+
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    $($(#[$condition])* $name::$kind(stream) => {
                        std::pin::Pin::new(stream).poll_flush(context)
                    })+
                }
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                match self.get_mut() {
                    $($(#[$condition])* $name::$kind(stream) => {
                        std::pin::Pin::new(stream).poll_shutdown(context)
                    })+
                }
            }
        }
    };
}
pub(crate) use speaks_as_one_of;

/// A connection by the kind of listener it came in by.
#[derive(Debug)]
pub(crate) enum Stream {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// The same, as it was accepted.
    Fresh(Fresh),
    /// From a Unix listener.
    Unix(UnixStream),
}

impl Stream {
    /// Whether there is something to read, or the end.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(context),
            Stream::Fresh(stream) => stream.watch()?.poll_read_ready(context),
            Stream::Unix(stream) => stream.poll_read_ready(context),
        }
    }

    /// Whether there is room to write.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_write_ready(context),
            Stream::Fresh(stream) => stream.watch()?.poll_write_ready(context),
            Stream::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// Makes a call of another kind on the socket; when it would wait, whoever asks for readiness
    /// afterwards waits.
    pub(crate) fn try_io<T>(
        &self,
        interest: Interest,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Stream::Tcp(stream) => stream.try_io(interest, || call(stream.as_fd())),
            Stream::Fresh(stream) => {
                let stream = stream.watch()?;
                stream.try_io(interest, || call(stream.as_fd()))
            }
            Stream::Unix(stream) => stream.try_io(interest, || call(stream.as_fd())),
        }
    }

    /// Has the peer learn by a reset that the connection did not end as it should, once it is
    /// closed. A Unix socket knows no such thing.
    pub(crate) fn reset(&self) {
        let stream = match self {
            Stream::Tcp(stream) => stream,
            Stream::Fresh(stream) => match stream.watch() {
                Ok(stream) => stream,
                Err(_gone) => return,
            },
            Stream::Unix(_) => return,
        };
        // One that is gone cannot be reset.
        let _gone = stream.set_zero_linger();
    }

    /// Whether nothing lies there of which nobody was told.
    pub(crate) fn is_silent(&mut self) -> bool {
        match self {
            Stream::Fresh(stream) => stream.is_silent(),
            Stream::Tcp(_) | Stream::Unix(_) => true,
        }
    }
}

impl Peer for Stream {
    fn is_watched(&self) -> bool {
        match self {
            Stream::Fresh(stream) => stream.is_watched(),
            Stream::Tcp(_) | Stream::Unix(_) => true,
        }
    }

    fn poll_write_last(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => poll_write_last(stream, context, slices),
            Stream::Fresh(stream) => stream.poll_write_last(context, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }
}

/// Writes what the end follows at once.
pub(super) fn poll_write_last(
    tcp: &TcpStream,
    context: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_write_ready(context))?;
        let send = || send_before_end(tcp.as_fd(), slices);
        if let Poll::Ready(done) = at_once(tcp.try_io(Interest::WRITABLE, send)) {
            return Poll::Ready(done);
        }
    }
}

/// What a call came to, unless it would have to wait.
pub(super) fn at_once<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

crate::edge::stream::speaks_as_one_of!(Stream { Tcp, Fresh, Unix });
