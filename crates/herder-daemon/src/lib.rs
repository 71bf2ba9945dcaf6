//! The daemon: keeps the list of apps, and has a herd for each.
//!
//! It is two processes. The *guard* waits for the other, and starts it again when it dies; the *daemon
//! proper* keeps the books and answers at `herder.sock`. A herd is a keeper and a master of its own, run
//! by `herder herd ORDER.json`: it goes on whatever becomes of the daemon, and the next daemon finds it
//! by its socket.
//!
//! | module | what is in it |
//! |---|---|
//! | `guard`, `proper` | the two processes |
//! | `books` | the decisions: pure |
//! | `triggers` | what happens by itself: times, files, health |
//! | `shell` | what carries them out: herds, files, signals |
//! | [`Desk`] | what the control API asks the books |
//! | `api` | the control API: HTTP and JSON at `herder.sock` |
#![forbid(unsafe_code)]

pub mod api;
mod books;
mod desk;
mod guard;
mod home;
mod lock;
mod part;
mod proper;
mod settings;
mod shell;
mod sign;
mod summon;
mod triggers;
mod waited;

use std::io::Write;

use herder_api::problem::ProblemKind;

pub use desk::{AppFiles, Desk};
use part::Part;
pub use settings::{Announcement, Manner, Settings};
pub use summon::summon;

/// The exit status of a daemon that finds another one in its home.
pub const HELD: u8 = 100;

/// Runs the daemon until it is told to end; returns the exit status of this process.
///
/// 0 = it was told to end, [`HELD`] = another daemon has this home (its pid is told), 70 = a defect, or
/// the home cannot be used.
///
/// Call it in a process with one thread. The process that calls it is the guard; it starts itself once
/// more, with the same arguments, and that process, which calls this too, is the daemon proper.
///
/// Under a service manager (`NOTIFY_SOCKET`) the guard says `READY=1`, `RELOADING=1`, `STOPPING=1`, and
/// `WATCHDOG=1` while the daemon proper's loop turns.
///
/// [`Manner::Background`]: it leaves the terminal, and tells whoever started it that it is ready (or why
/// it is not) by one line on stdout: an [`Announcement`] as JSON. Then it closes stdout. [`summon`] starts
/// it so.
#[must_use]
pub fn run(settings: Settings) -> u8 {
    match part::take() {
        Ok(Part::Guard(service)) => guard::begin(settings, service),
        Ok(Part::Proper(managed)) => proper::run(&settings, managed),
        Ok(Part::StandIn(daemon, service)) => guard::stand_in(settings, daemon, service),
        Ok(Part::Probe) => triggers::sit(),
        Err(error) => {
            complain(&format!("the daemon cannot be started: {error}"));
            ProblemKind::Internal.exit_status()
        }
    }
}

/// Says something, if somebody hears it.
fn complain(text: &str) {
    drop(writeln!(std::io::stderr(), "herder: {text}"));
}
