use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
const MAX_LEN: usize = 32;

/// The name of a library: 1 to 32 of `a-z 0-9 -`.
///
/// It appears in paths, in a variable whose value is a list, and in log lines, so it can hold nothing
/// that means something there. It is copied freely: whoever speaks of a library names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibraryName {
    bytes: [u8; MAX_LEN],
    length: u8,
}

/// Why a text is not the name of a library.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{given:?} is not the name of a library: use 1 to 32 of a-z 0-9 -")]
pub struct LibraryNameError {
    given: String,
}

impl LibraryName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.expect("it was made from a shorter text of ASCII")
    }
}

impl FromStr for LibraryName {
    type Err = LibraryNameError;

    fn from_str(text: &str) -> Result<LibraryName, LibraryNameError> {
        let error = || LibraryNameError {
            given: text.to_owned(),
        };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let length = u8::try_from(text.len()).map_err(|_| error())?;
        let mut bytes = [0; MAX_LEN];
        match bytes.get_mut(..text.len()) {
            Some(room) if length > 0 && text.bytes().all(allowed) => {
                room.copy_from_slice(text.as_bytes());
            }
            _ => return Err(error()),
        }
        Ok(LibraryName { bytes, length })
    }
}

impl fmt::Display for LibraryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LibraryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_has_a_name_that_fits_into_a_path_and_a_list() {
        for good in ["a", "core", "db-2", &"x".repeat(MAX_LEN)] {
            let name: LibraryName = good.parse().expect("a name");
            assert_eq!((name.as_str(), name.to_string()), (good, good.to_owned()));
        }
        let long = "x".repeat(MAX_LEN + 1);
        let longer = "x".repeat(300);
        for bad in [
            "", "A", "a.b", "a_b", "a/b", "a:b", "a=b", "a b", "é", &long, &longer,
        ] {
            let error = bad.parse::<LibraryName>().expect_err("no name").to_string();
            assert!(error.contains("use 1 to 32 of a-z 0-9 -"), "{error}");
        }
    }
}
