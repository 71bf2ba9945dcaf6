//! What is served.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A version, and what is wrong with it.
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) misdeed: Misdeed,
}

pub(crate) enum Misdeed {
    Dies(Duration),
    Mute,
    Nothing,
    Throw,
}

impl Version {
    /// Reads the file.
    pub(crate) fn of(path: &Path) -> io::Result<Version> {
        let text = fs::read_to_string(path)?;
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or("0").to_owned();
        let misdeed = match words.next() {
            None => Misdeed::Nothing,
            Some("dies") => {
                let millis = words.next().and_then(|number| number.parse().ok());
                Misdeed::Dies(Duration::from_millis(millis.unwrap_or(0)))
            }
            Some("mute") => Misdeed::Mute,
            Some("throw") => Misdeed::Throw,
            Some(other) => return Err(io::Error::other(format!("{other:?} is no misdeed"))),
        };
        Ok(Version { name, misdeed })
    }
}
