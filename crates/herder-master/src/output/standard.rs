//! This process's own stdout and stderr.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use herder_sys::epoll::{Epoll, Events, Interest};

use super::record::VerdictFile;
use crate::estate::Marks;

/// Whether somebody looks at it who can be fooled by control characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Terminal {
    No,
    Yes,
}

/// A place to write to.
pub(super) struct Target {
    /// For messages: `stdout` or `stderr`.
    pub(super) name: &'static str,
    pub(super) terminal: Terminal,
    pub(super) writer: Box<dyn Write + Send>,
}

/// The places to write to.
pub(super) struct Targets {
    pub(super) stdout: Target,
    pub(super) stderr: Target,
    /// Where verdicts are found.
    pub(super) verdicts: Option<VerdictFile>,
    /// The file for events, beside stderr.
    pub(super) events: Option<Target>,
    /// Where it is marked which verdicts were told.
    pub(super) marks: Option<Marks>,
}

impl Targets {
    /// The real ones.
    ///
    /// # Errors
    ///
    /// When no descriptor is left to duplicate them.
    pub(super) fn standard() -> io::Result<Targets> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        Ok(Targets {
            stdout: Target::duplicate("stdout", stdout.is_terminal(), stdout.as_fd())?,
            stderr: Target::duplicate("stderr", stderr.is_terminal(), stderr.as_fd())?,
            verdicts: None,
            events: None,
            marks: None,
        })
    }
}

impl Target {
    /// Writes to a duplicate, past the lock of the standard library: a narrator that is stuck must
    /// not hold up whoever else prints in this process.
    fn duplicate(name: &'static str, terminal: bool, fd: BorrowedFd<'_>) -> io::Result<Target> {
        let file = File::from(fd.try_clone_to_owned()?);
        let terminal = if terminal {
            Terminal::Yes
        } else {
            Terminal::No
        };
        Ok(Target {
            name,
            terminal,
            writer: Box::new(Patient { file }),
        })
    }
}

/// Writes and waits, even when the descriptor is non-blocking: the flag belongs to everybody who
/// shares it (the shell, other programs on the terminal), so it is neither ours to clear nor a
/// reason to lose a line.
struct Patient {
    file: File,
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    until_writable(self.file.as_fd())?;
                }
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn until_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let epoll = Epoll::new()?;
    epoll.add(fd, 0, Interest::WRITABLE)?;
    epoll.wait(&mut Events::with_capacity(1), None)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    #[test]
    fn a_non_blocking_stdout_loses_nothing() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let mut target = Target::duplicate("stdout", false, writer.as_fd()).unwrap();
        drop(writer);
        let bytes = vec![b'x'; 4 * 1024 * 1024];
        let expected = bytes.len();
        let writing = thread::spawn(move || target.writer.write_all(&bytes));
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(got.len(), expected);
    }
}
