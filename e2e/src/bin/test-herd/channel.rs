//! The worker's own control channel, taken behind the library's back.

use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, send, sendmsg,
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
        let mut numbers: Vec<i32> = fs::read_dir("/proc/self/fd")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        for number in numbers {
            // A number of the listing may be closed by now.
            let Ok(fd) = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()) else {
                continue;
            };
            if is_message_channel(&fd) {
                return Ok(Channel(fd));
            }
        }
        Err(io::ErrorKind::NotFound.into())
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

fn is_message_channel(fd: &OwnedFd) -> bool {
    socket_domain(fd).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && socket_type(fd).is_ok_and(|kind| kind == SocketType::SEQPACKET)
}
