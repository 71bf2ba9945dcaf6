//! What is to be written to a client, and was not yet.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Pieces of this size and more are not copied to be written together with others.
const COPIED: usize = 16 * 1024;

/// A batch of copied pieces is not made longer than this.
const BATCH: usize = 64 * 1024;

/// How many chunks one call writes.
const SLICES: usize = 16;

/// What is to be written. It holds no memory when it is empty.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Chunk>,
    batch: BytesMut,
    waiting: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    cut: Cut,
}

/// Whether what follows a chunk can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    After,
    Within,
}

impl Outbox {
    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds one whole unit (a frame, a line): a head, a body and a tail.
    pub(super) fn push(&mut self, head: &[u8], body: Bytes, tail: &[u8]) {
        let length = head.len() + body.len() + tail.len();
        self.waiting += length;
        if self.batch.len() + head.len() > BATCH {
            self.seal(Cut::After);
        }
        self.batch.extend_from_slice(head);
        if body.len() < COPIED {
            self.batch.extend_from_slice(&body);
            self.batch.extend_from_slice(tail);
            return;
        }
        self.seal(Cut::Within);
        let cut = match tail {
            [] => Cut::After,
            _ => Cut::Within,
        };
        self.chunks.push_back(Chunk { bytes: body, cut });
        self.batch.extend_from_slice(tail);
        self.seal(Cut::After);
    }

    /// What to write next.
    pub(super) fn slices(&mut self) -> ([IoSlice<'_>; SLICES], usize) {
        // While much is ahead, the batch may as well grow: many small chunks cost more than they hold.
        if self.chunks.len() < 2 {
            self.seal(Cut::After);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = self.chunks.len().min(SLICES);
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(&chunk.bytes);
        }
        (slices, used)
    }

    /// So many bytes of the slices were written.
    pub(super) fn advance(&mut self, written: usize) {
        self.waiting -= written;
        let mut left = written;
        while let Some(chunk) = self.chunks.front_mut() {
            if left < chunk.bytes.len() {
                chunk.bytes.advance(left);
                return;
            }
            left -= chunk.bytes.len();
            self.chunks.pop_front();
        }
        // An empty one of many places would stay with a client that is idle.
        self.chunks = VecDeque::new();
    }

    /// Leaves out what need not be written to end between two units.
    pub(super) fn discard(&mut self) {
        self.seal(Cut::After);
        let end = self.chunks.iter().position(|chunk| chunk.cut == Cut::After);
        self.chunks.truncate(end.map_or(0, |end| end + 1));
        self.waiting = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    }

    fn seal(&mut self, cut: Cut) {
        if !self.batch.is_empty() {
            let bytes = std::mem::take(&mut self.batch).freeze();
            self.chunks.push_back(Chunk { bytes, cut });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(outbox: &mut Outbox) -> Vec<u8> {
        let (slices, used) = outbox.slices();
        slices[..used]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn small_units_are_one_chunk_and_large_ones_are_not_copied() {
        let mut outbox = Outbox::default();
        outbox.push(b"<", Bytes::from_static(b"a"), b">");
        outbox.push(b"<", Bytes::from_static(b"b"), b">");
        let large = Bytes::from(vec![b'c'; COPIED]);
        outbox.push(b"<", large.clone(), b"");
        let (slices, used) = outbox.slices();
        assert_eq!((used, &*slices[0]), (2, &b"<a><b><"[..]));
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        assert_eq!(outbox.len(), 7 + COPIED);
    }

    #[test]
    fn what_was_written_in_part_goes_on_where_it_stopped() {
        let mut outbox = Outbox::default();
        outbox.push(b"", Bytes::from(vec![b'x'; COPIED]), b"\n");
        outbox.push(b"", Bytes::from_static(b"tail"), b"\n");
        outbox.slices();
        outbox.advance(COPIED - 1);
        assert_eq!(next(&mut outbox), b"x\n");
        outbox.advance(1);
        assert_eq!(next(&mut outbox), b"\ntail\n");
        outbox.advance(2);
        assert_eq!(next(&mut outbox), b"ail\n");
        outbox.advance(4);
        assert!(outbox.is_empty());
        assert_eq!(outbox.chunks.capacity(), 0);
    }

    #[test]
    fn what_is_discarded_ends_between_two_units() {
        let mut outbox = Outbox::default();
        outbox.push(b"head", Bytes::from(vec![b'x'; COPIED]), b"tail");
        outbox.slices();
        outbox.advance(2);
        outbox.push(b"", Bytes::from(vec![b'y'; COPIED]), b"left out");
        outbox.push(b"", Bytes::from_static(b"left out"), b"");
        outbox.discard();
        assert_eq!(outbox.len(), 2 + COPIED + 4);
        assert!(next(&mut outbox).ends_with(b"xtail"));
    }

    #[test]
    fn small_units_for_a_slow_client_are_few_chunks() {
        let mut outbox = Outbox::default();
        for _ in 0..100_000 {
            outbox.push(b"<", Bytes::from_static(b"a"), b">");
            outbox.slices();
        }
        assert!(outbox.chunks.len() < 10, "{}", outbox.chunks.len());
    }

    #[test]
    fn nothing_is_left_of_nothing() {
        let mut outbox = Outbox::default();
        outbox.discard();
        assert!(outbox.is_empty());
        assert_eq!(outbox.slices().1, 0);
    }
}
