//! The worker's own control channel and listener, taken behind the library's back.

use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketType,
    send, sendmsg, shutdown,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The frame of a heartbeat: kind 3, no flags, no body.
const BEAT: [u8; 8] = [3, 0, 0, 0, 0, 0, 0, 0];

/// A heartbeat's header that announces a body which does not come.
const HALF: [u8; 8] = [3, 0, 0, 0, 100, 0, 0, 0];

/// More than a message may have.
const OVERSIZE: usize = 70_000;

/// A duplicate of the worker's end.
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Finds it: of the two message channels of a worker the one that it was given first.
    pub(crate) fn find() -> io::Result<Channel> {
        find(is_message_channel).map(Channel)
    }

    pub(crate) fn garbage(&self) -> io::Result<()> {
        self.send(&[0xFF; 24])
    }

    pub(crate) fn half_a_frame(&self) -> io::Result<()> {
        self.send(&HALF)
    }

    pub(crate) fn too_much(&self) -> io::Result<()> {
        self.send(&vec![0; OVERSIZE])
    }

    /// Twice, because one descriptor may be forgiven.
    pub(crate) fn descriptors(&self) -> io::Result<()> {
        for _ in 0..2 {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let fds = [self.0.as_fd()];
            control.push(SendAncillaryMessage::ScmRights(&fds));
            sendmsg(
                &self.0,
                &[IoSlice::new(&BEAT)],
                &mut control,
                SendFlags::NOSIGNAL,
            )?;
        }
        Ok(())
    }

    /// Heartbeats without end, as fast as the master takes them. Returns how many were sent.
    pub(crate) fn beats(&self, time: Duration) -> io::Result<u64> {
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < time {
            match send(&self.0, &BEAT, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => sent += 1,
                Err(rustix::io::Errno::AGAIN) => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(&self.0, bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// The process after a misdeed that should be its last: it waits to be killed.
pub(crate) fn wait_for_the_end() -> ! {
    std::thread::sleep(Duration::from_secs(30));
    process::exit(99)
}

/// Shuts the first listener of this process down, for everybody who shares it.
pub(crate) fn shut_listener() -> io::Result<()> {
    let listener = find(|fd| socket_acceptconn(fd).unwrap_or(false))?;
    shutdown(listener, Shutdown::Both)?;
    Ok(())
}

/// A duplicate of the first of this process' descriptors that is `wanted`.
fn find(wanted: impl Fn(&OwnedFd) -> bool) -> io::Result<OwnedFd> {
    let mut numbers: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    // A number of the listing may be closed by now.
    let duplicate = |number| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok();
    let found = numbers.into_iter().filter_map(duplicate).find(wanted);
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn is_message_channel(fd: &OwnedFd) -> bool {
    socket_domain(fd).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && socket_type(fd).is_ok_and(|kind| kind == SocketType::SEQPACKET)
}
