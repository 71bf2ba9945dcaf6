//! What is left when the master has died: its workers, now the keeper's own children.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::pidfd::PidFd;
use herder_sys::process;
use herder_sys::signal::{Signal, SignalFd};

/// How often survivors of a SIGKILL are looked for again: a process that was being born while the
/// first round went by becomes the keeper's child only when its parent is gone.
const KILL_ROUND: Duration = Duration::from_millis(50);

/// How long the keeper waits for processes that do not die of SIGKILL (they sit in the kernel).
const GIVE_UP: Duration = Duration::from_secs(10);

/// Reaps every dead child but this one.
pub(super) fn reap_all_but(master: i32) -> io::Result<()> {
    for pid in process::children()? {
        if pid != master {
            process::reap_child(pid)?;
        }
    }
    Ok(())
}

/// Tells every child to leave (SIGTERM), kills those that are there at `kill_at` (at once when
/// another ending signal comes), and reaps them all.
///
/// Native workers leave by themselves too, because their channel has ended.
pub(crate) fn end_all(signals: &SignalFd, mut kill_at: Instant) -> io::Result<()> {
    for pid in process::children()? {
        end(pid, Signal::Terminate)?;
    }
    let epoll = Epoll::new()?;
    epoll.add(signals.as_fd(), 0, Interest::READABLE)?;
    let mut events = Events::with_capacity(1);
    let give_up = kill_at.max(Instant::now()) + GIVE_UP;
    loop {
        reap_all_but(0)?;
        if process::children()?.is_empty() || Instant::now() >= give_up {
            return Ok(());
        }
        let left = kill_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            for pid in process::children()? {
                end(pid, Signal::Kill)?;
            }
        }
        epoll.wait(
            &mut events,
            Some(if left.is_zero() { KILL_ROUND } else { left }),
        )?;
        while let Some(signal) = signals.read()? {
            if is_end(signal) {
                kill_at = Instant::now();
            }
        }
    }
}

/// Whether the signal asks a herd to end.
pub(super) fn is_end(signal: Signal) -> bool {
    matches!(signal, Signal::Interrupt | Signal::Quit | Signal::Terminate)
}

/// Signals the process group that a child leads, or the child alone when it leads none (but never
/// the child twice: a second signal means "at once" to many). It is not reaped yet, so neither
/// number can be somebody else's.
fn end(pid: i32, signal: Signal) -> io::Result<()> {
    match process::signal_group(pid, signal) {
        Err(error) if is_gone(&error) => {
            match PidFd::open(pid).and_then(|child| child.signal(signal)) {
                Err(error) if is_gone(&error) => Ok(()),
                result => result,
            }
        }
        result => result,
    }
}

fn is_gone(error: &io::Error) -> bool {
    // ESRCH: no such process or group.
    error.raw_os_error() == Some(3)
}
