//! A library that its master takes for any program: `herder run --library NAME=PROGRAM`.
//!
//! Such a program finds its listener by `LISTEN_FDS`, and says how it fares as with `sd_notify`, on an
//! inherited socket.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::str::FromStr;
use std::time::Duration;

use herder_sys::{apply, fd, process};

use super::process::{Seat, Tie};

/// The first number of those that are inherited by `LISTEN_FDS`.
const FIRST: RawFd = 3;

/// The name of the listener among `LISTEN_FDNAMES`.
const LISTENER: &str = "library";

/// How often a heartbeat comes within the time after which the master misses it.
const BEATS: u32 = 4;

/// How such a library is tied to its master.
pub(super) struct Foreign {
    /// Where it says how it fares.
    pub(super) notify: OwnedFd,
    /// How often it shows that it lives; `None` = nobody asks.
    pub(super) beat: Option<Duration>,
}

/// The seat of a library in the environment; `None` when this process is to be none.
pub(crate) fn seat() -> io::Result<Option<Seat>> {
    let Some(name) = text("HERDER_LIBRARY") else {
        return Ok(None);
    };
    // What is inherited is meant for the process that was executed, not for its children.
    if number("LISTEN_PID") != Some(process::current_pid()) {
        return Ok(None);
    }
    let (Some(place), Some(notify)) = (listener(), number("HERDER_NOTIFY_FD")) else {
        return Ok(None);
    };
    let hang: Option<u64> = number("WATCHDOG_USEC");
    let foreign = Foreign {
        notify: fd::inherited(notify)?,
        beat: hang.map(|micros| Duration::from_micros(micros) / BEATS),
    };
    fd::set_blocking(std::os::fd::AsFd::as_fd(&foreign.notify), fd::Blocking::No)?;
    let seat = Seat {
        app: text("HERDER_APP").unwrap_or_default(),
        name,
        epoch: number("HERDER_EPOCH").unwrap_or(1),
        listener: fd::inherited(place)?,
        tie: Tie::Foreign(foreign),
    };
    apply::cloexec_from(FIRST)?;
    Ok(Some(seat))
}

/// The number of the listener.
fn listener() -> Option<RawFd> {
    let count: RawFd = number("LISTEN_FDS")?;
    let names = text("LISTEN_FDNAMES")?;
    let mut places = (FIRST..)
        .zip(names.split(':'))
        .take(usize::try_from(count).ok()?);
    places.find_map(|(place, name)| (name == LISTENER).then_some(place))
}

fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

fn number<T: FromStr>(variable: &str) -> Option<T> {
    text(variable)?.parse().ok()
}
