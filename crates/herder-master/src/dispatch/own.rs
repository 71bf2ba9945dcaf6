//! `kernel` and `reuseport` mode: each worker accepts from a listener of its own. This thread looks
//! after the queues of those listeners, and only while somebody waits in one.

use std::io;
use std::os::fd::AsFd;

use herder_core::Tick;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::{clock, sched};

use super::{Berths, Command, Desk, Ended};

const WAKE: u64 = 0;
const FIRST_GROUP: u64 = 1;

/// How many events one turn takes from the kernel.
const EVENTS: usize = 16;

/// The dispatch thread of an app in one of these modes.
pub(super) struct Own {
    desk: Desk,
    epoll: Epoll,
    berths: Berths,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    End,
    Surrender,
}

impl Own {
    pub(super) fn new(desk: Desk, berths: Berths) -> io::Result<Own> {
        let epoll = Epoll::new()?;
        epoll.add(desk.wake.as_fd(), WAKE, Interest::READABLE)?;
        berths.watch(&epoll, FIRST_GROUP)?;
        Ok(Own {
            desk,
            epoll,
            berths,
        })
    }

    /// Runs until told to stop.
    pub(super) fn run(self) -> io::Result<Ended> {
        // Who waits behind a busy worker waits for this thread: it is not to wait for one in its turn. Refused in
        // some sandboxes; then they wait some milliseconds longer.
        let _patient = sched::prompt_this_thread();
        Ok(match self.turns()? {
            Next::Surrender => Ended::Surrendered(Box::default()),
            Next::Continue | Next::End => Ended::Stopped,
        })
    }

    fn turns(&self) -> io::Result<Next> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            for news in self.berths.news() {
                self.desk.tell(news);
            }
            match self.berths.next_timer() {
                Some(at) => self.epoll.wait_precisely(&mut events, at.since(now()))?,
                None => self.epoll.wait(&mut events, None)?,
            }
            if events.iter().any(|event| event.token == WAKE) {
                let next = self.obey();
                if next != Next::Continue {
                    return Ok(next);
                }
            }
            self.berths.wake();
        }
    }

    /// What is about the listeners was done when it was said.
    fn obey(&self) -> Next {
        self.desk.wake.clear();
        while let Ok(command) = self.desk.commands.try_recv() {
            match command {
                Command::CloseListeners(within) => self.berths.close(within),
                #[cfg(test)]
                Command::Die => super::die(),
                Command::Stop => return Next::End,
                Command::Surrender => return Next::Surrender,
                Command::Admit(_)
                | Command::Attach(..)
                | Command::Gone(_)
                | Command::Guessed(_)
                | Command::Hold(_)
                | Command::Load(..)
                | Command::Node(..)
                | Command::Withdraw(_) => {}
            }
        }
        Next::Continue
    }
}

fn now() -> Tick {
    Tick::from_micros(clock::monotonic_micros())
}
