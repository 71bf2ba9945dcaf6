//! The last lines of a log of events that mean something.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use rustix::fs::OFlags;

/// A line that is longer is no event of ours; the rest of it is read over.
const MAX_LINE: u64 = 1 << 20;

/// The last `most` things that `means` finds in the lines of this file and of those that were put away
/// beside it, the newest last. A file that is not there has none.
pub(super) fn last<T>(
    path: &Path,
    most: usize,
    mut means: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut newest_first = vec![path.to_owned()];
    newest_first.extend(put_away(path)?);
    let mut found = VecDeque::new();
    for path in newest_first {
        let missing = most - found.len();
        if missing == 0 {
            break;
        }
        let file = match open(&path) {
            Ok(file) => BufReader::with_capacity(64 << 10, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let before = if path.extension().is_some_and(|extension| extension == "gz") {
            scan(
                BufReader::new(MultiGzDecoder::new(file)),
                missing,
                &mut means,
            )
        } else {
            scan(file, missing, &mut means)
        }?;
        for one in before.into_iter().rev() {
            found.push_front(one);
        }
    }
    Ok(found.into())
}

/// The last so many of one file.
fn scan<T>(
    mut file: impl BufRead,
    most: usize,
    means: &mut impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<VecDeque<T>> {
    let mut found = VecDeque::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return Ok(found),
            Ok(_) => {}
            // Cut short while it was compressed, or damaged: what could be read counts.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::InvalidData
                ) =>
            {
                return Ok(found);
            }
            Err(error) => return Err(error),
        }
        if let Some(one) = means(line.trim_ascii_end()) {
            if found.len() == most {
                found.pop_front();
            }
            found.push_back(one);
        }
    }
}

/// What was put away of a file, the newest first: the time stands behind its name.
fn put_away(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        if time.is_some_and(|time| time.starts_with(|first: char| first.is_ascii_digit())) {
            found.push(directory.join(name));
        }
    }
    found.sort_unstable();
    found.reverse();
    Ok(found)
}

/// A regular file, opened without waiting for anybody and without following a link.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).expect("flags of open are few");
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other(format!(
            "{} is no regular file",
            path.display()
        )))
    }
}
