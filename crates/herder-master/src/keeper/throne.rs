//! Who is the master: its start, its death, and who comes next.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_sys::epoll::Interest;
use herder_sys::failpoint;
use herder_sys::fd;
use herder_sys::limits;
use herder_sys::process::Executable;
use herder_sys::signal::Signal;
use herder_sys::{proc, socket};
use herder_wire::keeper::Key;
use herder_wire::plan::{DescriptorUse, LaunchPlan, Limit, LimitKind, Role};

use super::reign::{Reign, Sentence, Verdict};
use super::succession::{Progress, Succession};
use super::{CHANNEL, Keeper, MASTER, Stop, complain};
use crate::launch::{self, Launched, Launchpad, Stdio};
use crate::status;

/// How long the keeper waits while too many descriptors are on their way.
const LATER: Duration = Duration::from_millis(10);

/// Whether there is a master.
pub(super) enum Throne {
    /// None; the next one comes at this time.
    Empty(Instant),
    /// This one.
    Taken(Box<Reign>),
}

impl Throne {
    pub(super) fn reign(&self) -> Option<&Reign> {
        match self {
            Throne::Empty(_) => None,
            Throne::Taken(reign) => Some(reign),
        }
    }

    pub(super) fn reign_mut(&mut self) -> Option<&mut Reign> {
        match self {
            Throne::Empty(_) => None,
            Throne::Taken(reign) => Some(reign),
        }
    }
}

impl Keeper {
    /// Starts a master.
    pub(super) fn enthrone(&mut self) -> io::Result<()> {
        let (channel, theirs) = socket::seqpacket_pair()?;
        let launched = self.launch(&theirs)?;
        drop(theirs);
        let child = launched.child;
        self.epoll
            .add(child.pidfd.as_fd(), MASTER, Interest::READABLE)?;
        self.epoll
            .add(channel.as_fd(), CHANNEL, Interest::READABLE)?;
        let succession = self.succession();
        self.throne = Throne::Taken(Box::new(Reign::new(child, channel, succession)));
        Ok(())
    }

    /// The plan says nothing that a master does not find for itself, save how many descriptors it may
    /// have: the keeper has raised its own limit.
    fn launch(&self, theirs: &OwnedFd) -> io::Result<Launched> {
        let (soft, hard) = limits::inherited_open_files();
        let plan = LaunchPlan {
            descriptors: vec![DescriptorUse::Keeper],
            limits: vec![Limit {
                kind: LimitKind::OpenFiles,
                soft,
                hard,
            }],
            ..launch::bare_plan(Role::Master, &self.name)
        };
        let launchpad = match self.shelf.get(&Key::executable()) {
            Some(stored) => {
                let executable = Executable::from_descriptor(fd::duplicate(stored)?)?;
                &Launchpad::of(executable)
            }
            None => &self.launchpad,
        };
        let launched = launchpad.start(Role::Master, &self.name, Stdio::default())?;
        match launched.plan_socket.send(&plan, &[theirs.as_fd()]) {
            Ok(()) => Ok(launched),
            Err(error) => {
                // Without its plan it ends by itself, and is reaped as any orphan.
                let _dead = launched.child.pidfd.signal(Signal::Kill);
                Err(error)
            }
        }
    }

    /// Everything from the beginning, for a new master or one that has become another build.
    pub(super) fn succession(&mut self) -> Succession {
        failpoint::hit("keeper.handover");
        Succession::new(&mut self.shelf, self.dynasty.died())
    }

    /// Says to the master what is to be said.
    pub(super) fn hand_on(&mut self) -> io::Result<()> {
        let Throne::Taken(reign) = &mut self.throne else {
            return Ok(());
        };
        let progress = reign
            .succession
            .advance(reign.channel.as_fd(), &mut self.shelf);
        self.resume_at = (progress == Progress::Later).then(|| Instant::now() + LATER);
        if progress == self.progress {
            return Ok(());
        }
        self.progress = progress;
        let wanted = match progress {
            Progress::Full => Interest::READABLE | Interest::WRITABLE,
            Progress::Done | Progress::Later => Interest::READABLE,
        };
        self.epoll
            .modify(reign.channel.as_fd(), CHANNEL, wanted)
            .or_else(super::ignore_missing)
    }

