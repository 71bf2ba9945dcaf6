//! The daemon: keeps the list of apps, and has a herd for each.
//!
//! It is two processes. The *guard* waits for the other, and starts it again when it dies; the *daemon
//! proper* keeps the books and answers at `herder.sock`. A herd is a keeper and a master of its own, run
//! by `herder herd ORDER.json`: it goes on whatever becomes of the daemon, and the next daemon finds it
//! by its socket.
//!
//! | module | what is in it |
//! |---|---|
//! | [`Desk`] | what the control API asks the books |
//! | `api` | the control API: HTTP and JSON at `herder.sock` |
#![forbid(unsafe_code)]

pub mod api;
mod books;
mod desk;
mod home;
mod lock;
mod settings;

pub use desk::{AppFiles, Desk};
pub use settings::{Announcement, Manner, Settings};

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
/// [`Manner::Background`]: it leaves the terminal, and tells whoever started it that it is ready (or why
/// it is not) by one line on stdout: an [`Announcement`] as JSON. Then it closes stdout. [`summon`] starts
/// it so.
#[must_use]
pub fn run(settings: Settings) -> u8 {
    let _ = settings;
    herder_api::problem::ProblemKind::Internal.exit_status()
}

/// Starts a daemon in the background for `settings.home`, and waits until it is ready (at most 10 s).
/// Runs this executable as `herder daemon --background` with `HERDER_HOME` set. Returns its pid.
///
/// # Errors
/// Why it did not become ready. That another one has the home is no error: its pid is returned, once it
/// answers.
pub fn summon(home: &std::path::Path) -> Result<i32, herder_api::Problem> {
    Err(herder_api::Problem::new(
        herder_api::problem::ProblemKind::Internal,
        format!("no daemon can be started in {} yet", home.display()),
    ))
}
