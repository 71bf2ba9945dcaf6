//! The daemon proper.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_sys::fd;
use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Executable, Launch};
use herder_sys::signal::{Signal, SignalFd};
use tokio::io::Interest;

use crate::api::Door;
use crate::home::Home;
use crate::lock::{self, Mark};
use crate::part::Managed;
use crate::settings::{Announcement, Settings};
use crate::shell::Shell;
use crate::sign::Signs;
use crate::waited::readable;
use crate::{complain, part};

/// What the daemon proper heeds. (The guard passes them on.)
pub(crate) const SIGNALS: [Signal; 6] = [
    Signal::Terminate,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Hangup,
    Signal::User1,
    Signal::User2,
];

/// Runs it. The lock is stdin, and stdout is the guard.
pub(crate) fn run(settings: &Settings, managed: Option<Managed>) -> u8 {
    match live(settings, managed) {
        Ok(()) => 0,
        Err(problem) => {
            let status = problem.kind.exit_status();
            complain(&problem.message);
            announce(&Announcement::Failed { problem });
            status
        }
    }
}

fn live(settings: &Settings, managed: Option<Managed>) -> Result<(), Problem> {
    let broken = |error: io::Error| {
        Problem::new(
            ProblemKind::Internal,
            format!("the daemon cannot begin: {error}"),
        )
    };
    let lock = part::take_stdin().map_err(broken)?;
    let guard = PidFd::open(process::parent_pid()).map_err(broken)?;
    let signals = SignalFd::block(&SIGNALS).map_err(broken)?;
    // The directory that it was started in may be one that somebody wants to remove.
    std::env::set_current_dir("/").map_err(broken)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(broken)?;
    let mark = runtime.block_on(async {
        let guarded = Guarded {
            guard,
            lock: &lock,
            managed,
        };
        serve(settings, guarded, signals).await
    })?;
    // A guard that is no parent has no other way to know.
    lock::mark(&lock, mark).map_err(broken)
}

/// Who looks after the daemon proper.
struct Guarded<'a> {
    guard: PidFd,
    lock: &'a OwnedFd,
    managed: Option<Managed>,
}

async fn serve(
    settings: &Settings,
    guarded: Guarded<'_>,
    signals: SignalFd,
) -> Result<Mark, Problem> {
    let broken = |error: io::Error| {
        Problem::new(
            ProblemKind::Internal,
            format!("the daemon cannot begin: {error}"),
        )
    };
    let signals = readable(signals).map_err(broken)?;
    let (desk, mut shell) = Shell::open(settings)?;
    let socket = Home::socket_of(&settings.home);
    let door = Door::open(&socket, settings.read_group_id()?)
        .map_err(|error| crate::home::unusable(&socket, &error))?;
    let serving = tokio::spawn(door.serve(desk));
    announce(&Announcement::Ready {
        pid: process::parent_pid(),
    });
    let signs = hand_over_stdout(guarded.managed);
    shell.tell_guard(signs, guarded.managed);
    let watching = keep_guarded(guarded);
    let mark = tokio::select! {
        mark = shell.run(&signals) => mark,
        mark = watching => mark,
    };
    // The books are closed: streams are told to their end.
    drop(serving.await);
    Ok(mark)
}

/// One line for the guard.
fn announce(word: &Announcement) {
    let mut line = serde_json::to_vec(word).unwrap_or_default();
    line.push(b'\n');
    let mut stdout = io::stdout();
    // A guard that is dead is replaced.
    drop(stdout.write_all(&line).and_then(|()| stdout.flush()));
}

/// From now on stdout is nobody's. Under a service manager the guard hears signs on what it was.
fn hand_over_stdout(managed: Option<Managed>) -> Signs {
    let pipe = managed.and_then(|_| fd::duplicate(rustix::stdio::stdout()).ok());
    if let Ok(null) = fd::null() {
        let _kept = rustix::stdio::dup2_stdout(null);
    }
    pipe.map(Signs::on).unwrap_or_default()
}

/// Starts another guard whenever one dies. Returns when there can be none: under a service manager that
/// is what the manager has to see.
async fn keep_guarded(guarded: Guarded<'_>) -> Mark {
    let mut guard = guarded.guard;
    loop {
        if let Ok(waited) = readable(guard) {
            drop(waited.ready(Interest::READABLE).await);
            // A stand-in is our child.
            drop(waited.get_ref().0.wait());
        }
        if guarded.managed.is_some() {
            return Mark::Upgrade;
        }
        guard = match start_guard(guarded.lock) {
            Ok(guard) => guard,
            Err(error) => {
                complain(&format!("no guard can be started: {error}"));
                return std::future::pending().await;
            }
        };
    }
}

fn start_guard(lock: &OwnedFd) -> io::Result<PidFd> {
    let child = process::launch(Launch {
        executable: &Executable::current()?,
        argv0: "herder".into(),
        args: &part::arguments(),
        environment: vec![part::stand_in(process::current_pid())],
        stdin: fd::duplicate(lock.as_fd())?,
        stdout: Some(fd::null()?),
        stderr: None,
    })?;
    Ok(child.pidfd)
}
