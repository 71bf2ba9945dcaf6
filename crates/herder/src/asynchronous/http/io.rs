//! A connection under hyper.

use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use herder_sys::socket;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::state::{State, Written};
use crate::asynchronous::connection::AsyncConnection;
use crate::worker::link::Link;

/// How long the client of a connection that ends has to close its side. A close while bytes of it
/// are on their way would make the kernel answer with a reset, which can destroy the last response.
const PARTING: Duration = Duration::from_secs(1);

/// The most that is read of a client that goes on talking, in bytes.
const LAST_WORDS: u64 = 256 * 1024;

/// A connection. Once it may end, it is at its end for its reader, at a moment at which nothing lies
/// unread: asking hyper to shut down would not look, and lose the request that has just come.
pub(super) struct Io {
    /// `None` only while it is dropped.
    connection: Option<AsyncConnection>,
    link: Arc<Link>,
    state: Arc<State>,
}

impl Io {
    pub(super) fn new(connection: AsyncConnection, link: &Arc<Link>, state: &Arc<State>) -> Io {
        Io {
            connection: Some(connection),
            link: Arc::clone(link),
            state: Arc::clone(state),
        }
    }

    fn connection(&mut self) -> Pin<&mut AsyncConnection> {
        Pin::new(self.connection.as_mut().expect("it is not dropped"))
    }

    /// Whether something has come of which the runtime does not know yet: a process that stood still hears of its
    /// timers first.
    fn has_unread(&self) -> bool {
        let unread = self
            .connection
            .as_ref()
            .map(|it| socket::unread_bytes(it.as_fd()));
        matches!(unread, Some(Ok(1..)))
    }

    fn wrote<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.state.wrote(if poll.is_ready() {
            Written::Taken
        } else {
            Written::Waits
        });
        poll
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.connection().poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.state.read_some();
        }
        if read.is_pending() && self.state.may_end() && !self.has_unread() {
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.connection().poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.connection().poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection().poll_shutdown(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // Elsewhere a client that is cut off comes back to this worker.
        if self.link.ending().has_begun()
            && !self.state.is_upgraded()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(part(connection));
        }
    }
}

/// Closes our side of a connection first, and the whole of it when the client has closed its own.
async fn part(connection: AsyncConnection) {
    if socket::shutdown_write(connection.as_fd()).is_err() {
        // The client has gone already.
        return;
    }
    let mut rest = connection.take(LAST_WORDS);
    let mut nothing = tokio::io::sink();
    // Nobody is left to be told what comes of it.
    let _late = timeout(PARTING, tokio::io::copy(&mut rest, &mut nothing)).await;
}
