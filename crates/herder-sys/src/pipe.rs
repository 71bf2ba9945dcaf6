//! Pipes, for what programs print.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::pipe::PipeFlags;

/// A pipe: first the end to read, then the end to write. Both wait; the two ends are two open
/// files, so the reader can be made non-blocking without the writer noticing.
///
/// # Errors
///
/// `EMFILE` or `ENFILE`.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// Reads what is there, at most as much as `buf` holds; 0 = every writer has closed.
///
/// # Errors
///
/// `WouldBlock` when the descriptor is non-blocking and there is nothing.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::read(fd, &mut *buf))?)
}

/// The longest text that goes into a pipe as a whole or not at all, whoever else writes.
pub const ATOMIC: usize = libc::PIPE_BUF;

/// Writes as much as there is room for; up to [`ATOMIC`] bytes all or nothing. Whoever calls this has
/// `SIGPIPE` [ignored](crate::signal::ignore_sigpipe).
///
/// # Errors
///
/// `WouldBlock` when the descriptor is non-blocking and there is no room, `BrokenPipe` when nobody can read
/// any more.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::write(fd, bytes))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd::{Blocking, set_blocking};
    use std::os::fd::AsFd;

    #[test]
    fn a_short_text_goes_as_a_whole_or_not_at_all() {
        let (reader, writer) = pipe().unwrap();
        set_blocking(writer.as_fd(), Blocking::No).unwrap();
        let text = vec![b'x'; ATOMIC - 1];
        let full = loop {
            match write(writer.as_fd(), &text) {
                Ok(count) => assert_eq!(count, text.len()),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        drop(reader);
        // The test's own process may not ignore it.
        crate::signal::ignore_sigpipe().unwrap();
        let gone = write(writer.as_fd(), &text).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_written_is_read_then_nothing_then_the_end() {
        let (reader, writer) = pipe().unwrap();
        set_blocking(reader.as_fd(), Blocking::No).unwrap();
        let mut buf = [0_u8; 8];
        rustix::io::write(&writer, b"line\n").unwrap();
        assert_eq!(read(reader.as_fd(), &mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"line\n");
        let nothing = read(reader.as_fd(), &mut buf).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut buf).unwrap(), 0);
    }
}
