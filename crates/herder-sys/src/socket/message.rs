//! Messages with descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The most descriptors that the kernel carries in one message (`SCM_MAX_FD`).
pub const MAX_FDS_PER_MESSAGE: usize = 253;

/// Whether to wait for a message when there is none. It is said per call because the flag of the
/// descriptor is shared with whoever holds a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Wait, unless the descriptor itself is non-blocking.
    Block,
    /// Answer `WouldBlock` at once.
    DontWait,
}

/// What [`receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Received {
    /// Bytes put into the buffer; 0 = the other side has ended.
    pub len: usize,
    /// The message was longer than the buffer; the rest of it is gone.
    pub data_truncated: bool,
    /// The message carried more descriptors than arrived: there was no room for them in the call
    /// or in the process. The lost ones are closed.
    pub descriptors_lost: bool,
}

/// Sends one message without waiting and without `SIGPIPE`. Returns how many bytes went: all on a
/// message socket, perhaps fewer on a stream, where the descriptors go with the first byte.
///
/// # Errors
///
/// - `WouldBlock`: the other side has not received enough.
/// - `BrokenPipe`, `ConnectionReset`: the other side has ended.
/// - [too many on the way](is_too_many_refs): descriptors sent by this user that no one received.
/// - `PermissionDenied`: the receiver [refuses descriptors](super::refuse_descriptors).
/// - `InvalidInput`: more than [`MAX_FDS_PER_MESSAGE`], or descriptors without a byte to carry
///   them.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if fds.is_empty() {
        return Ok(retry_on_intr(|| rustix::net::send(fd, bytes, flags))?);
    }
    if bytes.is_empty() || fds.len() > MAX_FDS_PER_MESSAGE {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = Control::new();
    let mut control = SendAncillaryBuffer::new(&mut space.0);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let data = [IoSlice::new(bytes)];
    Ok(retry_on_intr(|| {
        rustix::net::sendmsg(fd, &data, &mut control, flags)
    })?)
}

/// Whether a [`send`] failed because too many descriptors of this user are on their way,
/// un-received. The limit is the sender's `RLIMIT_NOFILE`, but the count is shared by all
/// processes of the user; it passes when somebody receives.
#[must_use]
pub fn is_too_many_refs(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ETOOMANYREFS)
}

/// Receives one message (of a stream: what is there) and appends its descriptors, at most `room`
/// of them, to `fds`. They are close-on-exec. The kernel gives each message to exactly one
/// receiver, whoever else holds a duplicate of this end.
///
/// A message of no bytes looks like the end; nobody should send one.
///
/// # Errors
///
/// `WouldBlock` when there is nothing, `ConnectionReset` when the other side ended with messages
/// of ours unread. Descriptors that came too many are not an error: see
/// [`Received::descriptors_lost`].
pub fn receive(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    room: usize,
    wait: Wait,
) -> io::Result<Received> {
    let mut space = Control::new();
    let mut control = RecvAncillaryBuffer::new(&mut space.0);
    let flags = wait.flags() | RecvFlags::CMSG_CLOEXEC;
    let mut data = [IoSliceMut::new(buf)];
    let message = retry_on_intr(|| rustix::net::recvmsg(fd, &mut data, &mut control, flags))?;
    let mut lost = message.flags.contains(ReturnFlags::CTRUNC);
    let mut left = room;
    for part in control.drain() {
        let RecvAncillaryMessage::ScmRights(arrived) = part else {
            continue;
        };
        for descriptor in arrived {
            if left > 0 {
                left -= 1;
                fds.push(descriptor);
            } else {
                lost = true;
                super::discard(descriptor);
            }
        }
    }
    Ok(Received {
        len: message.bytes,
        data_truncated: message.flags.contains(ReturnFlags::TRUNC),
        descriptors_lost: lost,
    })
}

/// Copies the beginning of the next message and leaves it where it is, with its descriptors.
/// Returns the bytes copied; 0 = the other side has ended.
///
/// # Errors
///
/// `WouldBlock` when there is nothing.
pub fn peek(fd: BorrowedFd<'_>, buf: &mut [u8], wait: Wait) -> io::Result<usize> {
    let flags = wait.flags() | RecvFlags::PEEK;
    let (copied, _length) = retry_on_intr(|| rustix::net::recv(fd, &mut *buf, flags))?;
    Ok(copied)
}

/// How many bytes lie un-received at this end, over all messages. Asked of a duplicate of a
/// worker's end, it is what the worker has not received.
///
/// # Errors
///
/// `EINVAL` for a listener, `ENOTTY` when it is not a socket.
pub fn unread_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let unread = rustix::io::ioctl_fionread(fd)?;
    Ok(usize::try_from(unread).unwrap_or(usize::MAX))
}

/// How much of what was sent from this end its other side has not received, as the kernel counts it: the
/// number is larger than that of the bytes, but 0 when all were received, and only then. (Unix sockets.)
///
/// # Errors
///
/// `ENOTTY` when it is not a socket.
pub fn unsent_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut unsent: libc::c_int = 0;
    // SAFETY: `SIOCOUTQ` writes one int, and the pointer is to one that outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut unsent) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(unsent).unwrap_or(0))
}

impl Wait {
    fn flags(self) -> RecvFlags {
        match self {
            Self::Block => RecvFlags::empty(),
            Self::DontWait => RecvFlags::DONTWAIT,
        }
    }
}

/// Room on the stack for the largest control message. It is not initialised, so its size costs
/// nothing.
///
/// A receiver offers all of it, however little it wants: what does not fit is closed by the kernel
/// before the call returns, and there a TCP connection with `SO_LINGER` blocks us for seconds.
/// What did fit is [discarded](super::discard) without waiting. (An exact size cannot be offered
/// in the usual way at all: it is rounded up to whole words, so room for one takes two.)
#[repr(C, align(16))]
struct Control([MaybeUninit<u8>; cmsg_space!(ScmRights(MAX_FDS_PER_MESSAGE))]);

impl Control {
    fn new() -> Self {
        Self([MaybeUninit::uninit(); _])
    }
}
