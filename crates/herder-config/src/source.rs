//! Where definitions are read from: files that nobody else can have written, and standard input.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use herder_api::problem::{Problem, ProblemKind};

/// How large a file may be, in bytes. (A thousand apps need a tenth.)
pub(crate) const MAX_SIZE: u64 = 4 << 20;

/// A file of definitions.
#[derive(Debug)]
pub(crate) struct Source {
    /// Absolute, as it was named.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Reads a file, if it can be trusted.
pub(crate) fn read(path: &Path) -> Result<Source, Problem> {
    let path = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let failed = |error: io::Error| unreadable(&path, &error);
    // Whatever stands there, opening it neither waits nor rings.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).expect("the flags of Linux fit");
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(flags)
        .open(&path)
        .map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        let message = format!("{} is no file.", path.display());
        return Err(Problem::new(ProblemKind::Invalid, message));
    }
    trust(&path, &found, rustix::process::geteuid().as_raw())?;
    let text = text_of(file, &path)?;
    Ok(Source { path, text })
}

/// Reads all of standard input.
pub(crate) fn read_stdin() -> Result<String, Problem> {
    text_of(io::stdin().lock(), Path::new("standard input"))
}

fn text_of(from: impl Read, path: &Path) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > MAX_SIZE {
        let message = format!(
            "{} is larger than 4 MiB: that is no definition of apps.",
            path.display()
        );
        return Err(Problem::new(ProblemKind::Invalid, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("{} is no text (UTF-8).", path.display());
        Problem::new(ProblemKind::Invalid, message).place(format!("{}:{line}", path.display()))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let (kind, what) = if error.kind() == io::ErrorKind::NotFound {
        (ProblemKind::NotFound, "there is no such file".to_owned())
    } else {
        (ProblemKind::Invalid, error.to_string())
    };
    Problem::new(kind, format!("{} cannot be read: {what}.", path.display()))
}

/// Who writes such a file says what root runs: nobody else may.
fn trust(path: &Path, file: &Metadata, uid: u32) -> Result<(), Problem> {
    if uid != 0 {
        return Ok(());
    }
    let caller = std::env::var("SUDO_UID")
        .ok()
        .and_then(|uid| uid.parse().ok());
    let refuse = |what: &Path, why: String| {
        let message = format!("{} {why}, and root would run what it says.", what.display());
        let hint = format!("Try: chown root {0} && chmod go-w {0}", what.display());
        Err(Problem::new(ProblemKind::Forbidden, message).hint(hint))
    };
    if let Some(why) = distrust(file, caller) {
        return refuse(path, why);
    }
    // Both the directory that names it and the one that has it.
    let real = path
        .canonicalize()
        .map_err(|error| unreadable(path, &error))?;
    for directory in [path.parent(), real.parent()].into_iter().flatten() {
        let found = directory
            .metadata()
            .map_err(|error| unreadable(directory, &error))?;
        if let Some(why) = distrust(&found, caller) {
            return refuse(directory, why);
        }
    }
    Ok(())
}

/// Why root should not trust what this is about.
fn distrust(found: &Metadata, caller: Option<u32>) -> Option<String> {
    let (mode, uid, gid) = (found.mode(), found.uid(), found.gid());
    if uid != 0 && Some(uid) != caller {
        return Some(format!("belongs to user {uid}"));
    }
    // A group of the number of its user is that user's own.
    let by_group = mode & 0o020 != 0 && gid != 0 && gid != uid;
    let by_others = mode & 0o002 != 0;
    (by_group || by_others).then(|| "can be written by others".to_owned())
}
