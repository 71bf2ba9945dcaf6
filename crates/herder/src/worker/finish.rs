//! A worker's way out.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::worker::blocking::Worker;
use crate::worker::link::Link;

/// The exit status after an error or a panic.
pub(crate) const FAILED: i32 = 1;

/// Runs a function that blocks, waits for the connections that it left open, and returns the exit
/// status.
pub(crate) fn run(worker: Worker, body: impl Fn(Worker) -> Result<(), String>) -> i32 {
    let link = Arc::clone(worker.handle().link());
    let call = || guarded(|| body(worker.clone()));
    let outcome = call();
    let deadline = conclude(&worker, &outcome);
    serve_what_waits(&worker, deadline, call);
    wait_for_connections(&link, deadline);
    let status = exit_status(&link, &outcome);
    #[cfg(feature = "message")]
    link.settle(deadline);
    status
}

/// Connections come up to four at a time. Those that came together with the one that made the
/// function fail are the worker's own, nobody else can serve them, and their clients are not to
/// blame: the function is called again for each, and finds nothing else.
pub(crate) fn serve_what_waits(worker: &Worker, deadline: Instant, call: impl Fn() -> Outcome) {
    let mut waiting = worker.waiting();
    while waiting > 0 && Instant::now() < deadline {
        // What comes of it was said the first time.
        let _again = call();
        let left = worker.waiting();
        if left == waiting {
            // It does not accept any more.
            return;
        }
        waiting = left;
    }
}

/// What comes of a function of the program's, a panic included.
pub(crate) fn guarded(body: impl FnOnce() -> Result<(), String>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(_) => Outcome::Panicked,
    }
}

/// What came of the program's function.
pub(crate) enum Outcome {
    Done,
    Failed(String),
    Panicked,
}

/// The function is over: says what was wrong, makes sure that no new connections come while old
/// ones are finished, and returns until when those may take.
pub(crate) fn conclude(worker: &Worker, outcome: &Outcome) -> Instant {
    let link = worker.handle().link().clone();
    let text = match outcome {
        Outcome::Done => "the worker function returned".to_owned(),
        Outcome::Failed(error) => {
            let error = error.replace(['\n', '\r'], " ");
            let (slot, id) = (link.identity().slot, link.identity().id);
            say(&format!("worker {slot} #{id} failed: {error}"));
            format!("the worker function failed: {error}")
        }
        // The panic hook has logged it, unless the program replaced the hook.
        Outcome::Panicked => "the worker function panicked".to_owned(),
    };
    match outcome {
        Outcome::Panicked => link.panicked(text),
        // Another thread may hold the acceptor while it waits, until the end has begun. With
        // nothing left to wait for, the end of the process says it all.
        Outcome::Done | Outcome::Failed(_) => {
            link.retire_if(text, || worker.waiting() > 0 || link.tally().open() > 0);
        }
    }
    link.finish_by(match outcome {
        Outcome::Done => link.timing().grace,
        Outcome::Failed(_) | Outcome::Panicked => link.timing().close_timeout,
    })
}

/// 0 after a function that returned without an error, with no panic anywhere and no connection that
/// had to be cut off.
pub(crate) fn exit_status(link: &Link, outcome: &Outcome) -> i32 {
    let clean = !link.ending().panicked() && link.tally().open() == 0;
    match outcome {
        Outcome::Done if clean => 0,
        Outcome::Done | Outcome::Failed(_) | Outcome::Panicked => FAILED,
    }
}

/// Ends this process after `limit` at the latest, whatever it does then.
pub(crate) fn exit_after(limit: Duration) {
    let watch = move || {
        thread::sleep(limit);
        std::process::exit(FAILED);
    };
    let started = thread::Builder::new()
        .name("herder-deadline".to_owned())
        .spawn(watch);
    if started.is_err() && limit.is_zero() {
        std::process::exit(FAILED);
    }
    // Without a thread the master's own limit, or the keeper's, ends the process.
}

fn wait_for_connections(link: &Link, deadline: Instant) {
    while link.tally().open() > 0 {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            return;
        }
        let due = link.tick(now).unwrap_or(left);
        if link.wait(due.min(left)).is_err() {
            return;
        }
    }
}

/// One line on the standard error stream. A program of its own would use its log; the worker's
/// process has ended as far as the program is concerned.
fn say(text: &str) {
    let _closed = writeln!(io::stderr(), "herder: {text}");
}
