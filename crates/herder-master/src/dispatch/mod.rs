//! The thread that gives connections to workers: one per app.
//!
//! The main thread tells it who may get connections ([`Command`]) and hears what came of it
//! ([`News`]). Nothing else is shared but counters.

mod acceptor;
mod berths;
mod counters;
mod group;
mod inheritance;
mod link;
mod node;
mod own;
mod pass;
#[cfg(test)]
mod safe;
mod shared;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use counters::Count;
use herder_core::WorkerId;
use herder_core::rotation::Load;
use herder_core::spec::{DispatchMode, DispatchSpec};
use herder_sys::wake::Wake;

use crate::estate::Vault;
use crate::event::HerdEvent;

pub(crate) use berths::Berths;
pub(crate) use counters::Counters;
pub(crate) use group::{GroupSpec, Pieces};
pub(crate) use inheritance::{Board, Inheritance, Left, Line, NodeEnds, Remains};
pub(crate) use link::Link;
pub(crate) use node::{
    Afterlife, BOARD_FORMAT, Counting, Mail, NodeNews, NodeTrade, Order, Scheduling, SocketFile,
    Way, Word,
};

/// From the main thread to the dispatch thread.
pub(crate) enum Command {
    /// The worker may get connections (again).
    Admit(WorkerId),
    /// A worker was started; this is how connections reach it. (`pass` only.)
    Attach(WorkerId, Link),
    /// Accept who waits, then stop listening and say [`News::ListenersClosed`]. Withdrawals wait until
    /// everybody was received, at most so long.
    CloseListeners(Duration),
    /// Die as a killed process does: nothing is told, and nothing is put in order.
    #[cfg(test)]
    Die,
    /// The worker is dead.
    Gone(WorkerId),
    /// The worker is ready because it lives; it does not say so.
    Guessed(WorkerId),
    /// No new connection for the worker, for now.
    Hold(WorkerId),
    /// How many connections the worker holds open.
    Load(WorkerId, Load),
    /// To or about a worker that is a Node program.
    Node(WorkerId, Order),
    /// End the thread.
    Stop,
    /// Stop at once and give back what is here.
    Surrender,
    /// No new connection for the worker, ever.
    Withdraw(WorkerId),
}

/// From the dispatch thread to the main thread.
pub(crate) enum News {
    /// Accepting pauses, for this reason.
    AcceptPaused(String),
    /// Connections were closed unserved: how many ever, by reason.
    Closed { poisoned: u64, timed_out: u64 },
    /// The thread has ended although nobody told it to.
    Ended(String),
    /// Something cannot be done.
    Failed(String),
    /// Who waits at the worker's own listener waits in vain: it accepts nobody.
    Hung(WorkerId),
    /// Nobody can connect any more, and who had is with a worker, or nobody had the time.
    ListenersClosed,
    /// Of Node programs.
    Node(NodeNews),
    /// So many waiting connections were helped along so far.
    Nudged(u64),
    /// A listener was shut down by a worker, and listens again.
    Relistened(String),
    /// The worker gets nothing new, and what it had not received was taken back.
    Withdrawn(WorkerId),
}

/// The main thread's hold on a dispatch thread.
pub(crate) struct Dispatch {
    commands: Sender<Command>,
    wake: Arc<Wake>,
    news: Receiver<News>,
    news_wake: Arc<Wake>,
    counters: Counters,
    thread: Option<JoinHandle<Option<Remains>>>,
    manner: Manner,
}

/// How a thread is started.
struct Manner {
    spec: DispatchSpec,
    trade: Trade,
    vault: Vault,
}

/// The dispatch thread's end of the two queues.
struct Desk {
    commands: Receiver<Command>,
    wake: Arc<Wake>,
    news: Sender<News>,
    news_wake: Arc<Wake>,
    counters: Counters,
}

impl Dispatch {
    /// Starts the thread, which owns from now on what it inherits.
    pub(crate) fn start(
        spec: &DispatchSpec,
        inheritance: Inheritance,
        trade: Trade,
        vault: &Vault,
        counters: Counters,
    ) -> io::Result<Dispatch> {
        let manner = Manner {
            spec: spec.clone(),
            trade: trade.clone(),
            vault: vault.clone(),
        };
        let (commands, command_queue) = channel();
        let (news_sender, news) = channel();
        let witness = news_sender.clone();
        let (wake, news_wake) = (Arc::new(Wake::new()?), Arc::new(Wake::new()?));
        let desk = Desk {
            commands: command_queue,
            wake: Arc::clone(&wake),
            news: news_sender,
            news_wake: Arc::clone(&news_wake),
            counters: counters.clone(),
        };
        let body: Box<dyn FnOnce() -> io::Result<Ended> + Send> = match (spec.mode, trade) {
            (DispatchMode::Kernel | DispatchMode::Reuseport, Trade::Own(berths)) => {
                let own = own::Own::new(desk, berths)?;
                Box::new(move || own.run())
            }
            // A gateway has no such thread, and the rest is refused before it comes to this.
            (DispatchMode::Message | DispatchMode::Proxy, _)
            | (_, Trade::Own(_))
            | (DispatchMode::Kernel | DispatchMode::Reuseport, Trade::Sockets(_)) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            (_, Trade::Node(trade)) => {
                let board = node::Switchboard::new(spec, inheritance, trade, vault, desk)?;
                Box::new(move || board.run())
            }
            (DispatchMode::Pass, Trade::Sockets(_)) => {
                let pass = pass::Pass::new(spec, inheritance, desk)?;
                Box::new(move || pass.run())
            }
            (DispatchMode::Shared, Trade::Sockets(watch)) => {
                let shared = shared::Shared::new(inheritance, desk, watch)?;
                Box::new(move || shared.run())
            }
        };
        let witness = Witness {
            news: witness,
            wake: Arc::clone(&news_wake),
        };
        let thread = std::thread::Builder::new()
            .name("herder-dispatch".into())
            .spawn(move || witness.watch(body))?;
        Ok(Dispatch {
            commands,
            wake,
            news,
            news_wake,
            counters,
            thread: Some(thread),
            manner,
        })
    }

