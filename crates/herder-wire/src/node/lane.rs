//! What travels over a Node worker's *lane*: a channel beside Node's own, for connections alone. The
//! module that herder loads before the program reads it; 16 bytes each, little endian.
//!
//! Master to worker, a [`Delivery`] with exactly one descriptor:
//!
//! ```text
//! offset 0  u64  seq        the number that the receipt names
//!        8  u32  key        of the listener that the connection came in by
//!       12  u8   zero, three times
//!       15  u8   1          so that who reads can tell a record from a buffer that was cleared
//! ```
//!
//! or a [`Duplicate`], with one descriptor, too: the same with 0 for `seq` and a 2 at the end. It has no receipt.
//!
//! Worker to master, a [`Receipt`]:
//!
//! ```text
//! offset 0  u64  seq        0 in a greeting
//!        8  u32  count      how many are taken; in a greeting how many duplicates of each listener of its
//!                           own are welcome; 0 elsewhere
//!       12  u8   zero, three times
//!       15  u8   kind       1 hello, 2 taken, 3 refused
//! ```
//!
//! A worker reads into a buffer of one record. So each of its readings is full, and libuv goes on
//! reading at once; it returns to its poll only when there is nothing more. The worker answers then,
//! for all that came, in one writing.

/// Length of each record, in bytes.
pub const LANE_RECORD: usize = 16;

/// Numbers above this one are not whole in JavaScript.
const MAX_SEQ: u64 = (1 << 53) - 1;

/// More than so many duplicates of a listener nobody asks for.
const MAX_DUPLICATES: u32 = 64;

const DELIVERED: u8 = 1;
const DUPLICATE: u8 = 2;
const HELLO: u8 = 1;
const TAKEN: u8 = 2;
const REFUSED: u8 = 3;

/// One connection for a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// The number that its receipt will name. Numbers only grow.
    pub seq: u64,
    /// The listener that it came in by.
    pub key: u32,
}

/// A further descriptor of a listener that the worker has for itself. libuv accepts one connection in each turn of
/// its event loop from each descriptor: with several it takes as many of those that wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Duplicate {
    /// The listener.
    pub key: u32,
}

/// What a worker says of its connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Receipt {
    /// It takes connections here.
    Hello {
        /// How many [duplicates](Duplicate) of each listener of its own are welcome.
        duplicates: u32,
    },
    /// It has taken so many connections, and `seq` is the last of them. All numbers before it that
    /// were not refused are taken.
    Taken {
        /// Number of the last one.
        seq: u64,
        /// How many, since it last said so.
        count: u32,
    },
    /// It does not take this one.
    Refused {
        /// Number of the connection.
        seq: u64,
    },
}

/// Why bytes are not a receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptError {
    /// The count does not belong to the kind: something is taken, or nothing is, or too much is asked for.
    #[error("a receipt of kind {kind} counts {count}")]
    BadCount {
        /// Number of the kind.
        kind: u8,
        /// The count.
        count: u32,
    },
    /// No connection has this number.
    #[error("a receipt of kind {kind} names {seq}")]
    BadNumber {
        /// Number of the kind.
        kind: u8,
        /// The number.
        seq: u64,
    },
    /// Reserved bytes are not zero, or the kind is unknown.
    #[error("a receipt ends with {last:#010x}")]
    UnknownKind {
        /// Its last four bytes as a number.
        last: u32,
    },
}

impl Delivery {
    /// This record on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LANE_RECORD] {
        record(self.seq, self.key, DELIVERED)
    }
}

impl Duplicate {
    /// This record on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LANE_RECORD] {
        record(0, self.key, DUPLICATE)
    }
}

impl Receipt {
    /// This record on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LANE_RECORD] {
        match self {
            Receipt::Hello { duplicates } => record(0, duplicates, HELLO),
            Receipt::Taken { seq, count } => record(seq, count, TAKEN),
            Receipt::Refused { seq } => record(seq, 0, REFUSED),
        }
    }

    /// Reads one record.
    ///
    /// # Errors
    ///
    /// Any [`ReceiptError`].
    pub fn from_bytes(bytes: &[u8; LANE_RECORD]) -> Result<Receipt, ReceiptError> {
        let [
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            c0,
            c1,
            c2,
            c3,
            z0,
            z1,
            z2,
            kind,
        ] = *bytes;
        let seq = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        if [z0, z1, z2] != [0; 3] || !(HELLO..=REFUSED).contains(&kind) {
            let last = u32::from_le_bytes([z0, z1, z2, kind]);
            return Err(ReceiptError::UnknownKind { last });
        }
        let is_counted = match kind {
            HELLO => count <= MAX_DUPLICATES,
            TAKEN => count > 0,
            _ => count == 0,
        };
        if !is_counted {
            return Err(ReceiptError::BadCount { kind, count });
        }
        if (kind == HELLO) != (seq == 0) || seq > MAX_SEQ {
            return Err(ReceiptError::BadNumber { kind, seq });
        }
        Ok(match kind {
            HELLO => Receipt::Hello { duplicates: count },
            TAKEN => Receipt::Taken { seq, count },
            _ => Receipt::Refused { seq },
        })
    }
}

fn record(seq: u64, number: u32, kind: u8) -> [u8; LANE_RECORD] {
    let mut bytes = [0; LANE_RECORD];
    bytes[0..8].copy_from_slice(&seq.to_le_bytes());
    bytes[8..12].copy_from_slice(&number.to_le_bytes());
    bytes[LANE_RECORD - 1] = kind;
    bytes
}

/// Takes receipts out of a stream, however it is cut.
#[derive(Clone, Debug, Default)]
pub struct ReceiptDecoder {
    bytes: Vec<u8>,
    /// How many of them are read.
    read: usize,
}

impl ReceiptDecoder {
    /// A decoder at the beginning of a record.
    #[must_use]
    pub fn new() -> ReceiptDecoder {
        ReceiptDecoder::default()
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// What has come of a record that is not whole.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        let rest = &self.bytes[self.read..];
        &rest[rest.len() - rest.len() % LANE_RECORD..]
    }

    /// The next receipt; `None` when more must be read first.
    ///
    /// # Errors
    ///
    /// Any [`ReceiptError`]; what follows is not to be trusted.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would not go on after its end, and this one does when more has come"
    )]
    pub fn next(&mut self) -> Result<Option<Receipt>, ReceiptError> {
        let Some(record) = self.bytes[self.read..].first_chunk() else {
            return Ok(None);
        };
        let receipt = Receipt::from_bytes(record)?;
        self.read += LANE_RECORD;
        Ok(Some(receipt))
    }
}
