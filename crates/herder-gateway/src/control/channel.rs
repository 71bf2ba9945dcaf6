//! The socket to the master.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_sys::socket::{self, Received, Wait};
use herder_wire::control::ToMaster;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reactor;

/// The most descriptors that come with a packet: the two ends of a link.
const DESCRIPTORS: usize = 2;

/// The gateway's end.
pub(crate) struct Channel {
    socket: AsyncFd<OwnedFd>,
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Channel> {
        Ok(Channel {
            socket: reactor::watch(socket)?,
        })
    }

    /// Sends one packet of frames, now or not at all: `WouldBlock` = the master does not read, and
    /// [`Channel::room`] waits until it does.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let sent = socket::send(self.socket.as_fd(), packet, &[]);
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::WouldBlock
        {
            reactor::forget_writable(&self.socket);
        }
        sent.map(|_all| ())
    }

    /// As [`Channel::send`], for one message.
    pub(crate) fn say(&self, news: &ToMaster) -> io::Result<()> {
        let mut packet = Vec::new();
        news.encode(&mut packet).map_err(io::Error::other)?;
        self.send(&packet)
    }

    /// Waits until something can be sent, or is found out to be in vain.
    pub(crate) async fn room(&self) {
        // An error of the reactor shows in the next call on the descriptor.
        let _ready = self.socket.writable().await;
    }

    /// Receives a packet. Dropping the future loses nothing.
    pub(super) async fn receive(
        &self,
        room: &mut [u8],
        fds: &mut Vec<OwnedFd>,
    ) -> io::Result<Received> {
        let receive = |socket: &OwnedFd| {
            socket::receive(socket.as_fd(), room, fds, DESCRIPTORS, Wait::DontWait)
        };
        self.socket.async_io(Interest::READABLE, receive).await
    }
}
