//! Where a head ends.

use memchr::memchr;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// In bytes, all of it.
    pub(super) bytes: usize,
    /// Header lines.
    pub(super) lines: usize,
}

/// Why a head is refused before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScanFault {
    /// Others may see two lines where we see one.
    #[error("a line ends with a line feed alone")]
    BareLineFeed,
    #[error("its head is longer than {0} bytes")]
    TooLong(usize),
    #[error("it has more than {0} header lines")]
    TooManyLines(usize),
}

/// A look for the end of a head, which goes on where it stopped when more came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    looked: usize,
    line: usize,
    lines: usize,
}

impl Scan {
    /// The length of the head at the beginning of `bytes`, with the empty line; `None` if there must
    /// come more. The next call has the same bytes, and more.
    pub(super) fn look(
        &mut self,
        bytes: &[u8],
        limits: Limits,
    ) -> Result<Option<usize>, ScanFault> {
        while let Some(found) = memchr(b'\n', &bytes[self.looked..]) {
            let feed = self.looked + found;
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(ScanFault::BareLineFeed);
            }
            let is_empty = feed == self.line + 1;
            self.looked = feed + 1;
            self.line = feed + 1;
            if feed >= limits.bytes {
                return Err(ScanFault::TooLong(limits.bytes));
            }
            if is_empty {
                return Ok(Some(feed + 1));
            }
            self.lines += 1;
            // The first one is no header line.
            if self.lines > limits.lines + 1 {
                return Err(ScanFault::TooManyLines(limits.lines));
            }
        }
        self.looked = bytes.len();
        if bytes.len() >= limits.bytes {
            return Err(ScanFault::TooLong(limits.bytes));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 64,
        lines: 3,
    };

    fn look(text: &str) -> Result<Option<usize>, ScanFault> {
        let whole = Scan::default().look(text.as_bytes(), LIMITS);
        let mut scan = Scan::default();
        let mut stepwise = Ok(None);
        for end in 0..=text.len() {
            stepwise = scan.look(&text.as_bytes()[..end], LIMITS);
            if stepwise != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, stepwise, "{text:?}");
        whole
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(look("GET / HTTP/1.1\r\n\r\nrest"), Ok(Some(18)));
        assert_eq!(look("G\r\na: b\r\n\r\n"), Ok(Some(11)));
        assert_eq!(look("G\r\na: b\r\n"), Ok(None));
        assert_eq!(look("G\r\na: b\r\n\r"), Ok(None));
        assert_eq!(look(""), Ok(None));
    }

    #[test]
    fn line_feeds_alone_are_no_line_ends() {
        for text in ["G\n", "\n", "G\r\n\n", "G\r\na: b\n\r\n", "G\r\na: b\r\n\n"] {
            assert_eq!(look(text), Err(ScanFault::BareLineFeed), "{text:?}");
        }
    }

    #[test]
    fn a_head_has_a_size() {
        let lines = "G\r\na:b\r\na:b\r\na:b\r\n\r\n";
        assert_eq!(look(lines), Ok(Some(lines.len())));
        let lines = "G\r\na:b\r\na:b\r\na:b\r\na:b\r\n\r\n";
        assert_eq!(look(lines), Err(ScanFault::TooManyLines(3)));
        let long = "x".repeat(64);
        assert_eq!(look(&long), Err(ScanFault::TooLong(64)));
        assert_eq!(look(&long[1..]), Ok(None));
        let fits = format!("{}\r\n\r\n", &long[4..]);
        assert_eq!(look(&fits), Ok(Some(64)));
        let long = format!("{}\r\n\r\n", &long[3..]);
        assert_eq!(look(&long), Err(ScanFault::TooLong(64)));
    }
}
