//! The thread that gives connections to workers: one per app, or two where its listeners differ in who accepts.
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
mod thread;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use counters::Count;
use herder_core::WorkerId;
use herder_core::dispatch::{Accord, Engine};
use herder_core::rotation::Load;
use herder_core::spec::{DispatchMode, DispatchSpec};
use herder_sys::wake::Wake;

use crate::estate::Vault;
use crate::event::HerdEvent;
use thread::{Body, Desk, Ended, Mouth, Thread};

pub(crate) use berths::Berths;
pub(crate) use counters::Counters;
pub(crate) use group::{GroupSpec, Pieces};
pub(crate) use inheritance::{Board, Inheritance, Left, Line, NodeEnds, Remains};
pub(crate) use link::Link;
pub(crate) use node::{
    Afterlife, BOARD_FORMAT, Counting, Mail, NodeNews, NodeTrade, Order, Scheduling, SocketFile,
    Way, Word,
};

/// From the main thread to a dispatch thread.
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

/// From a dispatch thread to the main thread.
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

/// The main thread's hold on who dispatches: one thread, or two where the listeners of a herd differ.
pub(crate) struct Dispatch {
    main: Thread,
    /// Who deals with the listeners that cannot have the herd's mode.
    beside: Option<Thread>,
    accord: RefCell<Accord>,
    news: Receiver<(Engine, News)>,
    news_wake: Arc<Wake>,
    counters: Counters,
    manner: Manner,
}

/// How the threads are started.
struct Manner {
    spec: DispatchSpec,
    trade: Trade,
    vault: Vault,
}

impl Dispatch {
    /// Starts the threads, which own from now on what they inherit.
    pub(crate) fn start(
        spec: &DispatchSpec,
        inheritance: Inheritance,
        trade: Trade,
        vault: &Vault,
        counters: Counters,
    ) -> io::Result<Dispatch> {
        let manner = Manner {
            spec: spec.clone(),
            trade,
            vault: vault.clone(),
        };
        let (sender, news) = channel();
        let news_wake = Arc::new(Wake::new()?);
        let start = |engine, mode, trade: &Trade, inheritance| {
            let mouth = Mouth {
                engine,
                news: sender.clone(),
                wake: Arc::clone(&news_wake),
            };
            let body = |desk| manner.body(mode, trade, inheritance, desk);
            Thread::start(mouth, counters.clone(), body)
        };
        let (main, beside) = match (&manner.trade, spec.beside) {
            (Trade::Both(berths, watch), Some(mode)) => {
                let own = Trade::Own(berths.clone());
                let main = start(Engine::Main, spec.mode, &own, Inheritance::default())?;
                let sockets = Trade::Sockets(*watch);
                let beside = start(Engine::Beside, mode, &sockets, inheritance)?;
                (main, Some(beside))
            }
            (trade, _) => (start(Engine::Main, spec.mode, trade, inheritance)?, None),
        };
        let engines = beside.as_ref().map(|_| Engine::Beside);
        let accord = Accord::new([Engine::Main].into_iter().chain(engines));
        Ok(Dispatch {
            main,
            beside,
            accord: RefCell::new(accord),
            news,
            news_wake,
            counters,
            manner,
        })
    }

    /// Goes on, in new threads, with what they have [given back](Dispatch::surrender). Everybody is to be
    /// admitted again.
    ///
    /// # Errors
    ///
    /// When they cannot be started. What was given back is lost then.
    pub(crate) fn go_on(&self, remains: Remains) -> io::Result<Dispatch> {
        let Manner { spec, trade, vault } = &self.manner;
        let counters = self.counters.clone();
        let next = Dispatch::start(spec, remains, trade.clone(), vault, counters)?;
        // What one of them has said, it does not say again.
        next.accord.swap(&self.accord);
        Ok(next)
    }

    /// Tells the threads something. Never blocks. (What is about a worker's own listeners is done at once:
    /// its successor may be started in the next moment.)
    pub(crate) fn tell(&self, command: Command) {
        if let Command::Withdraw(worker) = &command {
            self.accord.borrow_mut().withdraw(*worker);
        } else if let Command::Gone(worker) = &command {
            self.accord.borrow_mut().gone(*worker);
        }
        match &self.beside {
            None => self.tell_main(command),
            Some(beside) => {
                if let Some(again) = command.again() {
                    self.tell_main(again);
                }
                beside.tell(command);
            }
        }
    }

    /// As [`tell`](Dispatch::tell), but nothing of it concerns listeners that cannot have the herd's mode.
    pub(crate) fn tell_main(&self, command: Command) {
        match self.manner.trade.berths() {
            Some(berths) if berths.obey(&command) => self.main.wake(),
            Some(_) | None => self.main.tell(command),
        }
    }

    /// Where the workers listen that have listeners of their own.
    pub(crate) fn berths(&self) -> Vec<SocketAddr> {
        let berths = self.manner.trade.berths();
        berths.map(Berths::locals).unwrap_or_default()
    }

