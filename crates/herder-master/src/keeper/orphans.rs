//! What is left when the master has died: its workers, now the keeper's own children.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::pidfd::PidFd;
use herder_sys::process;
use herder_sys::signal::{Signal, SignalFd};

use crate::operator;

/// How often survivors of a SIGKILL are looked for again: a process that was being born while the
/// first round went by becomes the keeper's child only when its parent is gone.
const KILL_ROUND: Duration = Duration::from_millis(50);

/// How long the keeper waits for processes that do not die of SIGKILL (they sit in the kernel).
const GIVE_UP: Duration = Duration::from_secs(10);

/// Tells every child to leave (SIGTERM), kills those that are there at `kill_at` (at once when
/// another ending signal comes), and reaps them all, except the `spared`, which are not the herd's.
///
/// Native workers leave by themselves too, because their channel has ended.
///
/// # Errors
/// When the children cannot be found or waited for at all.
pub(crate) fn end_all(
    signals: &SignalFd,
    mut kill_at: Instant,
    spared: &mut Vec<i32>,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    epoll.add(signals.as_fd(), 0, Interest::READABLE)?;
    let mut events = Events::with_capacity(1);
    let give_up = kill_at.max(Instant::now()) + GIVE_UP;
    let mut told = false;
    loop {
        let left = kill_at.saturating_duration_since(Instant::now());
        let pause = match living(spared) {
            Ok(children) if children.is_empty() => return Ok(()),
            Ok(children) if Instant::now() >= give_up => {
                super::complain(&format!("these processes cannot be ended: {children:?}"));
                return Ok(());
            }
            Ok(children) if left.is_zero() => {
                end_each(&children, Signal::Kill);
                KILL_ROUND
            }
            Ok(children) if !told => {
                end_each(&children, Signal::Terminate);
                told = true;
                left
            }
            Ok(_) => left,
            Err(error) if Instant::now() >= give_up => return Err(error),
            // The whole machine has no descriptor or memory left: that may pass.
            Err(_) => KILL_ROUND,
        };
        epoll.wait(&mut events, Some(pause))?;
        while let Some(signal) = signals.read()? {
            if operator::is_end(signal) {
                kill_at = Instant::now();
            }
        }
    }
}

/// Reaps the dead and finds the living.
fn living(spared: &mut Vec<i32>) -> io::Result<Vec<i32>> {
    while let Some((pid, _)) = process::reap()? {
        spared.retain(|known| *known != pid);
    }
    let mut children = process::children()?;
    children.retain(|pid| !spared.contains(pid));
    Ok(children)
}

/// Signals the process group that each child leads, or the child alone when it leads none (but never
/// the child twice: a second signal means "at once" to many). They are not reaped yet, so neither
/// number can be somebody else's.
///
/// One that cannot be signalled is gone, or has become another user's. Neither must save the others.
fn end_each(children: &[i32], signal: Signal) {
    for pid in children {
        if process::signal_group(*pid, signal).is_err() {
            let _gone = PidFd::open(*pid).and_then(|child| child.signal(signal));
        }
    }
}
