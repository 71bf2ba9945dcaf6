//! The entry process: it starts the master, forwards signals to it, adopts what the master leaves
//! behind, and cleans up. It parses nothing that a worker or a client can write, and has no
//! threads.

pub(crate) mod cleanup;
pub(crate) mod orphans;

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_core::spec::AppSpec;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd;
use herder_sys::process::{self, Child};
use herder_sys::signal::{Signal, SignalFd};
use herder_sys::socket::{self, Wait};
use herder_sys::title;
use herder_wire::keeper::{MAX_FRAME, ToKeeper};
use herder_wire::plan::{DescriptorUse, LaunchPlan, Role};

use crate::launch::{self, Launchpad, Stdio};
use crate::operator;
use crate::status;
use cleanup::Leftovers;

/// How much longer than its workers a master may take to end before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(10);

/// Twice what the master holds for one wish, so that the keeper never counts a second that the
/// master does not.
const ECHO: Duration = operator::ECHO.saturating_mul(2);

const SIGNALS: u64 = 0;
const MASTER: u64 = 1;
const CHANNEL: u64 = 2;

/// Keeps a master until it ends, and returns its exit status.
pub(crate) fn keep(spec: &AppSpec) -> u8 {
    match Keeper::start(spec).and_then(Keeper::watch) {
        Ok(status) => status,
        Err(error) => {
            complain(&format!("the keeper failed: {error}"));
            status::INTERNAL
        }
    }
}

struct Keeper {
    epoll: Epoll,
    signals: SignalFd,
    channel: OwnedFd,
    master: Child,
    leftovers: Leftovers,
    grace: Duration,
    stop: Stop,
    /// Children that this process had before it became a keeper: whoever executed it started them.
    strangers: Vec<i32>,
}

/// What the operator has asked for. It holds for what the master leaves behind as it does for the workers.
#[derive(Clone, Copy)]
enum Stop {
    /// Nothing.
    Unasked,
    /// An end in order, at this time, by this signal.
    Asked(Instant, Signal),
    /// An end at once, at this time.
    AtOnce(Instant),
}

impl Keeper {
    fn start(spec: &AppSpec) -> io::Result<Keeper> {
        let mut watched = operator::SIGNALS.to_vec();
        watched.push(Signal::Child);
        let signals = SignalFd::block(&watched)?;
        process::become_subreaper()?;
        let strangers = process::children()?;
        let (name, launchpad) = (spec.name.as_str(), Launchpad::current()?);
        // Without a title the herd still runs.
        let _untitled =
            title::prepare().and_then(|()| title::set(&format!("herder: keeper {name}")));
        let (channel, theirs) = socket::seqpacket_pair()?;
        let launched = launchpad.start(Role::Master, name, Stdio::default())?;
        let plan = LaunchPlan {
            descriptors: vec![DescriptorUse::Keeper],
            ..launch::bare_plan(Role::Master, name)
        };
        launched.plan_socket.send(&plan, &[theirs.as_fd()])?;
        let epoll = Epoll::new()?;
        epoll.add(signals.as_fd(), SIGNALS, Interest::READABLE)?;
        epoll.add(launched.child.pidfd.as_fd(), MASTER, Interest::READABLE)?;
        epoll.add(channel.as_fd(), CHANNEL, Interest::READABLE)?;
        Ok(Keeper {
            epoll,
            signals,
            channel,
            master: launched.child,
            leftovers: Leftovers::default(),
            grace: spec.life.grace,
            stop: Stop::Unasked,
            strangers,
        })
    }

    fn watch(mut self) -> io::Result<u8> {
        let mut events = Events::with_capacity(4);
        loop {
            self.epoll.wait(&mut events, self.timeout())?;
            for event in events.iter() {
                match event.token {
                    SIGNALS => self.forward()?,
                    CHANNEL => self.listen()?,
                    _ => {}
                }
            }
            if let Some(exit) = self.reap()? {
                return Ok(self.end(exit));
            }
            self.end_hung_master()?;
        }
    }

    fn forward(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read()? {
            if signal == Signal::Child {
                continue;
            }
            if operator::is_end(signal) && !self.is_new_wish(signal) {
                continue;
            }
            self.master.pidfd.signal(signal)?;
        }
        Ok(())
    }

