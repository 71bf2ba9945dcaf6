//! The entry process: it starts the master, forwards signals to it, adopts what the master leaves
//! behind, and cleans up. It parses nothing that a worker or a client can write, and has no
//! threads.

pub(crate) mod cleanup;
pub(crate) mod orphans;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_core::spec::AppSpec;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::process::{self, Child};
use herder_sys::signal::{Signal, SignalFd};
use herder_sys::socket::{self, Wait};
use herder_sys::title;
use herder_wire::keeper::{MAX_FRAME, ToKeeper};
use herder_wire::plan::{DescriptorUse, LaunchPlan, Role};

use crate::launch::{self, Launchpad, Stdio};
use crate::status;
use cleanup::Leftovers;

/// What is forwarded to the master.
const FORWARDED: [Signal; 8] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Terminate,
    Signal::Ttin,
    Signal::Ttou,
    Signal::User1,
    Signal::User2,
];

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
}

/// What the operator has asked for. It holds for what the master leaves behind as it does for the workers.
#[derive(Clone, Copy)]
enum Stop {
    /// Nothing.
    Unasked,
    /// An end in order, at this time.
    Asked(Instant),
    /// An end at once.
    AtOnce,
}

impl Keeper {
    fn start(spec: &AppSpec) -> io::Result<Keeper> {
        let mut watched = FORWARDED.to_vec();
        watched.push(Signal::Child);
        let signals = SignalFd::block(&watched)?;
        process::become_subreaper()?;
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
        })
    }

    fn watch(mut self) -> io::Result<u8> {
        let mut events = Events::with_capacity(4);
        loop {
            self.epoll.wait(&mut events, None)?;
            for event in events.iter() {
                match event.token {
                    SIGNALS => self.forward()?,
                    CHANNEL => self.listen()?,
                    _ => {}
                }
            }
            self.reap_strangers()?;
            if let Some(exit) = self.master.pidfd.wait()? {
                self.listen()?;
                return self.end(exit);
            }
        }
    }

    fn forward(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read()? {
            if signal == Signal::Child {
                continue;
            }
            if orphans::is_end(signal) {
                self.stop = match self.stop {
                    Stop::Unasked => Stop::Asked(Instant::now()),
                    Stop::Asked(_) | Stop::AtOnce => Stop::AtOnce,
                };
            }
            self.master.pidfd.signal(signal)?;
        }
        Ok(())
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

    /// Reaps adopted orphans; the master itself is reaped through its pidfd.
    fn reap_strangers(&self) -> io::Result<()> {
        orphans::reap_all_but(self.master.pid)
    }

    /// When what the master has left is killed. What is told to stop has one grace for all of it: the
    /// workers may have used it up.
    fn kill_at(&self) -> Instant {
        match self.stop {
            Stop::Unasked => Instant::now() + self.grace,
            Stop::Asked(at) => at + self.grace,
            Stop::AtOnce => Instant::now(),
        }
    }

    /// The master is gone: end what it left, clean up.
    fn end(self, exit: ExitStatus) -> io::Result<u8> {
        if let Some(signal) = exit.signal() {
            let name = Signal::from_number(signal).map_or("a signal", Signal::name);
            complain(&format!(
                "the master [{}] died: {name}; its workers are told to leave, and killed after {} s",
                self.master.pid,
                self.grace.as_secs_f32()
            ));
        }
        orphans::end_all(&self.signals, self.kill_at())?;
        self.leftovers.remove();
        let code = exit.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.unwrap_or(status::INTERNAL))
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the keeper has no output thread, and little to say"
)]
fn complain(text: &str) {
    eprintln!("herder: {text}");
}
