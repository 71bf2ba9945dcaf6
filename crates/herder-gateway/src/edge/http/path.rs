//! From the path of a request to the path of a file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What a request's path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A path that makes no sense.
    Bad,
    /// This, beneath the page's directory.
    File(PathBuf),
    /// Something that is not shown to anybody.
    Hidden,
}

/// Decodes the path of a request. A path that ends with a slash names the `index.html` there.
///
/// Names that begin with a dot are hidden, but `.well-known`: a directory that is served may be a
/// checkout, and holds what nobody meant to publish.
pub(super) fn named(path: &str) -> Named {
    let Some(mut bytes) = decode(path.as_bytes()) else {
        return Named::Bad;
    };
    if bytes.contains(&0) {
        return Named::Bad;
    }
    if bytes.last().is_none_or(|last| *last == b'/') {
        bytes.extend_from_slice(b"index.html");
    }
    let hidden = |name: &[u8]| name.starts_with(b".") && name != b".well-known";
    let names = bytes.split(|byte| *byte == b'/');
    if names.clone().any(hidden) {
        return Named::Hidden;
    }
    // Slashes that lead, or that stand beside each other, are one.
    let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    Named::File(OsString::from_vec(names.join(&b'/')).into())
}

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                decoded.push(digit(*high)? << 4 | digit(*low)?);
                tail
            }
            (b'%', _) => return None,
            (byte, tail) => {
                decoded.push(*byte);
                tail
            }
        };
    }
    Some(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Named {
        Named::File(path.into())
    }

    #[test]
    fn paths_are_decoded_once_and_slashes_end_at_an_index() {
        assert_eq!(named("/"), file("index.html"));
        assert_eq!(named(""), file("index.html"));
        assert_eq!(named("/a%20b/%E4%BD%A0.js"), file("a b/你.js"));
        assert_eq!(named("/sub/"), file("sub/index.html"));
        assert_eq!(named("//a//b"), file("a/b"));
        assert_eq!(named("/a%2fb"), file("a/b"));
        assert_eq!(named("/%2541"), file("%41"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["/%", "/%4", "/%zz", "/%+1", "/a%00.html"] {
            assert_eq!(named(bad), Named::Bad, "{bad}");
        }
    }

    #[test]
    fn names_with_a_dot_are_hidden() {
        for hidden in [
            "/..",
            "/../etc/passwd",
            "/a/%2e%2e/b",
            "/.git/config",
            "/.",
            "/a/.b/",
        ] {
            assert_eq!(named(hidden), Named::Hidden, "{hidden}");
        }
        assert_eq!(named("/.well-known/x"), file(".well-known/x"));
    }
}
