//! The names of log files: those of each worker, and those that were put away.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use jiff::Timestamp;

/// `2026-11-21T10-00-00Z`: no colons, which other systems do not take.
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";

const GZ: &[u8] = b".gz";

/// A file that was put away: when, and the how manieth of that second.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PutAway {
    pub(crate) stamp: Vec<u8>,
    pub(crate) number: u32,
}

/// Whether the content is compressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Packing {
    Plain,
    Gzip,
}

/// How a moment stands in the name of a file that is put away then.
pub(crate) fn stamp(now: Timestamp) -> String {
    now.strftime(STAMP).to_string()
}

/// The name of `base` after it was put away. Number 0 is not written.
pub(crate) fn put_away(base: &OsStr, stamp: &str, number: u32) -> OsString {
    let mut name = base.to_owned();
    name.push(".");
    name.push(stamp);
    if number > 0 {
        name.push(format!("-{number}"));
    }
    name
}

pub(crate) fn compressed(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(".gz");
    name
}

/// What a name says, when it is one of a file that was put away: the file it was, and when.
pub(crate) fn parse(name: &OsStr) -> Option<(OsString, PutAway, Packing)> {
    let bytes = name.as_bytes();
    let (bytes, packing) = match bytes.strip_suffix(GZ) {
        Some(rest) => (rest, Packing::Gzip),
        None => (bytes, Packing::Plain),
    };
    let dot = memchr::memrchr(b'.', bytes)?;
    let (base, suffix) = (&bytes[..dot], &bytes[dot + 1..]);
    let (stamp, rest) = suffix.split_at_checked(20)?;
    if base.is_empty() || !is_stamp(stamp) {
        return None;
    }
    let number = match rest {
        [] => 0,
        [b'-', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    let when = PutAway {
        stamp: stamp.to_vec(),
        number,
    };
    Some((OsString::from_vec(base.to_vec()), when, packing))
}

fn is_stamp(bytes: &[u8]) -> bool {
    let like = b"0000-00-00T00-00-00Z";
    bytes.len() == like.len()
        && bytes.iter().zip(like).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            _ => byte == like,
        })
}

/// Whose a file is, when each process of a herd has its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    Slot(u16),
    /// `gateway`, or `library-NAME`.
    Part(String),
}

/// The name of the file of one process: `-SLOT` stands before the extension.
pub(crate) fn of_owner(base: &OsStr, owner: &Owner) -> OsString {
    let (stem, extension) = split(base);
    let mut name = stem.to_owned();
    match owner {
        Owner::Slot(slot) => name.push(format!("-{slot}")),
        Owner::Part(part) => name.push(format!("-{part}")),
    }
    if let Some(extension) = extension {
        name.push(".");
        name.push(extension);
    }
    name
}

/// Whose file `name` is, if it is one of those that `base` stands for.
pub(crate) fn owner(base: &OsStr, name: &OsStr) -> Option<Owner> {
    let (stem, extension) = split(base);
    let rest = name.as_bytes().strip_prefix(stem.as_bytes())?;
    let rest = rest.strip_prefix(b"-")?;
    let rest = match extension {
        None => rest,
        Some(extension) => {
            let rest = rest.strip_suffix(extension.as_bytes())?;
            rest.strip_suffix(b".")?
        }
    };
    let text = std::str::from_utf8(rest).ok()?;
    if text == "gateway" || text.starts_with("library-") {
        return Some(Owner::Part(text.to_owned()));
    }
    // As we write it: without a sign and without zeros before it.
    let slot: u16 = text.parse().ok()?;
    (slot.to_string() == text).then_some(Owner::Slot(slot))
}

fn split(base: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let path = Path::new(base);
    (path.file_stem().unwrap_or(base), path.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        let base = OsStr::new("web-out.log");
        let now: Timestamp = "2026-11-21T10:00:00.5Z".parse().unwrap();
        let stamp = stamp(now);
        for (number, expected) in [
            (0, "web-out.log.2026-11-21T10-00-00Z"),
            (12, "web-out.log.2026-11-21T10-00-00Z-12"),
        ] {
            let name = put_away(base, &stamp, number);
            assert_eq!(name, expected);
            let when = PutAway {
                stamp: stamp.clone().into_bytes(),
                number,
            };
            let back = parse(&name).unwrap();
            assert_eq!(back, (base.to_owned(), when.clone(), Packing::Plain));
            let back = parse(&compressed(&name)).unwrap();
            assert_eq!(back, (base.to_owned(), when, Packing::Gzip));
        }
        for other in [
            "web-out.log",
            "web-out.log.gz",
            "web-out.log.1",
            "web-out.log.2026-11-21T10-00-00Z-",
            "web-out.log.2026-11-21T10-00-00Zx",
            "web-out.log.2026-11-21T10-00-00Z.gz.unfinished",
            ".2026-11-21T10-00-00Z",
        ] {
            assert_eq!(parse(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn of_one_second_the_tenth_comes_after_the_second() {
        let when = |name: &str| parse(OsStr::new(name)).unwrap().1;
        let second = when("a.2026-11-21T10-00-00Z-2");
        assert!(second < when("a.2026-11-21T10-00-00Z-10.gz"));
        assert!(second > when("a.2026-11-21T10-00-00Z"));
        assert!(second < when("a.2026-11-21T10-00-01Z"));
    }

    #[test]
    fn each_worker_has_its_file() {
        for (base, owner_, expected) in [
            ("web-out.log", Owner::Slot(3), "web-out-3.log"),
            ("web", Owner::Slot(0), "web-0"),
            ("w.log", Owner::Part("gateway".into()), "w-gateway.log"),
            (
                "w.log",
                Owner::Part("library-db".into()),
                "w-library-db.log",
            ),
        ] {
            let base = OsStr::new(base);
            let name = of_owner(base, &owner_);
            assert_eq!(name, expected);
            assert_eq!(owner(base, &name), Some(owner_));
        }
        for other in [
            "web-out-03.log",
            "web-out--1.log",
            "web-out.log",
            "web-out-x.log",
        ] {
            let base = OsStr::new("web-out.log");
            assert_eq!(owner(base, OsStr::new(other)), None, "{other}");
        }
    }
}
