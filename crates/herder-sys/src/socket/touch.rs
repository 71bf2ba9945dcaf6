//! Whether a connection can be given to somebody else without anybody noticing.

use std::io;
use std::os::fd::BorrowedFd;

use super::tcp_info::{CLOSE_WAIT, ESTABLISHED, TcpInfo, Traffic};
use super::unread_bytes;

/// What a server has done with a connection, whichever process it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It has read from it, written to it, or ended it; or the connection has failed.
    Touched,
    /// The kernel does not tell: it is no TCP connection, or the kernel is from before 4.19.
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
        let Some(info) = TcpInfo::if_tcp(connection)? else {
            return Ok(Touch::Untold);
        };
        let Some(traffic) = info.traffic() else {
            return Ok(Touch::Untold);
        };
        let before = std::mem::replace(&mut unread, unread_bytes(connection)?);
        if before == unread {
            return Ok(judge(info.state(), traffic, unread));
        }
    }
    Ok(Touch::Touched)
}

/// What is known of a connection in this state, over which this has gone.
fn judge(state: u8, traffic: Traffic, unread: usize) -> Touch {
    let end = match state {
        ESTABLISHED => 0,
        CLOSE_WAIT => 1,
        // Our side has ended it, or it has failed.
        _ => return Touch::Touched,
    };
    let untouched = Traffic {
        received: unread as u64 + end,
        sent: 0,
        unsent: 0,
    };
    if traffic == untouched {
        Touch::Untouched
    } else {
        Touch::Touched
    }
}

/// A client that sends at each look is being served.
const ATTEMPTS: usize = 4;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::super::scene::tcp_pair;
    use super::*;

    fn touch_of(server: &TcpStream) -> Touch {
        touch(server.as_fd()).unwrap()
    }

    /// Waits until what the client has sent is there, without taking it.
    fn wait_for_bytes(server: &TcpStream) {
        assert!(server.peek(&mut [0; 64]).is_ok());
    }

    #[test]
    fn what_waits_is_untouched_also_when_the_client_has_ended() {
        let (mut client, server) = tcp_pair();
        assert_eq!(touch_of(&server), Touch::Untouched);
        client.write_all(b"hello").unwrap();
        wait_for_bytes(&server);
        assert_eq!(touch_of(&server), Touch::Untouched);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(touch_of(&server), Touch::Untouched);
        let (client, server) = tcp_pair();
        drop(client);
        wait_for_bytes(&server);
        assert_eq!(touch_of(&server), Touch::Untouched);
    }

    #[test]
    fn one_byte_read_or_written_is_a_touch() {
        let (mut client, mut server) = tcp_pair();
        client.write_all(b"hello").unwrap();
        wait_for_bytes(&server);
        server.read_exact(&mut [0]).unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
        let (_client, mut server) = tcp_pair();
        server.write_all(b"h").unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
    }

    #[test]
    fn what_has_ended_is_touched() {
        let (_client, server) = tcp_pair();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(touch_of(&server), Touch::Touched);
    }

    #[test]
    fn of_a_unix_socket_nothing_is_told() {
        let (_client, server) = UnixStream::pair().unwrap();
        assert_eq!(touch(server.as_fd()).unwrap(), Touch::Untold);
    }
}
