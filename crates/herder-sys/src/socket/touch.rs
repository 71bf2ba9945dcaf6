//! Whether a connection can be given to somebody else without anybody noticing.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::options::length_of;
use super::unread_bytes;

/// What a server has done with a connection, whichever process it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It has read from it, written to it, or ended it; or the connection has failed.
    Touched,
    /// The kernel does not tell: it is no TCP connection.
    Untold,
    /// Nothing: what the client has sent lies there, and nothing was answered.
    Untouched,
}

/// Asks the kernel what was done with a connection. Looking without taking (`MSG_PEEK`) does not
/// count.
///
/// # Errors
///
/// `ENOTSOCK`, and `EINVAL` for a listener.
pub fn touch(connection: BorrowedFd<'_>) -> io::Result<Touch> {
    // Bytes that arrive between two questions would look as if they had been read, or hide others
    // that were.
    let mut unread = unread_bytes(connection)?;
    for _ in 0..ATTEMPTS {
        let Some(account) = Account::of(connection)? else {
            return Ok(Touch::Untold);
        };
        let before = std::mem::replace(&mut unread, unread_bytes(connection)?);
        if before == unread {
            return Ok(account.judge(unread));
        }
    }
    Ok(Touch::Touched)
}

/// What the kernel has counted of a connection.
struct Account {
    state: u8,
    /// Bytes, and one more for the end if the client has ended.
    received: u64,
    sent: u64,
    /// Written, and still in the kernel.
    unsent: u32,
}

impl Account {
    /// `None` when there is none: it is no TCP connection, or the kernel is from before 4.19.
    fn of(connection: BorrowedFd<'_>) -> io::Result<Option<Account>> {
        let mut info = [0_u64; TCP_INFO_WORDS];
        let mut length = length_of::<[u64; TCP_INFO_WORDS]>();
        let whole = length;
        // SAFETY: the pointer and the length describe `info`, which outlives the call.
        let result = unsafe {
            libc::getsockopt(
                connection.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            let error = io::Error::last_os_error();
            return match Errno::from_io_error(&error) {
                Some(Errno::OPNOTSUPP | Errno::NOPROTOOPT) => Ok(None),
                Some(_) | None => Err(error),
            };
        }
        if length < whole {
            return Ok(None);
        }
        let [state, ..] = info[TCPI_STATE].to_ne_bytes();
        let [a, b, c, d, ..] = info[TCPI_NOTSENT_BYTES].to_ne_bytes();
        Ok(Some(Account {
            state,
            received: info[TCPI_BYTES_RECEIVED],
            sent: info[TCPI_BYTES_SENT],
            unsent: u32::from_ne_bytes([a, b, c, d]),
        }))
    }

    fn judge(&self, unread: usize) -> Touch {
        let end = match self.state {
            ESTABLISHED => 0,
            CLOSE_WAIT => 1,
            // Our side has ended it, or it has failed.
            _ => return Touch::Touched,
        };
        let untouched = self.received == unread as u64 + end && self.sent == 0 && self.unsent == 0;
        if untouched {
            Touch::Untouched
        } else {
            Touch::Touched
        }
    }
}

/// A client that sends at each look is being served.
const ATTEMPTS: usize = 4;

/// `struct tcp_info` up to and including `tcpi_bytes_sent`, in words of eight bytes, and where in it
/// the fields begin that are read here.
const TCP_INFO_WORDS: usize = 26;
const TCPI_STATE: usize = 0;
const TCPI_BYTES_RECEIVED: usize = 16;
const TCPI_NOTSENT_BYTES: usize = 18;
const TCPI_BYTES_SENT: usize = 25;

/// States of a TCP connection, of those in `include/net/tcp_states.h`.
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A client, and the server's end of its connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn touch_of(server: &TcpStream) -> Touch {
        touch(server.as_fd()).unwrap()
    }

    /// Waits until what the client has sent is there, without taking it.
    fn wait_for_bytes(server: &TcpStream) {
        assert!(server.peek(&mut [0; 64]).is_ok());
    }

    #[test]
    fn what_waits_is_untouched_also_when_the_client_has_ended() {
        let (mut client, server) = pair();
        assert_eq!(touch_of(&server), Touch::Untouched);
        client.write_all(b"hello").unwrap();
        wait_for_bytes(&server);
        assert_eq!(touch_of(&server), Touch::Untouched);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(touch_of(&server), Touch::Untouched);
        let (client, server) = pair();
        drop(client);
        wait_for_bytes(&server);
        assert_eq!(touch_of(&server), Touch::Untouched);
    }

    #[test]
    fn one_byte_read_or_written_is_a_touch() {
        let (mut client, mut server) = pair();
        client.write_all(b"hello").unwrap();
        wait_for_bytes(&server);
        server.read_exact(&mut [0]).unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
        let (_client, mut server) = pair();
        server.write_all(b"h").unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
    }

    #[test]
    fn what_has_ended_is_touched() {
        let (_client, server) = pair();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
    }

    #[test]
    fn of_a_unix_socket_nothing_is_told() {
        let (_client, server) = UnixStream::pair().unwrap();
        assert_eq!(touch(server.as_fd()).unwrap(), Touch::Untold);
    }
}
