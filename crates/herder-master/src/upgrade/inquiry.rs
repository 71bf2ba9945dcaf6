//! The question that is put to a new build before a master becomes it.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use herder_core::{Exit, Tick};
use herder_sys::process::Child;
use herder_sys::signal::Signal;
use herder_sys::socket::{self, Wait};
use herder_sys::{fd, memory, pipe, process};
use herder_wire::plan::{DescriptorUse, LaunchPlan, Role};
use herder_wire::probe::{Finding, MAX_ANSWER, ProbeAnswer};

use crate::launch::{self, Launched, Launchpad, PlanSocket, Stdio};

/// How long a probe may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How much of what a probe prints is kept.
const MAX_PRINTED: usize = 16 * 1024;

/// How many lines of it are shown.
const SHOWN: usize = 20;

/// A probe that runs.
pub(crate) struct Inquiry {
    build: Launchpad,
    child: Child,
    socket: PlanSocket,
    /// The end to read of what it prints.
    output: OwnedFd,
    began: Tick,
    printed: Vec<u8>,
}

/// How a probe ended.
pub(crate) enum Outcome {
    /// The build can be the master.
    Fits(Launchpad),
    /// It cannot.
    Refused(Refusal),
}

/// Why a build cannot be the master.
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) exit: Option<Exit>,
    pub(crate) last_lines: Vec<String>,
}

impl Refusal {
    /// Without a probe.
    pub(crate) fn because(reason: impl Into<String>) -> Refusal {
        Refusal {
            reason: reason.into(),
            exit: None,
            last_lines: Vec::new(),
        }
    }
}

impl Inquiry {
    /// Starts the build as a probe of this state.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        build: Launchpad,
        app: &str,
        state: &[u8],
        now: Tick,
    ) -> io::Result<Inquiry> {
        let state = memory::sealed(state)?;
        let (output, theirs) = pipe::pipe()?;
        fd::set_blocking(output.as_fd(), fd::Blocking::No)?;
        let stdio = Stdio {
            stdout: Some(fd::duplicate(theirs.as_fd())?),
            stderr: Some(theirs),
        };
        let Launched { child, plan_socket } = build.start(Role::Probe, app, stdio)?;
        let inquiry = Inquiry {
            build,
            child,
            socket: plan_socket,
            output,
            began: now,
            printed: Vec::new(),
        };
        let plan = LaunchPlan {
            descriptors: vec![DescriptorUse::Estate],
            ..launch::bare_plan(Role::Probe, app)
        };
        match inquiry.socket.send(&plan, &[state.as_fd()]) {
            Ok(()) => Ok(inquiry),
            Err(error) => {
                inquiry.abandon();
                Err(error)
            }
        }
    }

    /// Becomes readable when it has ended.
    pub(crate) fn end(&self) -> BorrowedFd<'_> {
        self.child.pidfd.as_fd()
    }

    /// When it counts as hung.
    pub(crate) fn deadline(&self) -> Tick {
        self.began.after(PATIENCE)
    }

    /// What it prints becomes readable here.
    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// What came of it, if it has ended or its time is over.
    pub(crate) fn outcome(mut self, now: Tick) -> Result<Outcome, Box<Inquiry>> {
        self.read();
        let ended = self.child.pidfd.wait();
        let exit = match ended {
            Ok(Some(status)) => Some(crate::master::exit_of(status)),
            Ok(None) if now < self.deadline() => return Err(Box::new(self)),
            Ok(None) => None,
            Err(_) => Some(Exit::Unknown),
        };
        let answer = self.answer();
        let last_lines = last_lines(&self.printed);
        let refused = |reason: String| {
            Outcome::Refused(Refusal {
                reason,
                exit,
                last_lines,
            })
        };
        Ok(match (exit, answer) {
            (None, _) => {
                let seconds = PATIENCE.as_secs();
                self.abandon();
                refused(format!("the new build was not ready within {seconds} s"))
            }
            (Some(Exit::Code(0)), Some(answer)) => match answer.finding {
                Finding::Fits => Outcome::Fits(self.build),
                Finding::Refuses(reason) => refused(reason),
            },
            (Some(exit), _) => refused(format!(
                "the new build ended without an answer: {}",
                told(exit)
            )),
        })
    }

    /// Ends it, whatever it does.
    pub(crate) fn abandon(self) {
        let _gone = process::signal_group(self.child.pid, Signal::Kill);
        let _dead = self.child.pidfd.signal(Signal::Kill);
        let _unreaped = self.child.pidfd.wait_until_dead();
    }

    /// Reads what it prints, so that it is not held up.
    fn read(&mut self) {
        let mut room = [0; 4096];
        let Ok(duplicate) = fd::duplicate(self.output.as_fd()) else {
            return;
        };
        let mut pipe = std::fs::File::from(duplicate);
        while let Ok(length @ 1..) = pipe.read(&mut room) {
            self.printed.extend_from_slice(&room[..length]);
            let excess = self.printed.len().saturating_sub(MAX_PRINTED);
            self.printed.drain(..excess);
        }
    }

    fn answer(&self) -> Option<ProbeAnswer> {
        let mut bytes = [0; MAX_ANSWER];
        let (socket, mut none) = (self.socket.socket(), Vec::new());
        let got = socket::receive(socket, &mut bytes, &mut none, 0, Wait::DontWait).ok()?;
        ProbeAnswer::decode(&bytes[..got.len]).ok()
    }
}

fn told(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("it exited with status {code}"),
        Exit::Signal(number) => {
            let name = Signal::from_number(number).map_or("a signal", Signal::name);
            format!("it was ended by {name}")
        }
        Exit::OutOfMemory => "it was killed for want of memory".to_owned(),
        Exit::Unknown => "nobody knows how".to_owned(),
    }
}

fn last_lines(printed: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(SHOWN);
    lines[first..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}
