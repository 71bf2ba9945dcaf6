//! A process as a descriptor: its death is an event, and a signal cannot hit a stranger.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};

use crate::signal::{self, Signal};

/// A handle of one process that stays right when its number is given to another.
///
/// It becomes readable when the process has died (all its threads). Dropping it neither ends the
/// process nor takes its exit status.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

impl PidFd {
    /// Opens a handle of the process `pid`.
    ///
    /// Safe from pid reuse only while `pid` is a child that has not been reaped yet.
    ///
    /// # Errors
    /// `ESRCH` when there is no such process, `EMFILE` when no descriptor is left.
    pub fn open(pid: i32) -> io::Result<PidFd> {
        let pid = positive(pid)?;
        let fd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(PidFd { fd })
    }

    /// Wraps a descriptor that is already one of a process, for instance one that was passed.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> PidFd {
        PidFd { fd }
    }

    /// Sends a signal to exactly this process.
    ///
    /// # Errors
    /// `ESRCH` when it was reaped (a dead child that was not yet reaped swallows the signal),
    /// `EPERM` when it belongs to somebody else.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        rustix::process::pidfd_send_signal(&self.fd, signal.to_rustix())?;
        Ok(())
    }

    /// Sends the signal of any number, those without a name included.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such signal, or it belongs to the C library; else as
    /// [`signal`](PidFd::signal).
    pub fn signal_numbered(&self, number: i32) -> io::Result<()> {
        let signal = signal::numbered(number).ok_or(io::ErrorKind::InvalidInput)?;
        rustix::process::pidfd_send_signal(&self.fd, signal)?;
        Ok(())
    }

    /// Takes the exit status if the process has died; `None` while it lives.
    ///
    /// Taking it reaps the process: the next call is an error.
    ///
    /// # Errors
    /// `ECHILD` when it is not our child or was reaped already.
    pub fn wait(&self) -> io::Result<Option<ExitStatus>> {
        exited(|| WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::NOHANG)
    }

    /// Whether the process has died and waits to be reaped. Until then its number is its own.
    ///
    /// # Errors
    /// `ECHILD` when it is not our child or was reaped already.
    pub fn has_ended(&self) -> io::Result<bool> {
        let peek = WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(exited(|| WaitId::PidFd(self.fd.as_fd()), peek)?.is_some())
    }

    /// Whether the process has died, whoever's child it is or was.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn is_over(&self) -> io::Result<bool> {
        let mut asked = [PollFd::new(&self.fd, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut asked, Some(&at_once)))?;
        // A process that was reaped meanwhile is told of as hung up, too.
        Ok(!asked[0].revents().is_empty())
    }

    /// Like [`PidFd::wait`], but waits for the death. For clean-up paths and tests.
    ///
    /// # Errors
    /// Those of [`PidFd::wait`].
    pub fn wait_until_dead(&self) -> io::Result<ExitStatus> {
        exited(|| WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::empty())?
            .ok_or_else(|| io::Error::other("the kernel returned from a wait without a status"))
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One `waitid` for a death, repeated when interrupted. (`WaitId` is consumed by each call.)
pub(crate) fn exited<'a>(
    who: impl Fn() -> WaitId<'a>,
    options: WaitIdOptions,
) -> io::Result<Option<ExitStatus>> {
    let options = options | WaitIdOptions::EXITED;
    let status = rustix::io::retry_on_intr(|| rustix::process::waitid(who(), options))?;
    Ok(status.map(|status| to_std(&status)))
}

/// A pid that names one process: 0 and negative numbers mean groups to the kernel.
pub(crate) fn positive(pid: i32) -> io::Result<Pid> {
    let wrong = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{pid} is no process id"),
        )
    };
    if pid <= 0 {
        return Err(wrong());
    }
    Pid::from_raw(pid).ok_or_else(wrong)
}

/// What `waitid` says, in the encoding of `wait` that `ExitStatus` is made of.
fn to_std(status: &WaitIdStatus) -> ExitStatus {
    const DUMPED: i32 = 0x80;
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) if status.dumped() => signal | DUMPED,
        (None, signal) => signal.unwrap_or(0),
    };
    ExitStatus::from_raw(raw)
}
