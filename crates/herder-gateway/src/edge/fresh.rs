//! A client's connection that the runtime need not know.

use std::cell::{OnceCell, RefCell};
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream as StdTcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use herder_sys::socket::{receive_some, send_before_end, unread_bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::edge::stream::{at_once, poll_write_last};

/// How much is read at once while nobody watches, in bytes.
const PIECE: usize = 8 * 1024;

/// A TCP connection that is watched from when somebody has to wait for it. Who comes with a request, gets the
/// answer and goes costs two calls less if nobody ever has to.
#[derive(Debug)]
pub(crate) struct Fresh {
    unwatched: RefCell<Option<StdTcpStream>>,
    watched: OnceCell<TcpStream>,
}

impl Fresh {
    /// A connection that does not wait, as it was accepted.
    pub(crate) fn new(tcp: StdTcpStream) -> Fresh {
        Fresh {
            unwatched: RefCell::new(Some(tcp)),
            watched: OnceCell::new(),
        }
    }

    /// Whether somebody who waits for it is woken.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.get().is_some()
    }

    /// Has it watched from now on.
    pub(crate) fn watch(&self) -> io::Result<&TcpStream> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        let unwatched = self.unwatched.take().ok_or(io::ErrorKind::NotConnected)?;
        let watched = TcpStream::from_std(unwatched)?;
        Ok(self.watched.get_or_init(|| watched))
    }
}

impl Fresh {
    /// Whether nothing has come that was not read, as far as nobody would have been woken for it.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.bare()
            .is_none_or(|tcp| matches!(unread_bytes(tcp.as_fd()), Ok(0)))
    }

    /// Writes what the end follows at once.
    pub(crate) fn poll_write_last(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(tcp) = self.bare()
            && let Poll::Ready(done) = at_once(send_before_end(tcp.as_fd(), slices))
        {
            return Poll::Ready(done);
        }
        poll_write_last(self.watch()?, context, slices)
    }

    /// The socket, if it is not watched.
    fn bare(&mut self) -> Option<&StdTcpStream> {
        self.unwatched.get_mut().as_ref()
    }

    fn as_watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.watch()?;
        let watched = self.watched.get_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(watched))
    }
}

impl AsyncRead for Fresh {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(tcp) = self.bare() {
            let mut space = [MaybeUninit::uninit(); PIECE];
            let most = buf.remaining().min(PIECE);
            let read = receive_some(tcp.as_fd(), &mut space[..most]);
            if let Poll::Ready(came) = at_once(read) {
                buf.put_slice(came?);
                return Poll::Ready(Ok(()));
            }
        }
        self.as_watched()?.poll_read(context, buf)
    }
}

impl AsyncWrite for Fresh {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(mut tcp) = self.bare()
            && let Poll::Ready(done) = at_once(tcp.write(bytes))
        {
            return Poll::Ready(done);
        }
        self.as_watched()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(mut tcp) = self.bare()
            && let Poll::Ready(done) = at_once(tcp.write_vectored(slices))
        {
            return Poll::Ready(done);
        }
        self.as_watched()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket holds nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.bare() {
            Some(tcp) => Poll::Ready(tcp.shutdown(Shutdown::Write)),
            None => self.as_watched()?.poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A client, and its connection as it was accepted.
    async fn pair() -> (TcpStream, Fresh) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        (client.unwrap(), Fresh::new(accepted))
    }

    #[tokio::test]
    async fn who_need_not_wait_is_not_watched() {
        let (mut client, mut fresh) = pair().await;
        client.write_all(b"hello").await.unwrap();
        let mut came = [0; 100];
        assert_eq!(fresh.read(&mut came).await.unwrap(), 5);
        fresh.write_all(b"good ").await.unwrap();
        let bye = std::future::poll_fn(|context| {
            let slices = [IoSlice::new(b"b"), IoSlice::new(b"ye")];
            fresh.poll_write_last(context, &slices)
        });
        assert_eq!(bye.await.unwrap(), 3);
        assert!(!fresh.is_watched());
        drop(fresh);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "good bye");
    }

    #[tokio::test]
    async fn who_has_to_wait_is_watched_and_woken() {
        let (mut client, mut fresh) = pair().await;
        let mut came = [0; 100];
        let say = async {
            tokio::task::yield_now().await;
            client.write_all(b"hello").await.unwrap();
        };
        let (read, ()) = tokio::join!(fresh.read(&mut came), say);
        assert_eq!(read.unwrap(), 5);
        assert!(fresh.is_watched());
        fresh.write_all(b"good bye").await.unwrap();
        fresh.shutdown().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "good bye");
    }

    #[tokio::test]
    async fn more_than_fits_is_written_when_there_is_room() {
        let (mut client, mut fresh) = pair().await;
        let many = vec![7; 16 * 1024 * 1024];
        let write = async {
            let mut left = &many[..];
            while !left.is_empty() {
                let last = std::future::poll_fn(|context| {
                    fresh.poll_write_last(context, &[IoSlice::new(left)])
                });
                left = &left[last.await.unwrap()..];
            }
            drop(fresh);
        };
        let mut came = Vec::new();
        let (read, ()) = tokio::join!(client.read_to_end(&mut came), write);
        read.unwrap();
        assert_eq!(came.len(), many.len());
    }

    #[tokio::test]
    async fn what_was_not_read_can_be_seen() {
        let (mut client, mut fresh) = pair().await;
        assert!(fresh.is_silent());
        client.write_all(b"hello").await.unwrap();
        while fresh.is_silent() {
            tokio::task::yield_now().await;
        }
        let mut came = [0; 100];
        assert_eq!(fresh.read(&mut came).await.unwrap(), 5);
        assert!(fresh.is_silent());
    }
}
