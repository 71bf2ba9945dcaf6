//! A stream on which an answer that comes before the question is still heard.
//!
//! Who is not let in is told so at once, before anything is read, and the connection is closed. A client
//! of HTTP takes words that it has not asked for, and a question that nobody reads, for errors: so it
//! hears nothing until it has asked, and is not told that nobody reads.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

pub(crate) struct Patient {
    stream: UnixStream,
    asked: bool,
    /// Who waits to hear something.
    listener: Option<Waker>,
}

impl Patient {
    pub(crate) fn new(stream: UnixStream) -> Patient {
        Patient {
            stream,
            asked: false,
            listener: None,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.asked {
            this.listener = Some(context.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            Poll::Ready(written) => written,
            Poll::Pending => return Poll::Pending,
        };
        this.asked = true;
        if let Some(listener) = this.listener.take() {
            listener.wake();
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