    /// Goes on, in a new thread, with what the thread has [given back](Dispatch::surrender). Everybody
    /// is to be admitted again.
    ///
    /// # Errors
    ///
    /// When it cannot be started. What was given back is lost then.
    pub(crate) fn go_on(&self, remains: Remains) -> io::Result<Dispatch> {
        let Manner { spec, trade, vault } = &self.manner;
        let counters = self.counters.clone();
        Dispatch::start(spec, remains, trade.clone(), vault, counters)
    }

    /// Tells the thread something. Never blocks. (What is about a worker's own listeners is done at once:
    /// its successor may be started in the next moment.)
    pub(crate) fn tell(&self, command: Command) {
        if let Trade::Own(berths) = &self.manner.trade
            && berths.obey(&command)
        {
            return self.wake.wake();
        }
        // A thread that has ended said so (`News::Failed`); nothing is left to tell it.
        if self.commands.send(command).is_ok() {
            self.wake.wake();
        }
    }

    /// Where the workers listen that have listeners of their own.
    pub(crate) fn berths(&self) -> Vec<SocketAddr> {
        match &self.manner.trade {
            Trade::Own(berths) => berths.locals(),
            Trade::Node(_) | Trade::Sockets(_) => Vec::new(),
        }
    }

    /// Becomes readable when there is news.
    pub(crate) fn news_fd(&self) -> BorrowedFd<'_> {
        self.news_wake.as_fd()
    }

    /// The news so far.
    pub(crate) fn news(&self) -> Vec<News> {
        self.news_wake.clear();
        self.news.try_iter().collect()
    }

    /// What it has done in all. (In `shared` mode the workers accept, and nothing is counted.)
    pub(crate) fn totals(&self) -> HerdEvent {
        HerdEvent::Dispatched {
            accepted: self.counters.read(Count::Accepted),
            handed: self.counters.read(Count::Handed),
            taken_back: self.counters.read(Count::TakenBack),
            closed: self.counters.read(Count::Closed),
        }
    }

    /// Ends the thread, which gives back what it has: either another process goes on with it, or another
    /// thread here. What it told before is still to be [read](Dispatch::news); what was not handed to a
    /// worker is in the [`Remains`].
    ///
    /// # Errors
    ///
    /// The thread has ended before, and there is nothing to give back.
    pub(crate) fn surrender(&mut self) -> io::Result<Remains> {
        self.tell(Command::Surrender);
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended
            .flatten()
            .ok_or_else(|| io::Error::other("the dispatch thread has ended"))
    }

    /// Ends the thread.
    pub(crate) fn stop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there was already told on stderr, and the herd is ending anyway.
            let _ended = thread.join();
        }
    }
}

/// How a dispatch thread ended.
enum Ended {
    Stopped,
    Surrendered(Box<Remains>),
}

/// Tells of a dispatch thread's end that nobody asked for: without the thread the herd serves nobody.
struct Witness {
    news: Sender<News>,
    wake: Arc<Wake>,
}

impl Witness {
    fn watch(self, body: impl FnOnce() -> io::Result<Ended>) -> Option<Remains> {
        let text = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(Ended::Stopped)) => return None,
            Ok(Ok(Ended::Surrendered(remains))) => return Some(*remains),
            Ok(Err(error)) => format!("the dispatch thread failed: {error}"),
            Err(_) => "the dispatch thread panicked".to_owned(),
        };
        // The main thread outlives this one; if it does not, nobody is left to hear.
        if self.news.send(News::Ended(text)).is_ok() {
            self.wake.wake();
        }
        None
    }
}

/// What the thread deals in.
#[derive(Clone)]
pub(crate) enum Trade {
    /// What Node's `cluster` speaks of.
    Node(NodeTrade),
    /// The care for listeners of which each slot has its own.
    Own(Berths),
    /// Connections, or the care for listeners that the workers share.
    Sockets(Watch),
}

/// Whether the waiting connections of a shared listener need the master's eye.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The workers are foreign: a connection that stands after a death is nudged by another one.
    NudgeByConnection,
    /// The workers are native: they are nudged over their control channel.
    WorkersNudged,
}

impl Desk {
    fn tell(&self, news: News) {
        // The main thread outlives this one; if it does not, nobody is left to hear.
        if self.news.send(news).is_ok() {
            self.news_wake.wake();
        }
    }
}

#[cfg(test)]
fn die() -> ! {
    std::panic::resume_unwind(Box::new("killed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news_of(body: impl FnOnce() -> io::Result<Ended>) -> Option<News> {
        let (sender, news) = channel();
        let wake = Arc::new(Wake::new().expect("an eventfd"));
        let witness = Witness { news: sender, wake };
        assert!(witness.watch(body).is_none());
        news.try_recv().ok()
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_told() {
        assert!(news_of(|| Ok(Ended::Stopped)).is_none());
        assert!(matches!(
            news_of(|| Err(io::ErrorKind::OutOfMemory.into())),
            Some(News::Ended(_))
        ));
        let panic = || std::panic::resume_unwind(Box::new("without a word"));
        assert!(matches!(news_of(panic), Some(News::Ended(_))));
    }
}
