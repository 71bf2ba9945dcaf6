//! Descriptors as such: duplicates, flags, and a reserve of free places for them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::retry_on_intr;

use crate::env::require_single_thread;

/// Whether calls on a descriptor wait.
///
/// The flag belongs to the open file, not to the descriptor: everyone who holds a duplicate, in
/// whatever process, sees the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// Calls return `WouldBlock` instead of waiting.
    No,
    /// Calls wait.
    Yes,
}

/// A second descriptor for the same open file, close-on-exec.
///
/// # Errors
///
/// `EMFILE` when the process has no descriptor left.
pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // Not below 3, so that a closed standard stream is never filled by accident.
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

/// Like [`duplicate`], but numbered `first` or higher: out of the way of fixed places.
///
/// # Errors
///
/// `EMFILE` when the process has no descriptor left, `EINVAL` when `first` is beyond its limit.
pub fn duplicate_above(fd: BorrowedFd<'_>, first: RawFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, first)?)
}

/// A duplicate of a descriptor that this process was executed with, close-on-exec.
///
/// The original stays where it is: [`crate::apply::cloexec_from`] keeps it from programs that are executed
/// later.
///
/// # Errors
///
/// `EBADF` when there is none of that number; or the process has more than one thread.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    require_single_thread("look at what it has inherited")?;
    if number < 3 {
        return Err(io::Error::from(rustix::io::Errno::BADF));
    }
    // SAFETY: it is borrowed for one call, during which nobody can close it, as there is no other
    // thread; of a number that is not open the kernel says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    duplicate(borrowed)
}

/// Sets whether calls on this open file wait, for every holder of it.
///
/// # Errors
///
/// What `fcntl` answers; in practice none for a valid descriptor.
pub fn set_blocking(fd: BorrowedFd<'_>, blocking: Blocking) -> io::Result<()> {
    let before = rustix::fs::fcntl_getfl(fd)?;
    let after = match blocking {
        Blocking::No => before | OFlags::NONBLOCK,
        Blocking::Yes => before - OFlags::NONBLOCK,
    };
    if after != before {
        rustix::fs::fcntl_setfl(fd, after)?;
    }
    Ok(())
}

/// Whether a short line (up to 4096 bytes) can be written without waiting.
#[must_use]
pub fn has_room(fd: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // It can fail for lack of memory only.
    retry_on_intr(|| poll(&mut asked, Some(&at_once))).is_ok()
        && asked[0].revents().contains(PollFlags::OUT)
}

/// Whether both are the same file: for sockets, the same socket.
///
/// # Errors
///
/// None for valid descriptors.
pub fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// The number of the file within its file system: of sockets, no two that are open at a time have the same.
///
/// # Errors
///
/// None for valid descriptors.
pub fn file_number(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(fd)?.st_ino)
}

/// `/dev/null`, open for reading and writing.
///
/// # Errors
///
/// What `open` answers: `EMFILE`, or `ENOENT` in a root without `/dev`.
pub fn null() -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).open("/dev/null")?;
    Ok(file.into())
}

/// How many descriptors this process has open, not counting the one used to look.
///
/// # Errors
///
/// What reading `/proc/self/fd` answers.
pub fn open_count() -> io::Result<usize> {
    let mut count = 0_usize;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        entry?;
        count += 1;
    }
    Ok(count.saturating_sub(1))
}

/// Spare descriptors: places that are free when they are needed.
///
/// A message with descriptors that arrives when the process has none left loses them for good.
/// So a receiver keeps as many spares as a message may carry, releases them just before it
/// receives and refills them after. The places are those of the process, so between release and
/// receive another thread can still take one; single-threaded receivers are safe.
#[derive(Debug)]
pub struct Reserve {
    /// What the spares are duplicates of: it needs no path, so refilling works in any root.
    original: OwnedFd,
    spares: Vec<OwnedFd>,
    size: usize,
}

impl Reserve {
    /// A full reserve of `size` descriptors (it uses one more for itself).
    ///
    /// # Errors
    ///
    /// `EMFILE` when there is not room for all of them.
    pub fn new(size: usize) -> io::Result<Self> {
        let original = rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?;
        let spares = Vec::with_capacity(size);
        let mut reserve = Self {
            original,
            spares,
            size,
        };
        while reserve.spares.len() < size {
            reserve.spares.push(duplicate(reserve.original.as_fd())?);
        }
        Ok(reserve)
    }

    /// Closes the spares: now there is room for as many descriptors.
    pub fn release(&mut self) {
        self.spares.clear();
    }

    /// Closes so many of the spares, or all that there are: as [`release`](Reserve::release), for a message of
    /// which it is known how many descriptors it carries. Each spare costs two system calls.
    pub fn release_some(&mut self, count: usize) {
        let left = self.spares.len().saturating_sub(count);
        self.spares.truncate(left);
    }

    /// Takes the places back. Returns how many are missing: not zero means that the process is at
    /// its limit and should close something before it receives again.
    pub fn refill(&mut self) -> usize {
        while self.spares.len() < self.size {
            match duplicate(self.original.as_fd()) {
                Ok(spare) => self.spares.push(spare),
                Err(_) => break,
            }
        }
        self.size - self.spares.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_close_on_exec_and_above_the_standard_streams() {
        use std::os::fd::AsRawFd;
        let copy = duplicate(null().unwrap().as_fd()).unwrap();
        assert!(copy.as_raw_fd() >= 3);
        let flags = rustix::io::fcntl_getfd(&copy).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn the_blocking_flag_is_seen_through_a_duplicate() {
        let (one, _other) = rustix::pipe::pipe().unwrap();
        let copy = duplicate(one.as_fd()).unwrap();
        set_blocking(one.as_fd(), Blocking::No).unwrap();
        assert!(
            rustix::fs::fcntl_getfl(&copy)
                .unwrap()
                .contains(OFlags::NONBLOCK)
        );
        set_blocking(copy.as_fd(), Blocking::Yes).unwrap();
        assert!(
            !rustix::fs::fcntl_getfl(&one)
                .unwrap()
                .contains(OFlags::NONBLOCK)
        );
    }

    #[test]
    fn a_full_pipe_has_no_room() {
        let (_reader, writer) = rustix::pipe::pipe().unwrap();
        assert!(has_room(writer.as_fd()));
        set_blocking(writer.as_fd(), Blocking::No).unwrap();
        while rustix::io::write(&writer, &[0; 4096]).is_ok() {}
        assert!(!has_room(writer.as_fd()));
    }

    #[test]
    fn a_duplicate_is_the_same_file_and_another_socket_is_not() {
        let (one, other) = crate::socket::stream_pair().unwrap();
        let copy = duplicate(one.as_fd()).unwrap();
        assert!(is_same_file(one.as_fd(), copy.as_fd()).unwrap());
        assert!(!is_same_file(one.as_fd(), other.as_fd()).unwrap());
    }

    #[test]
    fn null_swallows_and_gives_nothing() {
        let null = null().unwrap();
        assert_eq!(rustix::io::write(&null, b"gone").unwrap(), 4);
        assert_eq!(rustix::io::read(&null, &mut [0_u8; 4]).unwrap(), 0);
    }
}
