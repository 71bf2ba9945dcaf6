//! What a worker may do wrong on its channel.

use std::io;

use herder_wire::node::{LineError, ReceiptError};

/// Why a worker is given up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::dispatch::node) enum Fault {
    #[error("it does not read what it is told")]
    Deaf,
    #[error("it wrote a line that no Node writes: {0}")]
    Line(LineError),
    #[error("one message of its is longer than {0} bytes")]
    Long(usize),
    #[error("it wrote of its connections what no module of ours writes: {0}")]
    Receipt(ReceiptError),
    #[error("its channel failed: {0}")]
    System(io::ErrorKind),
    #[error("it sends descriptors that nobody asked for")]
    Uninvited,
}

impl From<LineError> for Fault {
    fn from(error: LineError) -> Fault {
        match error {
            LineError::TooLong { limit } => Fault::Long(limit),
            LineError::BadField { .. }
            | LineError::Blank
            | LineError::Json(_)
            | LineError::NotUtf8 { .. } => Fault::Line(error),
        }
    }
}
