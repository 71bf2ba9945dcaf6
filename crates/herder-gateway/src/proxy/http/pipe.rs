//! One direction of an exchange: a head, and a body that passes by.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::edge::stream::Peer;
use crate::proxy::http::chunks::{ChunkFault, Chunks, discard};

/// How much of a body is under way at most, in bytes; the rest waits at its sender.
pub(super) const ROOM: usize = 64 * 1024;

/// How much is read at once of what has no known length.
const PIECE: usize = 16 * 1024;

/// What is no longer is written from one place, in bytes.
const SHORT: usize = 1024;

/// How much of a body is kept to be sent once more, in bytes.
const REPLAY: usize = 16 * 1024;

/// How the end of a body is known.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// By its chunks.
    Chunks(Chunks),
    /// By the end of the connection.
    Close,
    /// By the end of the connection; it is passed on in chunks.
    Wrap(Wrapping),
}

/// How far a body was put into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    First,
    Next,
    Done,
}

/// Whether what was written is kept, to be written once more to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retain {
    /// As long as it is short.
    Short,
    /// It is not, or not any more.
    No,
}

/// What follows the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing, or what nobody knows yet.
    Open,
    /// The end of the connection, at once.
    Close,
}

/// Why a body does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// It cannot be read.
    Read(io::Error),
    /// It ended before its end.
    Early,
    /// It is not what it should be.
    Fault(ChunkFault),
    /// It cannot be written.
    Write,
}

/// One direction. What was read lies in an inbox, of which the first bytes were written, the next
/// ones may be, and the others have not been looked at.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Written before the body.
    pub(super) head: BytesMut,
    head_sent: usize,
    framing: Framing,
    retain: Retain,
    end: End,
    sent: usize,
    ready: usize,
    /// Written after the body. It is kept as long as the head is, for both are written once more.
    tail: BytesMut,
    tail_sent: usize,
    /// Bytes of the body that were written.
    pub(super) moved: u64,
    /// Bytes that were written, of all.
    pub(super) written: u64,
    /// Whether a layer below, as TLS is one, holds what it cannot pass on.
    unflushed: bool,
}

impl Pipe {
    /// Nothing but a head.
    pub(super) fn new(head: BytesMut, framing: Framing, retain: Retain) -> Pipe {
        Pipe {
            head,
            head_sent: 0,
            framing,
            retain,
            end: End::Open,
            sent: 0,
            ready: 0,
            tail: BytesMut::new(),
            tail_sent: 0,
            moved: 0,
            written: 0,
            unflushed: false,
        }
    }

    /// The same, and whoever has it go says that the connection ends with it.
    pub(super) fn until(self, end: End) -> Pipe {
        Pipe { end, ..self }
    }

