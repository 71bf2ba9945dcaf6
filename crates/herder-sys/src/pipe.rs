//! Pipes: for what programs print, and for bytes on their way from one socket to another.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, SpliceFlags};

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

/// How many bytes wait to be read.
///
/// # Errors
///
/// None for pipes and sockets.
pub fn waiting(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let bytes = rustix::io::ioctl_fionread(fd)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Moves up to `length` bytes from a pipe to the place `at` of a file, within the kernel; never waits
/// for the pipe (but for the file, as a write does). Gives how many were moved; 0 = every writer has
/// closed.
///
/// # Errors
///
/// `WouldBlock` when nothing waits; `EINVAL` when the one is no pipe, or the other is open for
/// appending; what a write to the file answers, `ENOSPC` for instance: then nothing was moved.
pub fn splice_to_file(
    pipe: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    at: u64,
    length: usize,
) -> io::Result<usize> {
    // The kernel refuses a place and a length that exceed its offsets together.
    const MOST: usize = 1 << 30;
    let length = length.min(MOST);
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(retry_on_intr(|| {
        let mut place = at;
        rustix::pipe::splice(pipe, None, file, Some(&mut place), length, flags)
    })?)
}

/// Moves up to `length` bytes from a socket or a pipe into a pipe, or from a pipe into a socket, within the
/// kernel; from pipe to pipe nothing is copied. Never waits for a pipe, and not for a socket that is
/// non-blocking. Gives how many were moved; 0 = who writes has written its last. Whoever calls this has `SIGPIPE`
/// [ignored](crate::signal::ignore_sigpipe).
///
/// # Errors
///
/// `WouldBlock` when nothing waits or there is no room; `EINVAL` when neither is a pipe, or the
/// socket is of a kind that cannot; what a read of or a write to the socket answers.
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let moved = retry_on_intr(|| rustix::pipe::splice(from, None, to, None, length, flags))?;
    Ok(moved)
}

/// Lets a pipe hold `size` bytes (rounded up by the kernel).
///
/// # Errors
///
/// `EPERM` beyond the limits of the user (`/proc/sys/fs/pipe-*`), `EBADF` when it is no pipe.
pub fn enlarge(pipe: BorrowedFd<'_>, size: usize) -> io::Result<()> {
    rustix::pipe::fcntl_setpipe_size(pipe, size)?;
    Ok(())
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

    #[test]
    fn bytes_move_from_socket_to_socket_until_the_last() {
        use std::io::{Read, Write};
        use std::os::unix::net::UnixStream;
        let (mut client, from) = UnixStream::pair().unwrap();
        let (to, mut server) = UnixStream::pair().unwrap();
        from.set_nonblocking(true).unwrap();
        let (reader, writer) = pipe().unwrap();
        let nothing = splice(from.as_fd(), writer.as_fd(), 100).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"some bytes").unwrap();
        assert_eq!(splice(from.as_fd(), writer.as_fd(), 100).unwrap(), 10);
        assert_eq!(splice(reader.as_fd(), to.as_fd(), 4).unwrap(), 4);
        assert_eq!(splice(reader.as_fd(), to.as_fd(), 100).unwrap(), 6);
        let mut bytes = [0; 10];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"some bytes");
        drop(client);
        assert_eq!(splice(from.as_fd(), writer.as_fd(), 100).unwrap(), 0);
    }

    #[test]
    fn bytes_move_from_a_pipe_into_a_file() {
        use std::fs::File;
        use std::os::unix::fs::FileExt;
        let path = std::env::temp_dir().join(format!("herder-splice-{}", std::process::id()));
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true);
        let file = file.open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (reader, writer) = pipe().unwrap();
        enlarge(reader.as_fd(), 256 * 1024).unwrap();
        let nothing = splice_to_file(reader.as_fd(), file.as_fd(), 0, 100).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        rustix::io::write(&writer, &[b'x'; 100_000]).unwrap();
        assert_eq!(waiting(reader.as_fd()).unwrap(), 100_000);
        let mut moved = 0;
        while moved < 100_000 {
            let at = 3 + moved as u64;
            moved += splice_to_file(reader.as_fd(), file.as_fd(), at, usize::MAX >> 1).unwrap();
        }
        assert_eq!(file.metadata().unwrap().len(), 100_003);
        let mut end = [0; 2];
        file.read_exact_at(&mut end, 100_001).unwrap();
        assert_eq!(&end, b"xx");
        drop(writer);
        let end = splice_to_file(reader.as_fd(), file.as_fd(), 0, 100).unwrap();
        assert_eq!(end, 0);
    }
}
