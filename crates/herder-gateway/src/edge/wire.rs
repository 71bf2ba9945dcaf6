//! Reading and writing one client's stream.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::edge::outbox::Outbox;

/// A client's stream, with what was read and not understood yet, and what was not written yet. A
/// client that is idle costs no buffers.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    /// What was read and not taken.
    pub(super) inbox: BytesMut,
    /// What is to be written.
    pub(super) outbox: Outbox,
    flow: Flow,
    heard: Instant,
}

/// Whether more is read from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Whatever comes.
    On,
    /// Nothing: it waits in the kernel, and then at the client.
    Off,
}

/// What one [`Wire::turn`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client will send nothing more.
    End,
    /// There is more in the inbox.
    Read,
    /// There is less in the outbox.
    Wrote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Blocked,
    Free,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `read` is what was read from the stream before.
    pub(super) fn new(stream: S, read: BytesMut) -> Wire<S> {
        Wire {
            stream,
            inbox: read,
            outbox: Outbox::default(),
            flow: Flow::Free,
            heard: Instant::now(),
        }
    }

    /// When the client last showed that it lives.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Writes what can be written, and reads once if told so; waits until one of them was possible.
    /// Dropping the future loses nothing.
    pub(super) async fn turn(&mut self, reading: Reading) -> io::Result<Turn> {
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
        poll_fn(|context| self.poll_turn(reading, context)).await
    }

    fn poll_turn(&mut self, reading: Reading, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let wrote = self.poll_write(context)?;
        if reading == Reading::On
            && let Poll::Ready(read) = self.poll_read(context)?
        {
            return Poll::Ready(Ok(if read == 0 { Turn::End } else { Turn::Read }));
        }
        if wrote > 0 {
            return Poll::Ready(Ok(Turn::Wrote));
        }
        Poll::Pending
    }

    /// Writes until everything is written or the client is to be waited for.
    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<usize> {
        let mut all = 0;
        while !self.outbox.is_empty() {
            let (slices, used) = self.outbox.slices();
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write_vectored(context, &slices[..used])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => {
                    self.outbox.advance(written);
                    all += written;
                    // The kernel had no room: so the client has taken something meanwhile.
                    if self.flow == Flow::Blocked {
                        self.flow = Flow::Free;
                        self.heard = Instant::now();
                    }
                }
                Poll::Pending => {
                    self.flow = Flow::Blocked;
                    break;
                }
            }
        }
        Ok(all)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> io::Result<Poll<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            if Pin::new(&mut self.stream)
                .poll_read(context, &mut buf)?
                .is_pending()
            {
                return Ok(Poll::Pending);
            }
            self.inbox.extend_from_slice(buf.filled());
            self.heard = Instant::now();
            Ok(Poll::Ready(buf.filled().len()))
        })
    }

    /// Writes everything that waits; an error when that takes longer.
    pub(super) async fn flush(&mut self, until: Instant) -> io::Result<()> {
        while !self.outbox.is_empty() {
            timeout_at(until, self.turn(Reading::Off)).await??;
        }
        Ok(())
    }

    /// Ends the connection such that the client can read everything that was written: a socket
    /// that is closed with something unread in it takes back what its client has not read yet.
    pub(super) async fn hang_up(mut self) {
        if self.stream.shutdown().await.is_ok() {
            let _late = timeout(LINGER, self.drain()).await;
        }
    }

    async fn drain(&mut self) -> io::Result<()> {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await? > 0 {}
        Ok(())
    }
}

/// How long a client may take to close its side after we have closed ours.
const LINGER: Duration = Duration::from_secs(1);

/// The most that is read at once.
const READ: usize = 64 * 1024;

thread_local! {
    /// Where all connections of the thread read to, one after the other: so that none needs a
    /// buffer while it waits.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tokio::io::duplex;

    #[tokio::test]
    async fn what_comes_is_in_the_inbox_and_the_end_is_told() {
        let (mut client, stream) = duplex(64);
        let mut wire = Wire::new(stream, BytesMut::from(&b"be"[..]));
        client.write_all(b"fore").await.unwrap();
        assert_eq!(wire.turn(Reading::On).await.unwrap(), Turn::Read);
        assert_eq!(&wire.inbox[..], b"before");
        drop(client);
        assert_eq!(wire.turn(Reading::On).await.unwrap(), Turn::End);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_ends_the_flush() {
        let (client, stream) = duplex(4);
        let mut wire = Wire::new(stream, BytesMut::new());
        wire.outbox.push(b"", Bytes::from_static(b"12345"), b"");
        let until = Instant::now() + Duration::from_secs(1);
        let late = wire.flush(until).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert_eq!(wire.outbox.len(), 1);
        drop(client);
    }

    #[tokio::test]
    async fn an_idle_client_costs_no_buffer() {
        let (mut client, stream) = duplex(64);
        let mut wire = Wire::new(stream, BytesMut::with_capacity(4096));
        let mut waits = Box::pin(wire.turn(Reading::On));
        let pending = poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_pending()));
        assert!(pending.await);
        drop(waits);
        assert_eq!(wire.inbox.capacity(), 0);
        client.write_all(b"x").await.unwrap();
        assert_eq!(wire.turn(Reading::On).await.unwrap(), Turn::Read);
    }
}