    /// Whether all of the body was read.
    pub(super) fn is_read(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunks(chunks) => chunks.is_done(),
            Framing::Close => false,
            Framing::Wrap(wrapping) => *wrapping == Wrapping::Done,
        }
    }

    /// Whether it is known how much is to come.
    pub(super) fn has_length(&self) -> bool {
        matches!(self.framing, Framing::Length(_))
    }

    /// Whether there is something to write.
    pub(super) fn is_full(&self) -> bool {
        self.head_sent < self.head.len()
            || self.sent < self.ready
            || self.tail_sent < self.tail.len()
    }

    /// Whether it is the receiver who is waited for, as it does not take what there is.
    pub(super) fn is_held_up(&self) -> bool {
        self.is_full() || self.unflushed
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        self.is_read() && !self.is_full()
    }

    /// Whether all that was written can be written once more.
    pub(super) fn can_rewind(&self) -> bool {
        self.retain == Retain::Short
    }

    /// How much of the inbox is of the body, in bytes.
    pub(super) fn held(&self) -> usize {
        self.ready
    }

    /// Begins once more.
    pub(super) fn rewind(&mut self) {
        self.head_sent = 0;
        self.sent = 0;
        self.tail_sent = 0;
        self.moved = 0;
        self.written = 0;
    }

    /// Lets go of a body that was read, whether it was written or not.
    pub(super) fn finish(&mut self, inbox: &mut BytesMut) {
        self.sent = self.ready;
        self.release(inbox);
    }

    /// Lets go of what is kept of a body that is over; what follows it is left in the inbox.
    pub(super) fn release(&mut self, inbox: &mut BytesMut) {
        self.retain = Retain::No;
        discard(inbox, self.sent);
        self.ready -= self.sent;
        self.sent = 0;
    }

    /// Goes on until the body is over, and was written.
    pub(super) fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        inbox: &mut BytesMut,
        from: &mut R,
        to: &mut W,
    ) -> Poll<Result<(), Stop>>
    where
        R: AsyncRead + Unpin,
        W: Peer,
    {
        loop {
            // Before anything is written, so that a head and what came of the body go together.
            if inbox.len() > self.ready && self.sent == self.ready && !self.is_read() {
                self.frame(inbox).map_err(Stop::Fault)?;
            }
            ready!(self.poll_write(context, inbox, to)).map_err(|_gone| Stop::Write)?;
            if self.is_read() {
                return self.poll_flush(context, to);
            }
            let read = match self.poll_read(context, inbox, from) {
                Poll::Ready(read) => read.map_err(Stop::Read)?,
                Poll::Pending => {
                    if let Poll::Ready(Err(stop)) = self.poll_flush(context, to) {
                        return Poll::Ready(Err(stop));
                    }
                    return Poll::Pending;
                }
            };
            if read == 0 {
                match &mut self.framing {
                    Framing::Close => self.framing = Framing::Length(0),
                    Framing::Wrap(wrapping) => {
                        let last: &[u8] = match wrapping {
                            Wrapping::First => b"0\r\n\r\n",
                            Wrapping::Next | Wrapping::Done => b"\r\n0\r\n\r\n",
                        };
                        *wrapping = Wrapping::Done;
                        self.tail.extend_from_slice(last);
                    }
                    Framing::Length(_) | Framing::Chunks(_) => {
                        return Poll::Ready(Err(Stop::Early));
                    }
                }
            }
        }
    }

    fn poll_flush<W>(&mut self, context: &mut Context<'_>, to: &mut W) -> Poll<Result<(), Stop>>
    where
        W: AsyncWrite + Unpin,
    {
        let flushed = Pin::new(to).poll_flush(context);
        self.unflushed = flushed.is_pending();
        flushed.map_err(|_gone| Stop::Write)
    }

    /// Writes all there is to write.
    pub(super) fn poll_write<W>(
        &mut self,
        context: &mut Context<'_>,
        inbox: &BytesMut,
        to: &mut W,
    ) -> Poll<io::Result<()>>
    where
        W: Peer,
    {
        while self.is_full() {
            let head = &self.head[self.head_sent..];
            let body = &inbox[self.sent..self.ready];
            let tail = &self.tail[self.tail_sent..];
            let mut space = [0; SHORT];
            let whole = if body.is_empty() && tail.is_empty() {
                Some(head)
            } else {
                gather([head, body, tail], &mut space)
            };
            let slices = [whole.unwrap_or(head), body, tail].map(IoSlice::new);
            let slices = match whole {
                Some(_) => &slices[..1],
                None => &slices[..],
            };
            let written = match whole {
                _ if self.end == End::Close && self.is_read() => {
                    to.poll_write_last(context, slices)
                }
                Some(whole) => Pin::new(&mut *to).poll_write(context, whole),
                None => Pin::new(&mut *to).poll_write_vectored(context, slices),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.wrote(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        let head = count.min(self.head.len() - self.head_sent);
        self.head_sent += head;
        let body = (count - head).min(self.ready - self.sent);
        self.sent += body;
        self.moved += body as u64;
        self.tail_sent += count - head - body;
    }

    /// Looks at what was read.
    fn frame(&mut self, inbox: &mut BytesMut) -> Result<(), ChunkFault> {
        let there = inbox.len() - self.ready;
        match &mut self.framing {
            Framing::Length(left) => {
                let here = usize::try_from(*left).map_or(there, |left| left.min(there));
                self.ready += here;
                *left -= here as u64;
            }
            Framing::Chunks(chunks) => {
                self.ready = chunks.feed(inbox, self.ready)?;
                if chunks.is_done() {
                    self.tail = chunks.take_tail()?;
                }
            }
            Framing::Close => self.ready = inbox.len(),
            Framing::Wrap(wrapping) => {
                self.ready = inbox.len();
                // What came with the head goes out with the answer's head.
                discard(&mut self.head, self.head_sent);
                self.head_sent = 0;
                if *wrapping == Wrapping::Next {
                    self.head.extend_from_slice(b"\r\n");
                }
                put_hex(&mut self.head, there);
                self.head.extend_from_slice(b"\r\n");
                *wrapping = Wrapping::Next;
            }
        }
        Ok(())
    }

    fn poll_read<R>(
        &mut self,
        context: &mut Context<'_>,
        inbox: &mut BytesMut,
        from: &mut R,
    ) -> Poll<io::Result<usize>>
    where
        R: AsyncRead + Unpin,
    {
        if self.retain == Retain::No || self.ready >= REPLAY {
            self.release(inbox);
        }
        let wanted = match &self.framing {
            Framing::Length(left) => usize::try_from(*left).map_or(ROOM, |left| left.min(ROOM)),
            Framing::Chunks(_) | Framing::Close | Framing::Wrap(_) => PIECE,
        };
        // With room for one more: a read that does not fill it tells that nothing else is there.
        if inbox.capacity() - inbox.len() <= wanted.min(PIECE) {
            inbox.reserve(wanted + 1);
        }
        pin!(from.read_buf(inbox)).poll(context)
    }
}

/// Puts what is short one behind the other: to copy it is cheaper than to write from several places.
fn gather<'a>(parts: [&[u8]; 3], space: &'a mut [u8; SHORT]) -> Option<&'a [u8]> {
    let mut end = 0;
    for part in parts {
        space.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    Some(&space[..end])
}

fn put_hex(to: &mut BytesMut, number: usize) {
    let mut shift = usize::BITS;
    let mut begun = false;
    while shift > 0 {
        shift -= 4;
        let digit = number >> shift & 0xf;
        begun |= digit > 0 || shift == 0;
        if begun {
            to.put_u8(b"0123456789abcdef"[digit]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::proxy::http::chunks::Frames;

    impl Peer for tokio::io::DuplexStream {}

    async fn pass(framing: Framing, sent: &[u8]) -> (Vec<u8>, Result<(), Stop>, BytesMut) {
        let (mut source, mut from) = duplex(7);
        let (mut to, mut sink) = duplex(5);
        let mut pipe = Pipe::new(BytesMut::from(&b"head "[..]), framing, Retain::Short);
        let mut inbox = BytesMut::new();
        let feed = async {
            source.write_all(sent).await.unwrap();
            drop(source);
        };
        let move_on = async {
            let moved = poll_fn(|context| pipe.poll(context, &mut inbox, &mut from, &mut to)).await;
            drop(to);
            pipe.release(&mut inbox);
            moved
        };
        let mut came = Vec::new();
        let (_, moved, read) = tokio::join!(feed, move_on, sink.read_to_end(&mut came));
        read.unwrap();
        (came, moved, inbox)
    }

    #[tokio::test]
    async fn a_body_passes_by() {
        let (came, moved, rest) = pass(Framing::Length(11), b"hello world").await;
        assert_eq!(came, b"head hello world");
        assert!(moved.is_ok() && rest.is_empty());
        let (came, moved, _) = pass(Framing::Close, b"hello world").await;
        assert_eq!(came, b"head hello world");
        assert!(moved.is_ok());
        let chunks = Framing::Chunks(Chunks::new(Frames::Kept, 0));
        let (came, moved, _) = pass(chunks, b"2\r\nhi\r\n0\r\nA: b\r\n\r\n").await;
        assert_eq!(came, b"head 2\r\nhi\r\n0\r\nA: b\r\n\r\n");
        assert!(moved.is_ok());
        let (_, moved, _) = pass(Framing::Length(12), b"hello world").await;
        assert!(matches!(moved, Err(Stop::Early)));
    }

    #[tokio::test]
    async fn a_body_without_a_length_gets_chunks() {
        let (came, moved, _) = pass(Framing::Wrap(Wrapping::First), b"hello world").await;
        assert!(moved.is_ok());
        let mut chunks = Chunks::new(Frames::Stripped, 0);
        let mut body = BytesMut::from(&came[b"head ".len()..]);
        let end = chunks.feed(&mut body, 0).unwrap();
        assert!(chunks.is_done());
        assert_eq!((&body[..], end), (&b"hello world"[..], 11));
        let (came, _, _) = pass(Framing::Wrap(Wrapping::First), b"").await;
        assert_eq!(came, b"head 0\r\n\r\n");
    }

    #[test]
    fn numbers_in_chunks_are_hexadecimal() {
        let mut text = BytesMut::new();
        for number in [0, 9, 10, 255, 4096, 0xabcdef] {
            put_hex(&mut text, number);
            text.put_u8(b' ');
        }
        assert_eq!(&text[..], b"0 9 a ff 1000 abcdef ");
    }
}