    /// Whether an ending signal says more than the one before it, which is then remembered.
    fn is_new_wish(&mut self, signal: Signal) -> bool {
        let now = Instant::now();
        let (stop, is_new) = match self.stop {
            Stop::Unasked => (Stop::Asked(now, signal), true),
            Stop::Asked(at, first) if first == signal && now < at + ECHO => (self.stop, false),
            Stop::Asked(..) => (Stop::AtOnce(now), true),
            Stop::AtOnce(_) => (self.stop, true),
        };
        self.stop = stop;
        is_new
    }

    /// Reads what the master wants to be cleaned up after it.
    fn listen(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; MAX_FRAME];
        loop {
            let wait = Wait::DontWait;
            match socket::receive(self.channel.as_fd(), &mut bytes, &mut Vec::new(), 0, wait) {
                Ok(received) if received.len == 0 => {
                    return self
                        .epoll
                        .remove(self.channel.as_fd())
                        .or_else(ignore_missing);
                }
                Ok(received) => match ToKeeper::decode(&bytes[..received.len]) {
                    Ok(Some(ToKeeper::Grace { millis })) => {
                        self.grace = Duration::from_millis(u64::from(millis));
                    }
                    Ok(Some(frame)) => self.leftovers.note(frame),
                    Ok(None) => {}
                    Err(error) => complain(&format!("the master sent nonsense: {error}")),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reaps adopted orphans and the master, whose exit status it returns. (Needs no descriptor, so that it
    /// works also when the machine has none left.)
    fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        while let Some((pid, status)) = process::reap()? {
            if pid == self.master.pid {
                return Ok(Some(status));
            }
            self.strangers.retain(|known| *known != pid);
        }
        Ok(None)
    }

    /// When a master that was told to end counts as hung.
    fn hung_at(&self) -> Option<Instant> {
        match self.stop {
            Stop::Unasked => None,
            Stop::Asked(at, _) => Some(at + self.grace + PATIENCE),
            Stop::AtOnce(at) => Some(at + PATIENCE),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        self.hung_at()
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Its death ends the herd by the other way: what it leaves is ended here.
    fn end_hung_master(&mut self) -> io::Result<()> {
        if self.hung_at().is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        complain(&format!(
            "the master [{}] does not end and is killed",
            self.master.pid
        ));
        // Once: from now on the kernel is at it.
        self.stop = Stop::AtOnce(Instant::now());
        self.master.pidfd.signal(Signal::Kill)
    }

    /// When what the master has left is killed. What is told to stop has one grace for all of it: the
    /// workers may have used it up.
    fn kill_at(&self) -> Instant {
        match self.stop {
            Stop::Unasked => Instant::now() + self.grace,
            Stop::Asked(at, _) => at + self.grace,
            Stop::AtOnce(_) => Instant::now(),
        }
    }

    /// The master is gone: end what it left, clean up. No failure of the one must prevent the other.
    fn end(mut self, exit: ExitStatus) -> u8 {
        if let Err(error) = self.listen() {
            complain(&format!("the master's last words are lost: {error}"));
        }
        if let Some(signal) = exit.signal() {
            let name = Signal::from_number(signal).map_or("a signal", Signal::name);
            complain(&format!(
                "the master [{}] died: {name}; its workers are told to leave, and killed after {} s",
                self.master.pid,
                self.grace.as_secs_f32()
            ));
        }
        let kill_at = self.kill_at();
        if let Err(error) = orphans::end_all(&self.signals, kill_at, &mut self.strangers) {
            complain(&format!("what the master left cannot be ended: {error}"));
        }
        self.leftovers.remove();
        let code = exit.code().and_then(|code| u8::try_from(code).ok());
        code.unwrap_or(status::INTERNAL)
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

/// Says something, unless nobody takes it: neither a full pipe nor a closed one must keep the keeper
/// from its work, which is never as needed as after a failure.
pub(crate) fn complain(text: &str) {
    let mut stderr = io::stderr();
    if fd::has_room(stderr.as_fd()) {
        let _unheard = stderr.write_all(format!("herder: {text}\n").as_bytes());
    }
}
