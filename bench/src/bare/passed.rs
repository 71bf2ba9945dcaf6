//! A worker that is passed its connections.

use super::serve::{SOURCE, Server};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use std::io::{self, IoSliceMut, Stdin};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// Serves what comes over the standard input until the master is gone.
pub(super) fn run() -> io::Result<()> {
    let channel = io::stdin();
    let mut server = Server::new(&channel, EventFlags::IN)?;
    let mut events = Vec::with_capacity(64);
    loop {
        match epoll::wait(&server.set, spare_capacity(&mut events), None) {
            // A process that was stopped and goes on is interrupted.
            Err(Errno::INTR) => continue,
            other => other?,
        };
        for event in events.drain(..) {
            let token = event.data.u64();
            if token != SOURCE {
                server.go_on(token);
                continue;
            }
            while let Some(message) = receive(&channel)? {
                match message {
                    Message::Connection(client) => server.take(client)?,
                    Message::End => return Ok(()),
                }
            }
        }
    }
}

enum Message {
    Connection(OwnedFd),
    End,
}

fn receive(channel: &Stdin) -> io::Result<Option<Message>> {
    let mut record = [0; 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = match recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut record)],
        &mut control,
        flags,
    ) {
        Err(Errno::AGAIN) => return Ok(None),
        other => other?,
    };
    if received.bytes == 0 {
        return Ok(Some(Message::End));
    }
    let lost = received.flags.contains(ReturnFlags::CTRUNC);
    // The only kind of message there is, but the type is open to others.
    let client = control.drain().find_map(|message| {
        let RecvAncillaryMessage::ScmRights(mut descriptors) = message else {
            return None;
        };
        descriptors.next()
    });
    match client {
        Some(client) if !lost => Ok(Some(Message::Connection(client))),
        Some(_) | None => Err(io::Error::other("a record came without its connection")),
    }
}
