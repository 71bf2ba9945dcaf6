//! What goes into a namespace, and what comes out.

use std::time::Duration;

use bytes::Bytes;
use herder_core::Tick;

/// A value with its revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Versioned {
    /// The value.
    pub value: Bytes,
    /// Greater with every change in the namespace; a revision is never used twice.
    pub revision: u64,
    /// How long it lives on; `None` = until it is deleted.
    pub ttl: Option<Duration>,
}

/// A value to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Put {
    /// The value.
    pub value: Bytes,
    /// How long it lives; `None` = until it is deleted.
    pub ttl: Option<Duration>,
    /// When it is written at all.
    pub condition: Condition,
}

/// When a value is written or deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Condition {
    /// When there is none.
    Absent,
    /// In any case.
    #[default]
    Always,
    /// When the present one has this revision.
    Revision(u64),
}

/// A part of a scan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// Keys in order, with their values.
    pub entries: Vec<(String, Versioned)>,
    /// The key after which the next page begins; `None` = this was the last.
    pub next: Option<String>,
}

/// What became of a key. `at` is by the clock that never goes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// It has this value.
    Put {
        key: String,
        value: Bytes,
        revision: u64,
        /// When it expires.
        expires: Option<Tick>,
    },
    /// It has no value any more.
    Removed { key: String, revision: u64 },
    /// A lease was given, prolonged or given back. Tokens up to this one were used.
    Leased {
        name: String,
        /// Who has it until when; `None` = nobody.
        holder: Option<(super::lease::Holder, Tick)>,
        last_token: u64,
    },
}

/// Why something was not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The present revision is another; 0 = there is no value.
    #[error("the value has revision {present}, not the one asked for")]
    Conflict {
        /// The present revision.
        present: u64,
    },
    /// The namespace is full.
    #[error("the namespace is full: its values have {bytes} bytes, and {limit} are allowed")]
    Full {
        /// What it holds, in bytes.
        bytes: usize,
        /// What it may hold.
        limit: usize,
    },
    /// The key is empty or too long.
    #[error("a key has 1 to {} bytes, not {length}", super::MAX_KEY)]
    Key {
        /// Its length in bytes.
        length: usize,
    },
    /// The value is too long.
    #[error("a value has at most {} bytes, not {length}", super::MAX_VALUE)]
    Value {
        /// Its length in bytes.
        length: usize,
    },
    /// The value is no whole number, or would not fit into 64 bits.
    #[error("the value is no number that can be counted up: {0}")]
    NotANumber(&'static str),
    /// A length of time, or a count, is zero.
    #[error("{0} must be greater than zero")]
    Zero(&'static str),
    /// The lease is another's now, or nobody's.
    #[error("the lease is not held with token {token}")]
    NotHeld {
        /// The token that was shown.
        token: u64,
    },
}

/// Whether a text is a key.
pub(crate) fn check_key(key: &str) -> Result<(), Refusal> {
    let length = key.len();
    if (1..=super::MAX_KEY).contains(&length) {
        Ok(())
    } else {
        Err(Refusal::Key { length })
    }
}

/// Whether a time is one at all.
pub(crate) fn check_ttl(ttl: Duration) -> Result<(), Refusal> {
    if ttl.is_zero() {
        return Err(Refusal::Zero("the time"));
    }
    Ok(())
}