    /// The master is dead. Returns the herd's exit status when that is its end.
    pub(super) fn bury(&mut self, exit: ExitStatus) -> Option<u8> {
        let now = Instant::now();
        let Throne::Taken(reign) = std::mem::replace(&mut self.throne, Throne::Empty(now)) else {
            return None;
        };
        self.progress = Progress::Done;
        self.resume_at = None;
        self.wishes.inherit();
        if reign.is_leaving() || !matches!(self.stop, Stop::Unasked) {
            return Some(self.end(&reign, exit));
        }
        let pid = reign.child.pid;
        match self.dynasty.bury(Some(exit), now) {
            Verdict::End => Some(self.end(&reign, exit)),
            Verdict::GiveUp => {
                complain(&format!("the master [{pid}] died: {}", manner(exit)));
                Some(self.give_up())
            }
            Verdict::Next(pause) => {
                complain(&format!(
                    "the master [{pid}] died: {}; another takes over",
                    manner(exit)
                ));
                self.throne = Throne::Empty(now + pause);
                None
            }
        }
    }

    /// Does what the time demands. Returns the herd's exit status when that is its end.
    pub(super) fn keep_time(&mut self) -> io::Result<Option<u8>> {
        self.end_hung_master()?;
        let now = Instant::now();
        self.rest(now);
        self.service.retry(now);
        match self.throne.reign() {
            Some(reign) if !reign.is_well(now) => self.service.skip_beat(now),
            _ => self.service.beat(now),
        }
        match &mut self.throne {
            Throne::Empty(_) if !matches!(self.stop, Stop::Unasked) => {
                Ok(Some(self.end_without_master(status::STOPPED)))
            }
            Throne::Empty(at) if *at <= now => Ok(self.restart()),
            Throne::Empty(_) => Ok(None),
            Throne::Taken(reign) => {
                if let Some(sentence) = reign.judge(now) {
                    execute(reign, sentence)?;
                }
                Ok(None)
            }
        }
    }

    fn restart(&mut self) -> Option<u8> {
        failpoint::hit("keeper.restart");
        let Err(error) = self.enthrone() else {
            return None;
        };
        complain(&format!("no other master can be started: {error}"));
        let now = Instant::now();
        match self.dynasty.bury(None, now) {
            Verdict::End | Verdict::GiveUp => Some(self.give_up()),
            Verdict::Next(pause) => {
                self.throne = Throne::Empty(now + pause);
                None
            }
        }
    }

    fn give_up(&mut self) -> u8 {
        complain(&format!(
            "no master lives long enough to be in charge; the workers are told to leave, and killed \
             after {} s",
            self.grace.as_secs_f32()
        ));
        self.end_without_master(status::INTERNAL)
    }
}

/// Ends a master that hangs. Its death is heard of like any other.
fn execute(reign: &mut Reign, sentence: Sentence) -> io::Result<()> {
    let pid = reign.child.pid;
    let signal = match sentence {
        Sentence::Abort(silence) => {
            let seconds = silence.as_secs_f32();
            complain(&format!(
                "the master [{pid}] was not heard of for {seconds:.1} s and is killed"
            ));
            if proc::is_stopped(pid) {
                reign.was_killed();
                Signal::Kill
            } else {
                Signal::Abort
            }
        }
        Sentence::Kill => Signal::Kill,
        Sentence::KillUnready(taken) => {
            let seconds = taken.as_secs_f32();
            complain(&format!(
                "the master [{pid}] is not in charge after {seconds:.1} s and is killed"
            ));
            Signal::Kill
        }
    };
    reign.child.pidfd.signal(signal)
}

/// How it died.
fn manner(exit: ExitStatus) -> String {
    match (exit.code(), exit.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => {
            let signal = signal.and_then(Signal::from_number);
            signal.map_or("a signal", Signal::name).to_owned()
        }
    }
}
