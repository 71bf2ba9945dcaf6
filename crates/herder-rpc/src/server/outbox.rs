//! What one connection has yet to write: bounded, and written in as few calls as possible.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use herder_wire::rpc::{Frame, FrameError, MAX_FRAME};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

/// Above this many bytes that wait to be written, no more calls of the connection are read and no
/// more items of its streams are sent.
pub(super) const FULL_BYTES: usize = 8 * 1024 * 1024;

/// A peer that takes not a byte of what waits for it for so long is cut.
const STALL: Duration = Duration::from_secs(30);

/// Bodies up to this length are copied behind each other; longer ones are written from where they
/// are.
pub(super) const COPIED_BYTES: usize = 4096;

/// What the buffer of short frames grows by.
const TAIL_BYTES: usize = 8 * 1024;

/// How many pieces one call of the system writes.
const PIECES: usize = 64;

/// What a connection has yet to write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Bytes that are queued or being written.
    waiting: AtomicUsize,
    filled: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    /// Short frames, one behind the other: the last piece.
    tail: BytesMut,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Open,
    /// Writes what it has, then ends.
    Closing,
    /// Takes nothing and holds nothing.
    Closed,
}

impl Outbox {
    /// Queues one frame. The writer learns of it by [`Outbox::wake`].
    ///
    /// # Errors
    ///
    /// Those of the encoder; nothing is queued then.
    pub(super) fn push(&self, frame: &Frame) -> Result<(), FrameError> {
        let mut queue = self.queue();
        if queue.state != State::Open {
            return Ok(());
        }
        if queue.tail.capacity() == 0 {
            queue.tail.reserve(TAIL_BYTES);
        }
        frame.encode_head(MAX_FRAME, &mut queue.tail)?;
        self.waiting
            .fetch_add(frame.encoded_length(), Ordering::Relaxed);
        let body = frame.body();
        if body.len() <= COPIED_BYTES {
            queue.tail.extend_from_slice(body);
        } else {
            let tail = queue.tail.split().freeze();
            queue.pieces.push_back(tail);
            queue.pieces.push_back(body.clone());
        }
        Ok(())
    }

    /// Lets the writer run.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// How many bytes are not written yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Ends when there is room for more.
    pub(super) async fn room(&self) {
        while self.waiting() > FULL_BYTES {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.waiting() > FULL_BYTES {
                room.await;
            }
        }
    }

    /// Takes no more frames; the writer ends when it has written those that are here.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        if queue.state == State::Open {
            queue.state = State::Closing;
        }
        drop(queue);
        self.wake();
    }

    /// Takes no more frames and forgets those that are here.
    pub(super) fn abandon(&self) {
        let mut queue = self.queue();
        queue.state = State::Closed;
        queue.pieces = VecDeque::new();
        queue.tail = BytesMut::new();
        drop(queue);
        self.waiting.store(0, Ordering::Relaxed);
        self.room.notify_waiters();
        self.wake();
    }

    /// Writes until the outbox is closed and empty.
    ///
    /// # Errors
    ///
    /// Those of the socket, and [`io::ErrorKind::TimedOut`] when the peer takes nothing.
    pub(super) async fn write_to<W: AsyncWrite + Unpin>(&self, socket: &mut W) -> io::Result<()> {
        let mut batch = VecDeque::new();
        loop {
            match self.take(&mut batch) {
                State::Closed => return Ok(()),
                State::Closing if batch.is_empty() => return Ok(()),
                State::Open | State::Closing => {}
            }
            if batch.is_empty() {
                self.filled.notified().await;
                continue;
            }
            while !batch.is_empty() {
                let written = write_some(socket, &batch).await?;
                advance(&mut batch, written);
                self.written(written);
            }
        }
    }

    fn take(&self, batch: &mut VecDeque<Bytes>) -> State {
        let mut queue = self.queue();
        if !queue.tail.is_empty() {
            let tail = queue.tail.split().freeze();
            queue.pieces.push_back(tail);
        }
        std::mem::swap(batch, &mut queue.pieces);
        queue.state
    }

    fn written(&self, bytes: usize) {
        let subtract = |waiting: usize| Some(waiting.saturating_sub(bytes));
        let before = match self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract)
        {
            Ok(before) | Err(before) => before,
        };
        if before > FULL_BYTES && before.saturating_sub(bytes) <= FULL_BYTES {
            self.room.notify_waiters();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_some<W: AsyncWrite + Unpin>(
    socket: &mut W,
    batch: &VecDeque<Bytes>,
) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PIECES];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(batch) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    match tokio::time::timeout(STALL, socket.write_vectored(&slices[..count])).await {
        Ok(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
        Ok(written) => written,
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Removes what was written from the front.
fn advance(batch: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = batch.front_mut() {
        if written < front.len() {
            bytes::Buf::advance(front, written);
            return;
        }
        written -= front.len();
        batch.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herder_wire::rpc::{Codec, Decoder};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    fn frame(id: u64, length: usize) -> Frame {
        Frame::Ok {
            id,
            codec: Codec::Json,
            value: Bytes::from(vec![0; length]),
        }
    }

    #[tokio::test]
    async fn frames_are_written_in_their_order_whatever_their_length() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let outbox = Outbox::default();
        let lengths = [0, 3, COPIED_BYTES, COPIED_BYTES + 1, 300_000, 1];
        let frames: Vec<_> = (0..)
            .zip(lengths)
            .map(|(id, length)| frame(id, length))
            .collect();
        for frame in &frames {
            outbox.push(frame).unwrap();
        }
        outbox.close();
        outbox.push(&frame(99, 1)).unwrap();
        let mut read = Vec::new();
        let writing = async {
            outbox.write_to(&mut ours).await.unwrap();
            drop(ours);
        };
        let (_, count) = tokio::join!(writing, theirs.read_to_end(&mut read));
        count.unwrap();
        let mut decoder = Decoder::new(MAX_FRAME);
        decoder.push(&read);
        for expected in frames {
            assert!(
                decoder.next().unwrap() == Some(expected),
                "the frames differ"
            );
        }
        assert_eq!(decoder.next().unwrap(), None);
        assert_eq!(outbox.waiting(), 0);
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_queued() {
        let outbox = Outbox::default();
        outbox.push(&frame(1, MAX_FRAME)).unwrap_err();
        assert_eq!(outbox.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_cut() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let outbox = Outbox::default();
        outbox.push(&frame(1, FULL_BYTES + 1)).unwrap();
        let error = outbox.write_to(&mut ours).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn room_comes_back_when_the_peer_reads() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let outbox = Outbox::default();
        outbox.push(&frame(1, FULL_BYTES + 1)).unwrap();
        let mut taken = vec![0; FULL_BYTES];
        tokio::select! {
            (_, taken) = async { tokio::join!(outbox.room(), theirs.read_exact(&mut taken)) } => {
                taken.unwrap();
            }
            written = outbox.write_to(&mut ours) => panic!("{written:?}"),
        }
    }
}
