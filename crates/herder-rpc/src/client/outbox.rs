//! What is to be written on one connection, and how much of it was.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use herder_wire::rpc::Frame;

/// A frame that waits to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) frame: Frame,
    /// When the time of a call or of an opening ends.
    pub(super) deadline: Option<Instant>,
    /// Bytes that are given back to the window when the frame is taken: those of one-way calls.
    pub(super) release: usize,
}

impl From<Frame> for Outgoing {
    fn from(frame: Frame) -> Self {
        Self {
            frame,
            deadline: None,
            release: 0,
        }
    }
}

/// Bytes on their way to the socket: small frames joined, the body of a large one uncopied.
#[derive(Debug, Default)]
pub(super) struct Batch {
    joined: BytesMut,
    body: Bytes,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.body.is_empty()
    }

    /// What to write next.
    pub(super) fn next(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.body
        } else {
            &self.joined
        }
    }

    /// The socket took `count` bytes of [`Batch::next`].
    pub(super) fn advance(&mut self, count: usize) {
        if self.joined.is_empty() {
            self.body.advance(count);
        } else {
            self.joined.advance(count);
        }
        if self.body.is_empty() {
            self.body = Bytes::new();
        }
    }
}

/// Frames in order. A frame is *taken* when it is in the batch that is being written; of a batch
/// that was cut by the end of the connection, `written` tells which frames left.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Outgoing>,
    /// Bytes taken since the connection began.
    taken: u64,
    /// Of them, bytes that the socket took.
    written: u64,
}

impl Outbox {
    /// Frames are joined up to this size, to write many small ones in one call of the system.
    const BATCH: usize = 64 * 1024;

    pub(super) fn push(&mut self, frame: impl Into<Outgoing>) {
        self.waiting.push_back(frame.into());
    }

    /// Whether everything that was pushed is written.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.taken == self.written
    }

    /// Moves frames to `batch`, which is empty before, until it is full; `begins(id, start)` is
    /// told where each begins in the connection. The answer is what to give back to the window.
    pub(super) fn take(
        &mut self,
        batch: &mut Batch,
        now: Instant,
        mut begins: impl FnMut(u64, u64),
    ) -> usize {
        debug_assert!(batch.is_empty(), "a batch is written whole before the next");
        let mut release = 0;
        while batch.body.is_empty() && batch.joined.len() < Self::BATCH {
            let Some(mut next) = self.waiting.pop_front() else {
                break;
            };
            bring_up_to_date(&mut next, now);
            release += next.release;
            let length = next.frame.encoded_length();
            if next.frame.encode_head(length, &mut batch.joined).is_err() {
                debug_assert!(false, "a frame is checked before it is pushed");
                continue;
            }
            begins(next.frame.id(), self.taken);
            self.taken += length as u64;
            let body = next.frame.body();
            if body.len() < Self::BATCH {
                batch.joined.extend_from_slice(body);
            } else {
                batch.body = body.clone();
            }
        }
        release
    }

    /// The socket took this many bytes more.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        debug_assert!(
            self.written <= self.taken,
            "nothing is written that was not taken"
        );
    }

    /// Whether a byte of the frame that begins at `start` was written.
    pub(super) fn left(&self, start: u64) -> bool {
        start < self.written
    }

    /// Takes a frame back that nobody began to write. The latest are looked at first: what is
    /// taken back is most often what was just pushed.
    pub(super) fn withdraw(&mut self, id: u64) -> bool {
        let at = self
            .waiting
            .iter()
            .rposition(|waiting| waiting.frame.id() == id);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }
}

/// The library counts from when it reads a call: the time spent here is taken off.
fn bring_up_to_date(next: &mut Outgoing, now: Instant) {
    let Some(deadline) = next.deadline else {
        return;
    };
    if let Frame::Call { deadline_ms, .. } | Frame::Subscribe { deadline_ms, .. } = &mut next.frame
    {
        *deadline_ms = remaining_ms(deadline, now);
    }
}

