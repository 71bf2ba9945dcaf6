//! A client's socket, of either kind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

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
    /// From a Unix listener.
    Unix(UnixStream),
}

impl Stream {
    /// Whether there is something to read, or the end.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(context),
            Stream::Unix(stream) => stream.poll_read_ready(context),
        }
    }

    /// Whether there is room to write.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_write_ready(context),
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
            Stream::Unix(stream) => stream.try_io(interest, || call(stream.as_fd())),
        }
    }

    /// Has the peer learn by a reset that the connection did not end as it should, once it is
    /// closed. A Unix socket knows no such thing.
    pub(crate) fn reset(&self) {
        if let Stream::Tcp(stream) = self {
            // One that is gone cannot be reset.
            let _gone = stream.set_zero_linger();
        }
    }
}

crate::edge::stream::speaks_as_one_of!(Stream { Tcp, Unix });
