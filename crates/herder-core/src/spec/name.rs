use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const MAX_LEN: usize = 64;

/// The name of an app: 1 to 64 of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`.
///
/// It appears in paths, titles and log lines, so it can hold nothing that means something there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// Why a text is not a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{given:?} is not an app name: use 1 to 64 of A-Z a-z 0-9 . _ - (not \".\" or \"..\")")]
pub struct NameError {
    given: String,
}

impl AppName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<AppName, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = (1..=MAX_LEN).contains(&text.len())
            && text.bytes().all(allowed)
            && text != "."
            && text != "..";
        if valid {
            Ok(AppName(text.to_owned()))
        } else {
            Err(NameError {
                given: text.to_owned(),
            })
        }
    }
}

impl TryFrom<String> for AppName {
    type Error = NameError;

    fn try_from(text: String) -> Result<AppName, NameError> {
        text.parse()
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> String {
        name.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r54_names_hold_nothing_that_means_something_in_a_path_or_a_terminal() {
        for good in ["a", "web", "api.v2", "a_b-c", &"x".repeat(64)] {
            assert!(good.parse::<AppName>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a b",
            "a\n",
            "a\0",
            "\u{1b}[2J",
            "é",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<AppName>().is_err(), "{bad:?}");
        }
    }
}