/// The remaining time as calls carry it: at least one millisecond, for 0 would be none.
fn remaining_ms(deadline: Instant, now: Instant) -> u32 {
    let remaining = deadline
        .saturating_duration_since(now)
        .as_micros()
        .div_ceil(1_000);
    u32::try_from(remaining).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use herder_wire::rpc::{Codec, Decoder, Delivery, MAX_FRAME, Target};

    use super::*;

    fn call(id: u64, size: usize) -> Outgoing {
        let frame = Frame::Call {
            id,
            target: Target {
                object: 0,
                method: 0,
            },
            deadline_ms: 1,
            key: Bytes::new(),
            delivery: Delivery::Answered,
            codec: Codec::Json,
            args: Bytes::from(vec![7; size]),
        };
        frame.into()
    }

    fn take_all(batch: &mut Batch) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !batch.is_empty() {
            let next = batch.next().len().min(1_000);
            bytes.extend_from_slice(&batch.next()[..next]);
            batch.advance(next);
        }
        bytes
    }

    #[test]
    fn frames_of_any_size_leave_in_order_and_whole() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        let sizes = [10, 20, 100_000, 0, 65_536, 65_535, 30, 1_000_000];
        for (id, size) in (1..).zip(sizes) {
            outbox.push(call(id, size));
        }
        let (mut batch, mut bytes, mut starts) = (Batch::default(), Vec::new(), Vec::new());
        while !outbox.is_idle() {
            outbox.take(&mut batch, now, |id, start| starts.push((id, start)));
            let written = take_all(&mut batch);
            outbox.wrote(written.len());
            bytes.extend(written);
        }
        let mut decoder = Decoder::new(MAX_FRAME);
        decoder.push(&bytes);
        for (at, size) in sizes.iter().enumerate() {
            let frame = decoder.next().unwrap().unwrap();
            assert_eq!((frame.id(), frame.body().len()), (at as u64 + 1, *size));
        }
        assert_eq!(decoder.next(), Ok(None));
        assert!(starts.is_sorted() && starts.len() == sizes.len());
    }

    #[test]
    fn of_a_cut_batch_it_is_known_which_frames_left() {
        let (mut outbox, mut batch, mut starts) = (Outbox::default(), Batch::default(), Vec::new());
        (1..=4).for_each(|id| outbox.push(call(id, 100)));
        outbox.take(&mut batch, Instant::now(), |_, start| starts.push(start));
        let length = usize::try_from(starts[1]).unwrap();
        outbox.wrote(2 * length + 1);
        let left: Vec<_> = starts.into_iter().map(|start| outbox.left(start)).collect();
        assert_eq!(left, [true, true, true, false]);
        assert!(!outbox.is_idle());
    }

    #[test]
    fn what_nobody_began_to_write_can_be_taken_back() {
        let (mut outbox, mut batch) = (Outbox::default(), Batch::default());
        (1..=3).for_each(|id| outbox.push(call(id, 10)));
        assert!(outbox.withdraw(2));
        let mut ids = Vec::new();
        outbox.take(&mut batch, Instant::now(), |id, _| ids.push(id));
        assert_eq!(ids, [1, 3]);
        assert!(!outbox.withdraw(1), "it is being written");
    }

    #[test]
    fn the_time_spent_waiting_is_taken_off() {
        let now = Instant::now();
        let told = |waited: u64| {
            let (mut outbox, mut batch) = (Outbox::default(), Batch::default());
            let deadline = Some(now + Duration::from_millis(1_000));
            outbox.push(Outgoing {
                deadline,
                ..call(1, 8)
            });
            outbox.take(&mut batch, now + Duration::from_millis(waited), |_, _| ());
            let mut decoder = Decoder::new(MAX_FRAME);
            decoder.push(batch.next());
            let frame = decoder.next().unwrap();
            let Some(Frame::Call { deadline_ms, .. }) = frame else {
                panic!("a call")
            };
            deadline_ms
        };
        assert_eq!(told(0), 1_000);
        assert_eq!(told(400), 600);
        assert_eq!(told(5_000), 1, "0 would mean no time was given");
    }

    #[test]
    fn one_way_calls_give_their_bytes_back_when_they_are_taken() {
        let mut outbox = Outbox::default();
        outbox.push(Outgoing {
            release: 40,
            ..call(1, 40)
        });
        outbox.push(call(2, 5));
        outbox.push(Outgoing {
            release: 2,
            ..call(3, 2)
        });
        assert_eq!(
            outbox.take(&mut Batch::default(), Instant::now(), |_, _| ()),
            42
        );
    }
}
