//! A library that is a process.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use herder_master::role::LibrarySeat;
use herder_rpc::client::{HERD_VARIABLE, endpoints_from_environment};
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::signal::SignalFd;
use herder_sys::{fd, process};

use super::foreign::Foreign;
use super::life::Life;
use super::setup::Planned;
use crate::worker::finish::{self, Outcome};
use crate::worker::link::{Identity, Link, Timing};
use crate::worker::outlet::Outlet;

/// What a library gets from its master.
pub(crate) struct Seat {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) tie: Tie,
    pub(super) listener: OwnedFd,
}

/// How the library is tied to its master.
pub(super) enum Tie {
    /// This program is the master's own: control frames, both ways.
    Control(OwnedFd),
    /// The master takes it for any program.
    Foreign(Foreign),
}

impl From<LibrarySeat> for Seat {
    fn from(seat: LibrarySeat) -> Seat {
        Seat {
            app: seat.app,
            name: seat.name,
            epoch: seat.epoch,
            tie: Tie::Control(seat.control),
            listener: seat.listener,
        }
    }
}

/// Lives as a library, and returns the exit status.
///
/// # Errors
/// When the ties to the master cannot be made.
pub(crate) fn live(
    seat: Seat,
    signals: SignalFd,
    mut timing: Timing,
    planned: &[Planned],
) -> io::Result<i32> {
    let name = seat.name;
    let Some(planned) = planned.iter().find(|planned| planned.name.as_str() == name) else {
        let why = match seat.tie {
            Tie::Control(_) => "its settings must come out the same in each process",
            Tie::Foreign(_) => "it must be called as the program calls it",
        };
        say(&format!("the program has no library {name}: {why}"));
        return Ok(finish::FAILED);
    };
    let identity = Identity {
        app: seat.app,
        slot: 0,
        id: seat.epoch,
        master_pid: process::parent_pid(),
        listeners: Vec::new(),
    };
    let outlet = match seat.tie {
        Tie::Control(control) => {
            outlive_by(timing.grace, control.as_fd(), name.clone())?;
            Outlet::channel(control)
        }
        Tie::Foreign(Foreign { notify, beat }) => {
            timing.beat = beat;
            Outlet::Notify(notify)
        }
    };
    let link = Arc::new(Link::new(identity, timing, outlet, Some(signals))?);
    let life = Life {
        name: planned.name,
        herd: std::env::var(HERD_VARIABLE).unwrap_or_default(),
        link: Arc::clone(&link),
        listener: seat.listener,
        build: Arc::clone(&planned.build),
    };
    let outcome = life.live();
    if link.ending().master_gone() {
        tidy_up(&name);
    }
    Ok(match outcome {
        Outcome::Done => 0,
        Outcome::Failed(error) => {
            let error = error.replace(['\n', '\r'], " ");
            say(&format!("library {name} failed: {error}"));
            finish::FAILED
        }
        Outcome::Panicked => finish::FAILED,
    })
}

/// Ends this process so long after its master, whatever it does then, even if its runtime is stuck:
/// nobody else would.
fn outlive_by(grace: Duration, control: BorrowedFd<'_>, library: String) -> io::Result<()> {
    let (epoll, control) = (Epoll::new()?, fd::duplicate(control)?);
    // The end of the other side is told although nothing is asked for.
    epoll.add(control.as_fd(), 0, Interest::NONE)?;
    let watch = move || {
        let mut events = Events::with_capacity(1);
        while events.is_empty() && epoll.wait(&mut events, None).is_ok() {}
        drop(control);
        thread::sleep(grace);
        tidy_up(&library);
        std::process::exit(finish::FAILED);
    };
    let name = "herder-orphan".to_owned();
    thread::Builder::new().name(name).spawn(watch).map(drop)
}

/// Removes the library's socket, and with the last of them the herd's private directory: without a
/// master the keeper does, but it may be gone, too.
fn tidy_up(library: &str) {
    let endpoints = endpoints_from_environment().unwrap_or_default();
    let own = endpoints.into_iter().find(|it| it.library == library);
    if let Some(path) = own.map(|endpoint| endpoint.path) {
        let _gone = std::fs::remove_file(&path);
        let _not_the_last = path.parent().map(std::fs::remove_dir);
    }
}

fn say(text: &str) {
    let _closed = writeln!(io::stderr(), "herder: {text}");
}
