//! The daemon proper, as its guard sees it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Executable, Launch};
use herder_sys::signal::Signal;
use herder_sys::{fd, pipe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::part::{self, Managed};
use crate::settings::Announcement;
use crate::sign::Sign;

/// How much it may say.
const WORDS: usize = 64 << 10;

/// How long it may take to be ready before it counts as hung.
const BEGINNING: Duration = Duration::from_secs(90);

/// What it says.
#[derive(Debug)]
pub(super) enum Heard {
    /// Whether it is ready: the line, for whoever started us.
    Announced(Vec<u8>),
    /// How it fares.
    Sign(Sign),
}

/// The daemon proper.
pub(super) struct Ward {
    pub(super) pid: i32,
    pidfd: PidFd,
    is_child: bool,
    /// Where it says whether it is ready, and what signs it gives after that.
    words: Option<OwnedFd>,
    heard: Vec<u8>,
    is_announced: bool,
    pub(super) is_ready: bool,
    /// How often it gave no sign when one was due.
    strikes: u32,
    pub(super) began: Instant,
}

impl Ward {
    /// Starts it, with the lock as its stdin.
    pub(super) fn start(
        executable: &Executable,
        lock: &OwnedFd,
        managed: Option<Managed>,
    ) -> io::Result<Ward> {
        let (reader, writer) = pipe::pipe()?;
        fd::set_blocking(reader.as_fd(), fd::Blocking::No)?;
        let child = process::launch(Launch {
            executable,
            argv0: "herder".into(),
            args: &part::arguments(),
            environment: managed
                .map(Managed::variable)
                .into_iter()
                .chain([part::proper()])
                .collect(),
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
            is_announced: false,
            is_ready: false,
            strikes: 0,
            began: Instant::now(),
        })
    }

    /// One that lives already, and gives signs on `words`.
    pub(super) fn adopt(pid: i32, words: Option<OwnedFd>) -> io::Result<Ward> {
        let pidfd = PidFd::open(pid)?;
        let is_child = pidfd.has_ended().is_ok();
        Ok(Ward {
            pid,
            pidfd,
            is_child,
            words,
            heard: Vec::new(),
            is_announced: true,
            is_ready: true,
            strikes: 0,
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

    /// How it ended, in words, and its exit status.
    pub(super) fn bury(&mut self) -> (String, Option<u8>) {
        if !self.is_child {
            return ("nobody knows how".to_owned(), None);
        }
        match self.pidfd.wait() {
            Ok(Some(status)) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                (status.to_string(), code)
            }
            Ok(None) => ("it is said to live".to_owned(), None),
            Err(error) => (error.to_string(), None),
        }
    }

    /// Where it gives signs, for a guard that follows us.
    pub(super) fn words(&self) -> Option<BorrowedFd<'_>> {
        self.words.as_ref().map(AsFd::as_fd)
    }

    /// What it has said since.
    pub(super) fn hear(&mut self) -> Vec<Heard> {
        self.read();
        let Some(end) = self.heard.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.heard.split_off(end + 1);
        let lines = std::mem::replace(&mut self.heard, rest);
        let mut heard = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_announced {
                self.is_announced = true;
                let word = serde_json::from_slice::<Announcement>(line);
                self.is_ready = matches!(word, Ok(Announcement::Ready { .. }));
                heard.push(Heard::Announced(line.to_vec()));
            } else if let Some(sign) = Sign::parse(line.trim_ascii_end()) {
                self.strikes = 0;
                heard.push(Heard::Sign(sign));
            }
        }
        heard
    }

    fn read(&mut self) {
        let Some(words) = &self.words else {
            return;
        };
        let mut bytes = [0; 4096];
        loop {
            match pipe::read(words.as_fd(), &mut bytes) {
                Ok(length) if length > 0 && self.heard.len() < WORDS => {
                    self.heard.extend_from_slice(&bytes[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It says no more, or never what it should.
                Ok(_) | Err(_) => {
                    self.words = None;
                    return;
                }
            }
        }
    }

    /// A sign of life is due. Says whether there was one; if there has been none for long, it hangs, and
    /// is ended.
    pub(super) fn is_well(&mut self) -> bool {
        let is_watched = match self.is_ready {
            true => self.words.is_some(),
            false => self.began.elapsed() > BEGINNING,
        };
        if !is_watched {
            return true;
        }
        self.strikes += 1;
        // Two: we ourselves may have stood still as long, and it had no time to say anything since.
        match self.strikes {
            0..=2 => {}
            3 => self.signal(Signal::Abort),
            _ => self.signal(Signal::Kill),
        }
        self.strikes < 3
    }

    /// Waits for it, at most so long.
    pub(super) fn tried(mut self, limit: Duration) -> Ward {
        let until = Instant::now() + limit;
        while !self.is_announced && !self.is_over().unwrap_or(true) {
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
            drop(self.hear());
        }
        self
    }
}