    /// Becomes readable when there is news.
    pub(crate) fn news_fd(&self) -> BorrowedFd<'_> {
        self.news_wake.as_fd()
    }

    /// The news so far.
    pub(crate) fn news(&self) -> Vec<News> {
        self.news_wake.clear();
        let mut accord = self.accord.borrow_mut();
        let mut is_so = |engine: Engine, news: &News| {
            if let News::Withdrawn(worker) = news {
                accord.hear_withdrawn(engine, *worker)
            } else if let News::ListenersClosed = news {
                accord.hear_closed(engine)
            } else {
                true
            }
        };
        let told = self.news.try_iter();
        let told = told.filter(|(engine, news)| is_so(*engine, news));
        told.map(|(_, news)| news).collect()
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

    /// Ends the threads, which give back what they have: either another process goes on with it, or other
    /// threads here. What they told before is still to be [read](Dispatch::news); what was not handed to a
    /// worker is in the [`Remains`].
    ///
    /// # Errors
    ///
    /// One has ended before, and there is nothing to give back.
    pub(crate) fn surrender(&mut self) -> io::Result<Remains> {
        let remains = self.main.surrender();
        match &mut self.beside {
            // Listeners of the workers' own lie in one place, and stay there.
            Some(beside) => remains.and(beside.surrender()),
            None => remains,
        }
    }

    /// Ends the threads.
    pub(crate) fn stop(&mut self) {
        self.main.stop();
        if let Some(beside) = &mut self.beside {
            beside.stop();
        }
    }
}

impl Manner {
    /// What a thread of this mode does.
    fn body(
        &self,
        mode: DispatchMode,
        trade: &Trade,
        inheritance: Inheritance,
        desk: Desk,
    ) -> io::Result<Body> {
        Ok(match (mode, trade) {
            (DispatchMode::Kernel | DispatchMode::Reuseport, Trade::Own(berths)) => {
                let own = own::Own::new(desk, berths.clone())?;
                Box::new(move || own.run())
            }
            // A gateway has no such thread, and the rest is refused before it comes to this.
            (DispatchMode::Message | DispatchMode::Proxy, _)
            | (_, Trade::Both(..) | Trade::Own(_))
            | (DispatchMode::Kernel | DispatchMode::Reuseport, Trade::Sockets(_)) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            (_, Trade::Node(trade)) => {
                let (spec, vault) = (&self.spec, &self.vault);
                let board = node::Switchboard::new(spec, inheritance, trade.clone(), vault, desk)?;
                Box::new(move || board.run())
            }
            (DispatchMode::Pass, Trade::Sockets(_)) => {
                let pass = pass::Pass::new(&self.spec, inheritance, desk)?;
                Box::new(move || pass.run())
            }
            (DispatchMode::Shared, Trade::Sockets(watch)) => {
                let shared = shared::Shared::new(inheritance, desk, *watch)?;
                Box::new(move || shared.run())
            }
        })
    }
}

impl Command {
    /// The same for another thread; `None` for what only one can have.
    fn again(&self) -> Option<Command> {
        Some(match self {
            Command::Admit(worker) => Command::Admit(*worker),
            Command::CloseListeners(within) => Command::CloseListeners(*within),
            #[cfg(test)]
            Command::Die => Command::Die,
            Command::Gone(worker) => Command::Gone(*worker),
            Command::Guessed(worker) => Command::Guessed(*worker),
            Command::Hold(worker) => Command::Hold(*worker),
            Command::Load(worker, load) => Command::Load(*worker, *load),
            Command::Stop => Command::Stop,
            Command::Surrender => Command::Surrender,
            Command::Withdraw(worker) => Command::Withdraw(*worker),
            Command::Attach(..) | Command::Node(..) => return None,
        })
    }
}

/// What the threads deal in.
#[derive(Clone)]
pub(crate) enum Trade {
    /// The care for listeners of which each slot has its own; and beside it, for listeners that cannot be had
    /// like this, connections or the care for listeners that the workers share.
    Both(Berths, Watch),
    /// What Node's `cluster` speaks of.
    Node(NodeTrade),
    /// The care for listeners of which each slot has its own.
    Own(Berths),
    /// Connections, or the care for listeners that the workers share.
    Sockets(Watch),
}

impl Trade {
    /// The workers' own listeners.
    fn berths(&self) -> Option<&Berths> {
        match self {
            Trade::Both(berths, _) | Trade::Own(berths) => Some(berths),
            Trade::Node(_) | Trade::Sockets(_) => None,
        }
    }
}

/// Whether the waiting connections of a shared listener need the master's eye.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The workers are foreign: a connection that stands after a death is nudged by another one.
    NudgeByConnection,
    /// The workers are native: they are nudged over their control channel.
    WorkersNudged,
}

#[cfg(test)]
fn die() -> ! {
    std::panic::resume_unwind(Box::new("killed"))
}

#[cfg(test)]
#[path = "both_tests.rs"]
mod tests;
