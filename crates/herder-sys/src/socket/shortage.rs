//! What a connection takes, and that there may be none left of it.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// What this process or this machine has run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Descriptors.
    Descriptors,
    /// Memory of the kernel.
    Memory,
    /// Ports to connect from.
    Ports,
}

/// What is missing, when that is why a TCP connection could not be made: then nothing is wrong with whom it
/// was to be made to. (A Unix socket whose queue is full answers `EAGAIN`, too.)
#[must_use]
pub fn shortage(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        Errno::NOBUFS | Errno::NOMEM => Some(Shortage::Memory),
        Errno::ADDRNOTAVAIL | Errno::AGAIN => Some(Shortage::Ports),
        _ => None,
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shortage::Descriptors => "descriptor",
            Shortage::Memory => "memory",
            Shortage::Ports => "port",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_here_is_not_the_fault_of_who_is_there() {
        let of = |errno: Errno| shortage(&errno.into());
        assert_eq!(of(Errno::MFILE), Some(Shortage::Descriptors));
        assert_eq!(of(Errno::ADDRNOTAVAIL), Some(Shortage::Ports));
        assert_eq!(of(Errno::NOBUFS), Some(Shortage::Memory));
        for theirs in [
            Errno::CONNREFUSED,
            Errno::TIMEDOUT,
            Errno::CONNRESET,
            Errno::NOENT,
        ] {
            assert_eq!(of(theirs), None, "{theirs}");
        }
        assert_eq!(shortage(&io::ErrorKind::TimedOut.into()), None);
    }
}
