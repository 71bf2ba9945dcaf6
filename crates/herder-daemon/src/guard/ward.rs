//! The daemon proper, as its guard sees it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Executable, Launch};
use herder_sys::signal::Signal;
use herder_sys::{fd, pipe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::part;
use crate::settings::Announcement;

/// How much it may say.
const WORDS: usize = 64 << 10;

/// The daemon proper.
pub(super) struct Ward {
    pub(super) pid: i32,
    pidfd: PidFd,
    is_child: bool,
    /// Where it says whether it is ready.
    words: Option<OwnedFd>,
    heard: Vec<u8>,
    pub(super) is_ready: bool,
    pub(super) began: Instant,
}

impl Ward {
    /// Starts it, with the lock as its stdin.
    pub(super) fn start(executable: &Executable, lock: &OwnedFd) -> io::Result<Ward> {
        let (reader, writer) = pipe::pipe()?;
        fd::set_blocking(reader.as_fd(), fd::Blocking::No)?;
        let child = process::launch(Launch {
            executable,
            argv0: "herder".into(),
            args: &part::arguments(),
            environment: vec![part::proper()],
            stdin: fd::duplicate(lock.as_fd())?,
            stdout: Some(writer),
            stderr: None,
        })?;
        Ok(Ward {
            pid: child.pid,
            pidfd: child.pidfd,
            is_child: true,
            words: Some(reader),
            heard: Vec::new(),
            is_ready: false,
            began: Instant::now(),
        })
    }

    /// One that lives already.
    pub(super) fn adopt(pid: i32) -> io::Result<Ward> {
        let pidfd = PidFd::open(pid)?;
        let is_child = pidfd.has_ended().is_ok();
        Ok(Ward {
            pid,
            pidfd,
            is_child,
            words: None,
            heard: Vec::new(),
            is_ready: true,
            began: Instant::now(),
        })
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let words = self.words.iter().map(AsFd::as_fd);
        words.chain([self.pidfd.as_fd()])
    }

    pub(super) fn is_over(&self) -> io::Result<bool> {
        self.pidfd.is_over()
    }

    pub(super) fn signal(&self, signal: Signal) {
        // Who is dead is buried soon.
        drop(self.pidfd.signal(signal));
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::Kill);
        if self.is_child {
            drop(self.pidfd.wait_until_dead());
        }
    }

    /// How it ended, in words.
    pub(super) fn bury(&mut self) -> String {
        if !self.is_child {
            return "nobody knows how".to_owned();
        }
        match self.pidfd.wait() {
            Ok(Some(status)) => status.to_string(),
            Ok(None) => "it is said to live".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// The line that it says once.
    pub(super) fn hear(&mut self) -> Option<Vec<u8>> {
        let words = self.words.as_ref()?;
        let mut bytes = [0; 4096];
        loop {
            match pipe::read(words.as_fd(), &mut bytes) {
                Ok(0) => break,
                Ok(length) => self.heard.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => break,
            }
            if self.heard.len() > WORDS {
                break;
            }
        }
        let is_whole = self.heard.last() == Some(&b'\n');
        if !is_whole {
            return None;
        }
        self.words = None;
        let line = std::mem::take(&mut self.heard);
        let word = serde_json::from_slice::<Announcement>(&line);
        self.is_ready = matches!(word, Ok(Announcement::Ready { .. }));
        Some(line)
    }

    /// Waits for it, at most so long.
    pub(super) fn tried(mut self, limit: Duration) -> Ward {
        let until = Instant::now() + limit;
        while self.words.is_some() && !self.is_over().unwrap_or(true) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self;
            }
            let left = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let asked = self.descriptors();
            let asked = asked.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            let mut asked: Vec<PollFd<'_>> = asked.collect();
            let _woken = poll(&mut asked, Some(&left));
            drop(asked);
            self.hear();
        }
        self
    }
}
