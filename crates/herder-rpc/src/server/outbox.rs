//! What one connection has yet to write: bounded, and written in as few calls as possible.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use herder_wire::rpc::{Frame, FrameError, MAX_FRAME};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;

/// Above this many bytes that wait to be written, no more calls of the connection are read and no
/// more items of its streams are sent.
pub(super) const FULL_BYTES: usize = 8 * 1024 * 1024;

/// A peer that takes not a byte of what waits for it for so long is cut.
const STALL: Duration = Duration::from_secs(30);

/// Bodies up to this length are copied behind each other; longer ones are written from where they
/// are.
pub(super) const COPIED_BYTES: usize = 4096;

/// What the buffer of short frames grows by, and what is kept of it at least.
const TAIL_BYTES: usize = 8 * 1024;

/// A buffer of short frames that has grown beyond this is given back.
const KEPT_TAIL_BYTES: usize = 64 * 1024;

/// How many pieces one call of the system writes.
const PIECES: usize = 64;

/// What a connection has yet to write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Bytes that are not written.
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
    /// Where it is written; nothing before the connection is served and after its end.
    sink: Option<Arc<OwnedWriteHalf>>,
    /// The socket takes nothing more, and the writer waits until it does.
    is_blocked: bool,
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

/// How far writing came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Blocked,
    Empty,
}

impl Outbox {
    /// Queues one frame. It is written by [`Outbox::flush`], or after [`Outbox::wake`].
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

    /// Lets the writer write what is queued: best where more may come at once.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Writes what is queued, here and now, as far as the socket takes it: that saves a turn of the
    /// writer. The rest, and any error, is the writer's.
    pub(super) fn flush(&self) {
        let mut queue = self.queue();
        if queue.is_blocked || queue.is_empty() {
            return;
        }
        let step = self.write(&mut queue);
        drop(queue);
        if !matches!(step, Ok(Step::Empty)) {
            self.wake();
        }
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

    /// Takes no more frames, forgets those that are here, and lets the socket go.
    pub(super) fn abandon(&self) {
        let mut queue = self.queue();
        let sink = queue.sink.take();
        *queue = Queue {
            state: State::Closed,
            ..Queue::default()
        };
        drop(queue);
        drop(sink);
        self.waiting.store(0, Ordering::Relaxed);
        self.room.notify_waiters();
        self.wake();
    }

    /// From now on frames are written to `sink`, by [`Outbox::write_all`] and by [`Outbox::flush`].
    pub(super) fn attach(&self, sink: OwnedWriteHalf) {
        let mut queue = self.queue();
        if queue.state != State::Closed {
            queue.sink = Some(Arc::new(sink));
        }
    }

    /// Writes until the outbox is closed and empty: the writer.
    ///
    /// # Errors
    ///
    /// Those of the socket, and [`io::ErrorKind::TimedOut`] when the peer takes nothing.
    pub(super) async fn write_all(&self) -> io::Result<()> {
        loop {
            let (step, state, sink) = {
                let mut queue = self.queue();
                queue.is_blocked = false;
                let step = self.write(&mut queue)?;
                (step, queue.state, queue.sink.clone())
            };
            match (step, sink) {
                (Step::Blocked, Some(sink)) => writable(&sink).await?,
                (Step::Empty, Some(_)) if state == State::Open => self.filled.notified().await,
                (_, Some(_) | None) => return Ok(()),
            }
        }
    }

    /// Writes as much as the socket takes.
    fn write(&self, queue: &mut Queue) -> io::Result<Step> {
        while !queue.is_empty() {
            let Some(sink) = &queue.sink else {
                return Ok(Step::Blocked);
            };
            let mut slices = [IoSlice::new(&[]); PIECES];
            let pieces = queue.pieces.iter().map(AsRef::as_ref);
            let pieces = pieces.chain([queue.tail.as_ref()]);
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            match sink.try_write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    queue.advance(written);
                    self.written(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    queue.is_blocked = true;
                    return Ok(Step::Blocked);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Step::Empty)
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

impl Queue {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Removes what was written from the front.
    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.pieces.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.pieces.pop_front();
        }
        self.tail.advance(written);
        if self.tail.is_empty() && self.tail.capacity() > KEPT_TAIL_BYTES {
            self.tail = BytesMut::new();
        }
    }
}

/// Waits until the socket takes something, but not for ever.
async fn writable(sink: &OwnedWriteHalf) -> io::Result<()> {
    match tokio::time::timeout(STALL, sink.writable()).await {
        Ok(ready) => ready,
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
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

    fn outbox() -> (Outbox, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        // The other half is dropped: nothing is read here.
        let (_, sink) = ours.into_split();
        let outbox = Outbox::default();
        outbox.attach(sink);
        (outbox, theirs)
    }

    #[tokio::test]
    async fn what_is_flushed_needs_no_writer_until_the_socket_is_full() {
        let (outbox, mut theirs) = outbox();
        outbox.push(&frame(1, 10)).unwrap();
        outbox.push(&frame(2, COPIED_BYTES + 1)).unwrap();
        outbox.flush();
        assert_eq!(outbox.waiting(), 0);
        outbox.push(&frame(3, FULL_BYTES)).unwrap();
        outbox.push(&frame(4, 10)).unwrap();
        outbox.flush();
        assert!(outbox.waiting() > 0, "the socket took all");
        outbox.close();
        let mut read = Vec::new();
        let writing = async {
            outbox.write_all().await.unwrap();
            outbox.abandon();
        };
        let (_, count) = tokio::join!(writing, theirs.read_to_end(&mut read));
        count.unwrap();
        let mut decoder = Decoder::new(MAX_FRAME);
        decoder.push(&read);
        for (id, length) in [(1, 10), (2, COPIED_BYTES + 1), (3, FULL_BYTES), (4, 10)] {
            assert!(
                decoder.next().unwrap() == Some(frame(id, length)),
                "frame {id}"
            );
        }
        assert_eq!(decoder.next().unwrap(), None);
    }

    #[tokio::test]
    async fn frames_are_written_in_their_order_whatever_their_length() {
        let (outbox, mut theirs) = outbox();
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
            outbox.write_all().await.unwrap();
            outbox.abandon();
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
        let (outbox, theirs) = outbox();
        outbox.push(&frame(1, FULL_BYTES + 1)).unwrap();
        let error = outbox.write_all().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn room_comes_back_when_the_peer_reads() {
        let (outbox, mut theirs) = outbox();
        outbox.push(&frame(1, FULL_BYTES + 1)).unwrap();
        let mut taken = vec![0; FULL_BYTES];
        tokio::select! {
            (_, taken) = async { tokio::join!(outbox.room(), theirs.read_exact(&mut taken)) } => {
                taken.unwrap();
            }
            written = outbox.write_all() => panic!("{written:?}"),
        }
    }
}
