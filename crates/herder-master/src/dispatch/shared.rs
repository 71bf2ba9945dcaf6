//! `shared` mode: the workers accept from listeners that they share. The master only looks after
//! the listeners.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::listener::{self, Listener};
use herder_sys::{clock, failpoint};

use super::{Command, Desk, Ended, Inheritance, News, Remains, Watch};

const WAKE: u64 = 0;
const FIRST_LISTENER: u64 = 1;

/// A connection that still waits this long after a worker's end is helped along.
const STANDS: Duration = Duration::from_millis(50);

/// How often waiting connections are looked at after a worker's end. The wake-up of a worker that
/// dies is lost with it, also when the death is noticed a little later than it happens.
const LOOKS: u8 = 4;

/// How many connections the kernel queues when a listener has to listen again.
const BACKLOG: u32 = 4096;

/// The dispatch thread of an app in `shared` mode.
pub(super) struct Shared {
    desk: Desk,
    epoll: Epoll,
    listeners: Vec<Listener>,
    watch: Watch,
    /// After a worker's end: when to look again, and how often still.
    look: Option<(Tick, u8)>,
    nudges: u64,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    End,
    Surrender,
}

impl Shared {
    pub(super) fn new(inheritance: Inheritance, desk: Desk, watch: Watch) -> io::Result<Shared> {
        // A worker may have died while nobody looked after who waits.
        let look = inheritance
            .is_succession()
            .then(|| (now().after(STANDS), LOOKS));
        let listeners = inheritance.listeners;
        let epoll = Epoll::new()?;
        epoll.add(desk.wake.as_fd(), WAKE, Interest::READABLE)?;
        for (listener, token) in listeners.iter().zip(FIRST_LISTENER..) {
            // Only a shutdown is of interest, and that is always reported.
            epoll.add(listener.as_fd(), token, Interest::NONE)?;
        }
        Ok(Shared {
            desk,
            epoll,
            listeners,
            watch,
            look,
            nudges: 0,
        })
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) -> io::Result<Ended> {
        Ok(match self.turns()? {
            Next::Surrender => Ended::Surrendered(Box::new(Remains::of_listeners(self.listeners))),
            Next::Continue | Next::End => Ended::Stopped,
        })
    }

    fn turns(&mut self) -> io::Result<Next> {
        let mut events = Events::with_capacity(16);
        loop {
            let timeout = self.look.map(|(at, _)| at.since(now()));
            self.epoll.wait(&mut events, timeout)?;
            for event in events.iter() {
                match event.token {
                    WAKE => {
                        let next = self.obey();
                        if next != Next::Continue {
                            return Ok(next);
                        }
                    }
                    token => self.listen_again(token)?,
                }
            }
            self.look_after_waiting();
        }
    }

    fn obey(&mut self) -> Next {
        self.desk.wake.clear();
        while let Ok(command) = self.desk.commands.try_recv() {
            match command {
                // Who accepts is the workers' own business here.
                Command::Admit(_)
                | Command::Attach(..)
                | Command::Guessed(_)
                | Command::Hold(_)
                | Command::Load(..)
                | Command::Node(..) => {}
                Command::CloseListeners(_) => self.close_listeners(),
                #[cfg(test)]
                Command::Die => crate::dispatch::die(),
                Command::Gone(_) => self.look = Some((now().after(STANDS), LOOKS)),
                Command::Stop => return Next::End,
                Command::Surrender => return Next::Surrender,
                Command::Withdraw(worker) => {
                    self.look = Some((now().after(STANDS), LOOKS));
                    failpoint::hit("dispatch.shared.withdrawn");
                    self.desk.tell(News::Withdrawn(worker));
                }
            }
        }
        Next::Continue
    }

    /// The workers' duplicates live on: without its removal the epoll would still watch what they
    /// share, and wake this thread without end when one of them shuts it down on its way out.
    fn close_listeners(&mut self) {
        for listener in self.listeners.drain(..) {
            // It is watched, unless it could not be made to listen again.
            let _unwatched = self.epoll.remove(listener.as_fd());
        }
        self.desk.tell(News::ListenersClosed);
    }

    /// Opens and closes a connection to each listener at which somebody waits: it wakes another
    /// worker, which then takes both.
    fn look_after_waiting(&mut self) {
        let Some((at, left)) = self.look else { return };
        if at > now() {
            return;
        }
        self.look = (left > 1).then(|| (now().after(STANDS), left - 1));
        if self.watch == Watch::WorkersNudged {
            return;
        }
        for listener in &self.listeners {
            if listener.has_waiting() && listener::connect_and_close(listener.local()).is_ok() {
                self.nudges += 1;
                self.desk.tell(News::Nudged(self.nudges));
            }
        }
    }

    /// A worker has shut the listener down, which it can because it shares it. With an explicit
    /// port it can be made to listen again.
    fn listen_again(&mut self, token: u64) -> io::Result<()> {
        let place = usize::try_from(token - FIRST_LISTENER).unwrap_or(usize::MAX);
        let Some(listener) = self.listeners.get(place) else {
            return Ok(());
        };
        match listener::listen_again(listener.as_fd(), BACKLOG) {
            Ok(()) => self
                .desk
                .tell(News::Relistened(listener.local().to_string())),
            Err(error) => {
                let address = listener.local();
                self.desk.tell(News::Failed(format!(
                    "cannot listen on {address} again: {error}"
                )));
                // Its readiness would never end; nothing more can be done for it.
                self.epoll.remove(listener.as_fd())?;
            }
        }
        Ok(())
    }
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}
