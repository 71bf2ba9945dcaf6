//! Locks on whole files, which belong to an open file: every duplicate shares them, closing the last
//! one releases them, and changing one into the other is atomic. Whoever does not ask is not held up.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Nobody else has any. The file has to be open for writing.
    Alone,
    /// Nobody else is alone. The file has to be open for reading.
    Shared,
}

/// Takes a lock, or changes the one that is held, if that is possible at once. Otherwise what was held
/// is still held.
///
/// # Errors
///
/// `WouldBlock` when another open file has a lock that is in the way; `EBADF` when the file is not open
/// for what the lock needs.
pub fn lock(file: BorrowedFd<'_>, lock: Lock) -> io::Result<()> {
    let kind = match lock {
        Lock::Alone => libc::F_WRLCK,
        Lock::Shared => libc::F_RDLCK,
    };
    // A length of zero: the file, however long it becomes.
    let mut whole = libc::flock {
        l_type: i16::try_from(kind).expect("it is a small number"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("it is zero"),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    loop {
        // SAFETY: the descriptor is borrowed, and `whole` is a valid description of a lock.
        let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut whole) };
        if answer == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EACCES) => return Err(io::ErrorKind::WouldBlock.into()),
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn who_is_alone_keeps_others_out_and_a_failed_change_keeps_what_was() {
        let path = std::env::temp_dir().join(format!("herder-lock-{}", std::process::id()));
        let open = || {
            let mut options = File::options();
            let options = options.read(true).append(true).create(true);
            options.open(&path).unwrap()
        };
        let (one, other) = (open(), open());
        std::fs::remove_file(&path).unwrap();
        let kind = |result: io::Result<()>| result.map_err(|error| error.kind());
        let busy = Err(io::ErrorKind::WouldBlock);
        assert_eq!(kind(lock(one.as_fd(), Lock::Shared)), Ok(()));
        assert_eq!(kind(lock(one.as_fd(), Lock::Alone)), Ok(()));
        assert_eq!(kind(lock(other.as_fd(), Lock::Shared)), busy);
        assert_eq!(kind(lock(one.as_fd(), Lock::Shared)), Ok(()));
        assert_eq!(kind(lock(other.as_fd(), Lock::Shared)), Ok(()));
        assert_eq!(kind(lock(one.as_fd(), Lock::Alone)), busy);
        assert_eq!(
            kind(lock(other.as_fd(), Lock::Alone)),
            busy,
            "the one that failed still has its share"
        );
        drop(one);
        assert_eq!(kind(lock(other.as_fd(), Lock::Alone)), Ok(()));
    }
}
