//! What is deployed.

use std::fmt;

/// A version, good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Ends so many milliseconds after it is ready.
    Dies(u32, u32),
    /// Serves.
    Good(u32),
    /// Never says that it is ready.
    Mute(u32),
    /// Ends while it is loaded.
    Throws(u32),
}

impl fmt::Display for Version {
    /// As the programs read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Dies(number, millis) => write!(f, "{number} dies {millis}"),
            Version::Good(number) => write!(f, "{number}"),
            Version::Mute(number) => write!(f, "{number} mute"),
            Version::Throws(number) => write!(f, "{number} throw"),
        }
    }
}
