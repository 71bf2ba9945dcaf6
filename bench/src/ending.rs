//! What was started ends with the benchmark, whatever ends that.
//!
//! The process that is started does not measure. It has another one do so, and becomes the parent of everything
//! below that loses its own: so it finds, and kills, what is left when the other has ended, was
//! killed, or is to end in the middle of it.

use herder_e2e::process;
use herder_sys::signal::{self, Signal, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, Signal as Kill, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait,
};
use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// The variable that tells the one that measures.
const MEASURES: &str = "HERDER_BENCH_MEASURES";

/// The exit status of the process that measures, once nothing of it is left; `None` in that process itself, which
/// goes on.
///
/// # Errors
/// When it cannot be started.
pub fn outlive() -> io::Result<Option<u8>> {
    if env::var_os(MEASURES).is_some() {
        signal::reset_all()?;
        signal::ignore_sigpipe()?;
        return Ok(None);
    }
    let signals = SignalFd::block(&[
        Signal::Child,
        Signal::Hangup,
        Signal::Interrupt,
        Signal::Terminate,
    ])?;
    set_child_subreaper(Some(getpid()))?;
    // In a group of its own: what the terminal says is said to us.
    let other = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(MEASURES, "1")
        .process_group(0)
        .spawn()?;
    let other = i32::try_from(other.id()).ok().and_then(Pid::from_raw);
    let status = loop {
        // Interrupted, or woken for nothing: it is asked again.
        let _woken = poll(&mut [PollFd::new(&signals, PollFlags::IN)], None);
        match signals.read()? {
            None => {}
            Some(Signal::Child) => {
                if let Some(status) = reap(other) {
                    break status;
                }
            }
            Some(told) => break status_of_signal(told.number()),
        }
    };
    kill_descendants();
    Ok(Some(status))
}

/// Takes note of every child that has ended; the exit status of `wanted`, if it is one of them.
fn reap(wanted: Option<Pid>) -> Option<u8> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if Some(pid) == wanted {
            found = Some(exit_status(status));
        }
    }
    found
}

fn exit_status(status: WaitStatus) -> u8 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => status_of_signal(signal),
        (None, None) => u8::MAX,
    }
}

/// As shells have it.
fn status_of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

/// Kills whatever there is below this process, until there is nothing.
fn kill_descendants() {
    let own = getpid().as_raw_nonzero().get();
    loop {
        reap(None);
        let below = process::descendants(own, &process::all());
        if below.is_empty() {
            return;
        }
        for process in below {
            if let Some(pid) = Pid::from_raw(process.pid) {
                // It may end by itself between the look and the signal.
                let _ended = kill_process(pid, Kill::KILL);
            }
        }
        // Their parents are told, and they come to us.
        thread::sleep(Duration::from_millis(5));
    }
}
