//! Bytes of a connection, by calls that the standard library does not have.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

/// Writes what the end of the connection follows at once, without waiting: the kernel keeps it until then, so
/// that both go in one packet. Returns how many bytes went; if not all did, nothing is kept.
///
/// Bytes that no end follows are sent after 200 ms.
///
/// # Errors
///
/// - `WouldBlock`: the other side has not received enough.
/// - `BrokenPipe`, `ConnectionReset`: the other side has ended.
pub fn send_before_end(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::MORE;
    let sent = match slices {
        [bytes] => retry_on_intr(|| rustix::net::send(socket, bytes, flags)),
        _ => retry_on_intr(|| {
            rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)
        }),
    };
    Ok(sent?)
}

/// Reads what there is, without waiting; nothing at the end.
///
/// # Errors
///
/// - `WouldBlock`: there is nothing yet.
/// - `ConnectionReset`: the other side has broken the connection.
pub fn receive_some<'a>(
    socket: BorrowedFd<'_>,
    space: &'a mut [MaybeUninit<u8>],
) -> io::Result<&'a [u8]> {
    // What does not wait is not interrupted.
    let ((came, _), _) = rustix::net::recv(socket, space, RecvFlags::DONTWAIT)?;
    Ok(came)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::fd::AsFd;

    use super::super::scene::tcp_pair;
    use super::super::tcp_info::TcpInfo;
    use super::*;

    /// How many packets came.
    fn packets(socket: &TcpStream) -> u32 {
        TcpInfo::of(socket.as_fd()).unwrap().packets()
    }

    /// What a client got that was said good-bye to, and in how many packets.
    fn heard(farewell: impl FnOnce(TcpStream)) -> (String, u32) {
        let (mut client, server) = tcp_pair();
        let before = packets(&client);
        farewell(server);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        (text, packets(&client) - before)
    }

    #[test]
    fn what_is_sent_before_the_end_goes_with_it() {
        let apart = heard(|mut server| server.write_all(b"good bye").unwrap());
        assert_eq!(apart, ("good bye".to_owned(), 2));
        let together = heard(|server| {
            let slices = [
                IoSlice::new(b"good "),
                IoSlice::new(b""),
                IoSlice::new(b"bye"),
            ];
            assert_eq!(send_before_end(server.as_fd(), &slices).unwrap(), 8);
        });
        assert_eq!(together, ("good bye".to_owned(), 1));
        let together = heard(|server| {
            let slices = [IoSlice::new(b"good bye")];
            assert_eq!(send_before_end(server.as_fd(), &slices).unwrap(), 8);
        });
        assert_eq!(together, ("good bye".to_owned(), 1));
    }

    #[test]
    fn what_does_not_fit_is_not_waited_for() {
        let (mut client, server) = tcp_pair();
        let many = vec![0; 64 * 1024 * 1024];
        let sent = send_before_end(server.as_fd(), &[IoSlice::new(&many)]).unwrap();
        assert!(0 < sent && sent < many.len(), "{sent}");
        let full = send_before_end(server.as_fd(), &[IoSlice::new(&many)]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        // All of it goes, although nothing follows.
        client.read_exact(&mut vec![0; sent]).unwrap();
    }

    #[test]
    fn nothing_that_has_not_come_is_waited_for() {
        let (mut client, server) = tcp_pair();
        let mut space = [MaybeUninit::uninit(); 4];
        let nothing = receive_some(server.as_fd(), &mut space).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"hello").unwrap();
        server.peek(&mut [0]).unwrap();
        assert_eq!(receive_some(server.as_fd(), &mut space).unwrap(), b"hell");
        assert_eq!(receive_some(server.as_fd(), &mut space).unwrap(), b"o");
        drop(client);
        server.peek(&mut [0]).unwrap();
        assert_eq!(receive_some(server.as_fd(), &mut space).unwrap(), b"");
    }
}
