//! Locks: of the daemon, and of each herd. A lock is held by an open file, so that it is held exactly
//! while somebody who has it lives, however they end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use crate::home;

/// The daemon's, in the home.
pub(crate) const DAEMON: &str = "daemon.lock";

/// The longest word in a lock file.
const WORD: usize = 32;

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is held now, by this descriptor and its duplicates.
    Ours(OwnedFd),
    /// Somebody else holds it: the file, open.
    Held(OwnedFd),
}

/// What stands in the daemon's lock file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// The guard's pid. (Nobody is ever signalled by it.)
    Guard(i32),
    /// The daemon was told to end, and has.
    Ended,
    /// The daemon is to be started from the build that is installed.
    Upgrade,
}

/// The lock file of a herd.
pub(crate) fn of_herd(name: &str) -> String {
    format!("{name}.lock")
}

/// Takes a lock, if nobody has it. Makes the file if it is missing, and changes nothing else.
pub(crate) fn take(directory: BorrowedFd<'_>, name: &str) -> io::Result<Taken> {
    let file = home::open_file(directory, name, OFlags::RDWR | OFlags::CREATE)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Taken::Ours(file)),
        Err(Errno::WOULDBLOCK) => Ok(Taken::Held(file)),
        Err(error) => Err(error.into()),
    }
}

/// Writes the daemon's lock file.
pub(crate) fn mark(file: &OwnedFd, mark: Mark) -> io::Result<()> {
    let text = match mark {
        Mark::Guard(pid) => format!("{pid}\n"),
        Mark::Ended => "ended\n".to_owned(),
        Mark::Upgrade => "upgrade\n".to_owned(),
    };
    rustix::fs::ftruncate(file, 0)?;
    rustix::io::pwrite(file, text.as_bytes(), 0)?;
    Ok(())
}

/// Reads the daemon's lock file. None = nothing stands there yet.
pub(crate) fn read(file: &OwnedFd) -> io::Result<Option<Mark>> {
    let mut word = [0; WORD];
    let length = rustix::io::pread(file.as_fd(), &mut word, 0)?;
    let word = String::from_utf8_lossy(&word[..length]);
    Ok(match word.trim() {
        "ended" => Some(Mark::Ended),
        "upgrade" => Some(Mark::Upgrade),
        pid => pid.parse().ok().map(Mark::Guard),
    })
}
