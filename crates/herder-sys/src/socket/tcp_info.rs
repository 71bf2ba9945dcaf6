//! What the kernel tells of a TCP socket (`struct tcp_info`), as far as it is read here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::length_of;

/// The account that the kernel keeps of a TCP socket.
pub(crate) struct TcpInfo {
    words: [u64; WORDS],
    /// How much of it this kernel has, in bytes.
    length: libc::socklen_t,
}

/// What has gone over a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Traffic {
    /// Bytes, and one more for the end if the other side has ended.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Written, and still in the kernel.
    pub(crate) unsent: u32,
}

impl TcpInfo {
    /// Asks for it.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` or `ENOPROTOOPT` for a socket that is not TCP's, `ENOTSOCK`.
    pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<TcpInfo> {
        let mut words = [0; WORDS];
        let mut length = length_of::<[u64; WORDS]>();
        // SAFETY: the pointer and the length describe `words`, which outlives the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                words.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 {
            Ok(TcpInfo { words, length })
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// As [`of`](TcpInfo::of); `None` for a socket that is not TCP's.
    ///
    /// # Errors
    ///
    /// `ENOTSOCK`.
    pub(crate) fn if_tcp(socket: BorrowedFd<'_>) -> io::Result<Option<TcpInfo>> {
        match TcpInfo::of(socket) {
            Ok(info) => Ok(Some(info)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::OPNOTSUPP | Errno::NOPROTOOPT) => Ok(None),
                Some(_) | None => Err(error),
            },
        }
    }

    /// One of those in `include/net/tcp_states.h`.
    pub(crate) fn state(&self) -> u8 {
        let [state, ..] = self.words[STATE].to_ne_bytes();
        state
    }

    /// Of a listener: how many connections wait to be accepted.
    pub(crate) fn waiting(&self) -> u32 {
        self.first_half(UNACKED)
    }

    /// Of a connection; `None` when the kernel is from before 4.19.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        let is_whole = self.length >= length_of::<[u64; WORDS]>();
        is_whole.then(|| Traffic {
            received: self.words[BYTES_RECEIVED],
            sent: self.words[BYTES_SENT],
            unsent: self.first_half(NOTSENT_BYTES),
        })
    }

    /// Of a connection: how many packets came.
    #[cfg(test)]
    pub(super) fn packets(&self) -> u32 {
        let [.., a, b, c, d] = self.words[SEGS].to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }

    fn first_half(&self, word: usize) -> u32 {
        let [a, b, c, d, ..] = self.words[word].to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }
}

/// States of a TCP socket.
pub(crate) const ESTABLISHED: u8 = 1;
pub(crate) const CLOSE_WAIT: u8 = 8;
pub(crate) const LISTEN: u8 = 10;

/// The structure up to and including `tcpi_bytes_sent`, in words of eight bytes, and in which of them the
/// fields are that are read here.
const WORDS: usize = 26;
const STATE: usize = 0;
const UNACKED: usize = 3;
const BYTES_RECEIVED: usize = 16;
/// `tcpi_segs_out` and `tcpi_segs_in`.
#[cfg(test)]
const SEGS: usize = 17;
const NOTSENT_BYTES: usize = 18;
const BYTES_SENT: usize = 25;
