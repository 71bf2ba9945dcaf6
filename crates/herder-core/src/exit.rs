use std::fmt;

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The kernel ended it for want of memory (a SIGKILL that the shell could attribute).
    OutOfMemory,
    /// It is gone, and nobody could tell how.
    Unknown,
}

impl Exit {
    /// The status it returned, if it returned one.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Exit::Code(code) => Some(*code),
            Exit::OutOfMemory | Exit::Signal(_) | Exit::Unknown => None,
        }
    }

    /// The number of the signal that ended it, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self {
            Exit::OutOfMemory => Some(SIGKILL),
            Exit::Signal(signal) => Some(*signal),
            Exit::Code(_) | Exit::Unknown => None,
        }
    }
}

/// What the kernel sends to a process that it has no memory for; the same number everywhere.
const SIGKILL: i32 = 9;

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
            Exit::OutOfMemory => f.write_str("out of memory"),
            Exit::Unknown => f.write_str("unknown exit"),
        }
    }
}
