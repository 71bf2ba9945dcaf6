//! A worker whose program has an event loop of its own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_sys::clock;
use herder_sys::fd::Blocking;

use crate::connection::Connection;
use crate::worker::acceptor::{Acceptor, Step};
use crate::worker::link::Link;
use crate::worker::lock;

/// How often it is looked how long the loop has waited.
const PACE: Duration = Duration::from_millis(10);

/// What [`Worker::try_accept`](crate::Worker::try_accept) has found.
#[derive(Debug)]
pub enum Attempt {
    /// A connection, non-blocking. There may be more.
    Connection(Connection),
    /// None is there.
    Nothing {
        /// In how long to ask again, though the descriptor does not become readable; `None` = not before it does.
        within: Option<Duration>,
    },
    /// The worker comes to its end, and no connection is left that was already its own: finish what is open,
    /// then return.
    Ended,
}

/// What is known of the program's loop.
#[derive(Default)]
pub(crate) struct Polling {
    seen: Seen,
    /// When it was looked last how long the loop had waited, and how long its thread had worked by then.
    mark: Option<(Instant, Duration)>,
}

/// Whether the kernel was asked, or had a connection unasked, since there was nothing last. What comes later makes
/// the descriptor readable again.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Seen {
    #[default]
    Before,
    Since,
}

impl Polling {
    pub(crate) fn attempt(
        &mut self,
        link: &Arc<Link>,
        acceptor: &mut Acceptor,
    ) -> io::Result<Attempt> {
        if self.mark.is_none() {
            // The loop does other things before it waits.
            lock(&link.schedule).has_no_home();
            acceptor.accept_nonblocking();
        }
        loop {
            let now = Instant::now();
            let due = link.tick(now);
            match self.step(link, acceptor)? {
                Step::Arrived(arrival) => {
                    // One that cannot be set up is gone already; the next may be fine.
                    if let Ok(connection) = Connection::new(arrival, link, Blocking::No) {
                        return Ok(Attempt::Connection(connection));
                    }
                }
                Step::Exhausted => return Ok(Attempt::Ended),
                Step::Nothing => {
                    self.note(link, now);
                    let within = due.into_iter().chain(acceptor.pause_left(now)).min();
                    return Ok(Attempt::Nothing { within });
                }
            }
        }
    }

    /// Asks the kernel once for each time that the loop comes, and not for each connection. It comes because
    /// somebody waits, mostly: where that can only be at one listener, asking who does is saved.
    fn step(&mut self, link: &Link, acceptor: &mut Acceptor) -> io::Result<Step> {
        let expects = self.seen == Seen::Before && acceptor.expect();
        let step = acceptor.step(link)?;
        if !matches!(step, Step::Nothing) {
            if expects {
                self.seen = Seen::Since;
            }
            return Ok(step);
        }
        let seen = std::mem::replace(&mut self.seen, Seen::Before);
        if seen == Seen::Since || !acceptor.look(link)? {
            return Ok(step);
        }
        self.seen = Seen::Since;
        let step = acceptor.step(link)?;
        if matches!(step, Step::Nothing) {
            self.seen = Seen::Before;
        }
        Ok(step)
    }

    /// What the loop does between two calls nobody sees: it waits when its thread does not work.
    fn note(&mut self, link: &Link, now: Instant) {
        let passed = self.mark.map(|(then, _)| now.duration_since(then));
        if passed.is_some_and(|passed| passed < PACE) {
            return;
        }
        let work = clock::thread_work();
        if let Some((then, worked)) = self.mark.replace((now, work)) {
            // Less, if it is another thread now.
            let worked = work.saturating_sub(worked);
            link.waited(now.duration_since(then).saturating_sub(worked));
        }
    }
}
