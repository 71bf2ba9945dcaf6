//! What travels over a worker's `conns` channel: one record for each connection, 16 bytes, little
//! endian.
//!
//! ```text
//! offset 0  u16  kind       1 connection, 2 probe
//!        2  u16  listener   index of the listener that it came in by
//!        4  u32  reserved, zero
//!        8  u64  conn       the connection's number, unique within the application
//! ```
//!
//! A message is one to [`MAX_BATCH`] whole records. A connection record travels with exactly one
//! descriptor, a probe with none. Records have a fixed size so that the master can tell from the
//! number of unread bytes alone how many connections a worker has not received.

/// The most records in one message, and so the most descriptors that a worker must have room for.
pub const MAX_BATCH: usize = 4;

/// The longest message in bytes.
pub const MAX_MESSAGE: usize = MAX_BATCH * Record::SIZE;

/// What a record announces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordKind {
    /// A connection; its descriptor is in the same message.
    Connection,
    /// Nothing: it tells the sender that the channel is read.
    Probe,
}

/// One record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// What it announces.
    pub kind: RecordKind,
    /// Index of the listener that the connection came in by.
    pub listener: u16,
    /// Number of the connection.
    pub conn: u64,
}

/// Why bytes are not a message of records.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// The message is empty, longer than [`MAX_MESSAGE`], or not a multiple of [`Record::SIZE`].
    #[error(
        "message of {length} bytes is not 1 to {MAX_BATCH} records of {} bytes",
        Record::SIZE
    )]
    BadLength {
        /// Length of the message in bytes.
        length: usize,
    },
    /// Reserved bytes are not zero.
    #[error("reserved bytes of a record are {reserved:#010x}")]
    Reserved {
        /// The reserved bytes as a number.
        reserved: u32,
    },
    /// The kind is unknown.
    #[error("record kind {kind} is unknown")]
    UnknownKind {
        /// Number of the kind.
        kind: u16,
    },
}

impl Record {
    /// Length of one record in bytes.
    pub const SIZE: usize = 16;

    /// The record of connection number `conn` that came in by `listener`.
    #[must_use]
    pub fn connection(listener: u16, conn: u64) -> Self {
        Record {
            kind: RecordKind::Connection,
            listener,
            conn,
        }
    }

    /// This record on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let kind: u16 = match self.kind {
            RecordKind::Connection => 1,
            RecordKind::Probe => 2,
        };
        let mut bytes = [0; Self::SIZE];
        bytes[0..2].copy_from_slice(&kind.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.listener.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.conn.to_le_bytes());
        bytes
    }

    /// Reads one record.
    ///
    /// # Errors
    ///
    /// [`RecordError::UnknownKind`] and [`RecordError::Reserved`].
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Result<Record, RecordError> {
        let [k0, k1, l0, l1, r0, r1, r2, r3, conn @ ..] = *bytes;
        let kind = match u16::from_le_bytes([k0, k1]) {
            1 => RecordKind::Connection,
            2 => RecordKind::Probe,
            kind => return Err(RecordError::UnknownKind { kind }),
        };
        let reserved = u32::from_le_bytes([r0, r1, r2, r3]);
        if reserved != 0 {
            return Err(RecordError::Reserved { reserved });
        }
        let listener = u16::from_le_bytes([l0, l1]);
        Ok(Record {
            kind,
            listener,
            conn: u64::from_le_bytes(conn),
        })
    }

    /// Reads a whole message.
    ///
    /// # Errors
    ///
    /// Any [`RecordError`]; then none of its records counts.
    pub fn parse_all(message: &[u8]) -> Result<Batch, RecordError> {
        let (chunks, rest) = message.as_chunks::<{ Record::SIZE }>();
        if chunks.is_empty() || chunks.len() > MAX_BATCH || !rest.is_empty() {
            return Err(RecordError::BadLength {
                length: message.len(),
            });
        }
        let mut records = [Record {
            kind: RecordKind::Probe,
            listener: 0,
            conn: 0,
        }; MAX_BATCH];
        for (record, chunk) in records.iter_mut().zip(chunks) {
            *record = Record::from_bytes(chunk)?;
        }
        Ok(Batch {
            records,
            length: chunks.len(),
        })
    }
}

/// The records of one message, in order; one to [`MAX_BATCH`] of them, held without the heap.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Batch {
    records: [Record; MAX_BATCH],
    length: usize,
}

impl Batch {
    /// The records.
    #[must_use]
    pub fn as_slice(&self) -> &[Record] {
        &self.records[..self.length]
    }

    /// How many descriptors must have come with the message.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.as_slice()
            .iter()
            .filter(|record| record.kind == RecordKind::Connection)
            .count()
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl IntoIterator for Batch {
    type Item = Record;
    type IntoIter = std::iter::Take<std::array::IntoIter<Record, MAX_BATCH>>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter().take(self.length)
    }
}
