//! The entry process: it starts the master, forwards signals to it, keeps what the next one needs, starts
//! that when one has died, adopts what the last one leaves behind, and cleans up. It parses nothing that a
//! worker or a client can write, and has no threads.

pub(crate) mod cleanup;
mod hearing;
pub(crate) mod orphans;
mod reign;
mod service;
mod shelf;
mod succession;
mod throne;
mod wishes;

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_core::spec::AppSpec;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::signal::{Signal, SignalFd};
use herder_sys::{failpoint, fd, limits, proc, process, residence, title};

use crate::launch::Launchpad;
use crate::operator;
use crate::status;
use cleanup::Leftovers;
use reign::{Dynasty, Reign};
use service::Service;
use shelf::Shelf;
use succession::Progress;
use throne::Throne;
use wishes::{Audience, Wishes};

/// How much longer than its workers a master may take to end before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(10);

/// Twice what the master holds for one wish, so that the keeper never counts a second that the
/// master does not.
const ECHO: Duration = operator::ECHO.saturating_mul(2);

/// How long after a master has taken charge the keeper takes it that it will mostly wait.
const BUSY: Duration = Duration::from_secs(2);

const SIGNALS: u64 = 0;
const MASTER: u64 = 1;
const CHANNEL: u64 = 2;

/// Keeps masters until the last one ends, and returns its exit status.
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
    /// What masters are started from, unless one has stored something else.
    launchpad: Launchpad,
    name: String,
    throne: Throne,
    dynasty: Dynasty,
    shelf: Shelf,
    service: Service,
    /// How the last attempt to say something to the master ended.
    progress: Progress,
    /// When the next attempt is to be made, if nothing else tells.
    resume_at: Option<Instant>,
    wishes: Wishes,
    /// Where a descriptor arrives.
    arrived: Vec<OwnedFd>,
    leftovers: Leftovers,
    /// When it gives back what only the beginning of a master needed.
    rest_at: Option<Instant>,
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
        failpoint::hit("keeper.start");
        let mut watched = operator::SIGNALS.to_vec();
        watched.push(Signal::Child);
        let signals = SignalFd::block(&watched)?;
        process::become_subreaper()?;
        let strangers = process::children()?;
        limits::raise_open_files()?;
        let (name, launchpad) = (spec.name.as_str(), Launchpad::current()?);
        // Without a title the herd still runs.
        let _untitled =
            title::prepare().and_then(|()| title::set(&format!("herder: keeper {name}")));
        let mut shelf = Shelf::new();
        let service = Service::take(&mut shelf);
        let epoll = Epoll::new()?;
        epoll.add(signals.as_fd(), SIGNALS, Interest::READABLE)?;
        let mut keeper = Keeper {
            epoll,
            signals,
            launchpad,
            name: name.to_owned(),
            throne: Throne::Empty(Instant::now()),
            dynasty: Dynasty::default(),
            shelf,
            service,
            progress: Progress::Done,
            resume_at: None,
            wishes: Wishes::default(),
            arrived: Vec::with_capacity(1),
            leftovers: Leftovers::default(),
            rest_at: None,
            grace: spec.life.grace,
            stop: Stop::Unasked,
            strangers,
        };
        keeper.enthrone()?;
        Ok(keeper)
    }

    fn watch(mut self) -> io::Result<u8> {
        let mut events = Events::with_capacity(4);
        loop {
            self.hand_on()?;
            self.pass_on_signals()?;
            self.epoll.wait(&mut events, self.timeout())?;
            for event in events.iter() {
                match event.token {
                    SIGNALS => self.take_signals()?,
                    CHANNEL => self.listen()?,
                    _ => {}
                }
            }
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
            if let Some(status) = self.keep_time()? {
                return Ok(status);
            }
        }
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read()? {
            if operator::is_end(signal) && !self.is_new_wish(signal) {
                continue;
            }
            if signal == Signal::Child
                && let Some(reign) = self.throne.reign_mut()
            {
                // It is also the signal of a child that was stopped, or goes on.
                reign.see(proc::is_stopped(reign.child.pid).then(Instant::now));
            }
            self.wishes.hear(signal);
        }
        Ok(())
    }

    /// Passes on what a master can obey: that the herd is to end, always; other things if it is in charge.
    fn pass_on_signals(&mut self) -> io::Result<()> {
        let Some(reign) = self.throne.reign() else {
            return Ok(());
        };
        let audience = if reign.takes_orders() {
            Audience::Court
        } else {
            Audience::Scaffold
        };
        while let Some(signal) = self.wishes.next(audience) {
            reign.child.pidfd.signal(signal)?;
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

    /// Reaps the master, what a dead one has left, and strangers. Returns the herd's exit status when
    /// the master's death is its end. (Needs no descriptor, so that it works also when the machine has
    /// none left.)
    fn reap(&mut self) -> io::Result<Option<u8>> {
        while let Some(pid) = process::peek_dead()? {
            // What a dead master said last has arrived: its children become ours after that.
            self.listen()?;
            let is_master = self.throne.reign().is_some_and(|it| it.child.pid == pid);
            let is_kept = !is_master && self.shelf.awaits_end_of(pid);
            if is_kept {
                failpoint::hit("keeper.exited");
                // What it has started goes with it. Until it is reaped, the number is its own.
                let _nobody = process::signal_group(pid, Signal::Kill);
            }
            let Some(exit) = process::reap_child(pid)? else {
                return Ok(None);
            };
            if is_master && let Some(status) = self.bury(exit) {
                return Ok(Some(status));
            }
            if is_kept {
                self.shelf.note_end(pid, exit.into_raw());
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
        let next = match &self.throne {
            Throne::Empty(at) => Some(*at),
            Throne::Taken(reign) => reign.deadline(),
        };
        let times = [
            self.hung_at(),
            next,
            self.resume_at,
            self.rest_at,
            self.service.deadline(),
        ];
        let first = times.into_iter().flatten().min();
        first.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Once there is nothing to do but wait, little of what the beginning needed is needed.
    fn rest(&mut self, now: Instant) {
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest_at = None;
            residence::give_back();
        }
    }

    /// Its death ends the herd by the other way: what it leaves is ended here.
    fn end_hung_master(&mut self) -> io::Result<()> {
        if self.hung_at().is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let Some(reign) = self.throne.reign_mut() else {
            return Ok(());
        };
        complain(&format!(
            "the master [{}] does not end and is killed",
            reign.child.pid
        ));
        // Once: from now on the kernel is at it.
        self.stop = Stop::AtOnce(Instant::now());
        reign.was_killed();
        reign.child.pidfd.signal(Signal::Kill)
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

    /// The last master is gone: end what it left, clean up.
    fn end(&mut self, reign: &Reign, exit: ExitStatus) -> u8 {
        if let Some(signal) = exit.signal() {
            let name = Signal::from_number(signal).map_or("a signal", Signal::name);
            complain(&format!(
                "the master [{}] died: {name}; its workers are told to leave, and killed after {} s",
                reign.child.pid,
                self.grace.as_secs_f32()
            ));
        }
        let code = exit.code().and_then(|code| u8::try_from(code).ok());
        self.end_without_master(code.unwrap_or(status::INTERNAL))
    }

    /// Ends what masters have left and cleans up. No failure of the one must prevent the other.
    fn end_without_master(&mut self, status: u8) -> u8 {
        let kill_at = self.kill_at();
        self.service.announce_end();
        if let Err(error) = orphans::end_all(&self.signals, kill_at, &mut self.strangers) {
            complain(&format!("what the master left cannot be ended: {error}"));
        }
        self.leftovers.remove();
        status
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
