//! The workers behind a proxy: who gets the next request, and what becomes of it.
//!
//! The decisions are those of [`herder_core::proxy`]; here are the clock, the connections that are
//! kept, and whoever waits for a worker.

mod connect;
mod lease;
mod tending;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use herder_core::proxy::retry::{self, Attempt, Budget, Decision, RetrySpec};
use herder_core::proxy::{Balancer, Key, Outcome, Post};
use herder_core::rotation::Weight;
use herder_core::{Slot, Tick, proxy};
use herder_sys::clock::monotonic_micros;
use herder_sys::random;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};

use crate::edge::stream::Stream;
use crate::proxy::settings::ProxySettings;
use crate::proxy::voice::Voice;

pub(crate) use connect::NotConnected;
pub use herder_core::proxy::Failure;
pub use lease::Lease;

/// A worker that takes requests or connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its incarnation.
    pub worker: u64,
    /// Its slot.
    pub slot: u16,
    /// Its generation.
    pub generation: u32,
    /// Where it listens.
    pub address: BackendAddress,
}

/// Where a worker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendAddress {
    /// A port of this machine, as a rule.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// What the master is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The last request of a worker that was withdrawn is over.
    Drained {
        /// Its incarnation.
        worker: u64,
    },
    /// A worker that failed too often gets nothing for a while.
    Ejected {
        /// Its incarnation.
        worker: u64,
        /// For how long.
        span: Duration,
    },
    /// A worker that was ejected gets requests again.
    Restored {
        /// Its incarnation.
        worker: u64,
    },
    /// Something went wrong with a worker.
    Failed {
        /// Its incarnation.
        worker: u64,
        /// What went wrong.
        kind: Failure,
    },
    /// How much a worker has done; said after it changed, at most every [`COUNTS_EVERY`].
    Counts {
        /// Its incarnation.
        worker: u64,
        /// Requests or connections that it has now.
        open: u32,
        /// All that it ever had and that are over.
        served: u64,
    },
}

/// How often [`News::Counts`] of one worker are said at most.
pub const COUNTS_EVERY: Duration = Duration::from_millis(100);

/// The workers of an app. Clones are the same. It belongs to one thread.
#[derive(Clone)]
pub struct Backends {
    shared: Rc<Shared>,
}

struct Shared {
    state: RefCell<State>,
    /// Somebody was admitted, or nobody will be.
    admitted: Notify,
    /// There is something to do at the next tick.
    stir: Notify,
    stirred: Cell<bool>,
    /// The workers were looked after.
    ticked: Notify,
    tended: Cell<bool>,
    waiting: Cell<u32>,
    /// Nobody is admitted any more.
    closing: Cell<bool>,
    max_waiting: u32,
    wait_timeout: Duration,
    connect_timeout: Duration,
    keep: usize,
    keep_for: Duration,
    retry: RetrySpec,
    news: mpsc::UnboundedSender<News>,
    voice: Voice,
}

struct State {
    balancer: Balancer,
    budget: Budget,
    workers: BTreeMap<u64, Entry>,
    reader: Option<mpsc::UnboundedReceiver<News>>,
}

struct Entry {
    slot: Slot,
    address: Rc<BackendAddress>,
    /// The ones that were used last stand last.
    kept: Vec<Kept>,
    standing: Standing,
    served: u64,
    counts: Counts,
}

/// A connection that waits for a request.
struct Kept {
    stream: Stream,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Admitted,
    Withdrawn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Said,
    Changed,
}

impl Backends {
    /// Nobody yet.
    pub fn new(settings: &ProxySettings) -> Backends {
        let millis = |number: u32| Duration::from_millis(number.into());
        let (news, reader) = mpsc::unbounded_channel();
        let state = State {
            balancer: Balancer::new(&settings.balancer, random::seed())
                .at(Post::new(settings.number, settings.gateways)),
            budget: Budget::new(&settings.retry),
            workers: BTreeMap::new(),
            reader: Some(reader),
        };
        let shared = Shared {
            state: RefCell::new(state),
            admitted: Notify::new(),
            stir: Notify::new(),
            stirred: Cell::new(false),
            ticked: Notify::new(),
            tended: Cell::new(false),
            waiting: Cell::new(0),
            closing: Cell::new(false),
            max_waiting: settings.max_waiting,
            wait_timeout: millis(settings.wait_timeout_millis),
            connect_timeout: millis(settings.connect_timeout_millis),
            keep: usize::try_from(settings.http.keep).unwrap_or(usize::MAX),
            keep_for: millis(settings.http.keep_millis),
            retry: settings.retry.clone(),
            news,
            voice: Voice::new(format!("gateway of {}", settings.app)),
        };
        Backends {
            shared: Rc::new(shared),
        }
    }

    /// What the master is to know. There is one reader: whoever asks first.
    pub fn news(&self) -> Option<mpsc::UnboundedReceiver<News>> {
        self.shared.state.borrow_mut().reader.take()
    }

    /// A worker is ready.
    pub fn admit(&self, backend: Backend) {
        let slot = Slot(backend.slot);
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        let served = state.workers.get(&backend.worker).map_or(0, |it| it.served);
        let entry = Entry {
            slot,
            address: Rc::new(backend.address),
            kept: Vec::new(),
            standing: Standing::Admitted,
            served,
            counts: Counts::Said,
        };
        state.workers.insert(backend.worker, entry);
        let weight = Weight::ONE;
        state.balancer.admit(backend.worker, slot, weight, now());
        self.tell(state);
        self.shared.admitted.notify_waiters();
    }

    /// A worker gets nothing new, and its kept connections are closed. [`News::Drained`] follows,
    /// also when there is no such worker.
    pub fn withdraw(&self, worker: u64) {
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        if let Some(entry) = state.workers.get_mut(&worker) {
            entry.standing = Standing::Withdrawn;
            entry.kept.clear();
        }
        state.balancer.withdraw(worker, now());
        self.tell(state);
        self.disappoint();
    }

    /// Whether nothing of a worker is open since it was last withdrawn. News of it may be older than that.
    pub fn has_left(&self, worker: u64) -> bool {
        self.shared.state.borrow().balancer.has_left(worker)
    }

    /// A worker has ended. Requests that it had fail by themselves; no news of it follow.
    pub fn gone(&self, worker: u64) {
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        state.workers.remove(&worker);
        state.balancer.gone(worker, now());
        self.tell(state);
        self.disappoint();
    }

    /// Nobody else is admitted from now on: without a worker nobody waits for one.
    pub fn close(&self) {
        self.shared.closing.set(true);
        self.disappoint();
    }

    /// Has those who wait look whether there is still something to wait for.
    fn disappoint(&self) {
        if self.shared.closing.get() {
            self.shared.admitted.notify_waiters();
        }
    }

    /// The worker who is next, if there is one that is not excluded.
    pub fn pick(&self, key: &Key, excluded: &[u64]) -> Option<Lease> {
        let mut state = self.shared.state.borrow_mut();
        let worker = state.balancer.pick(key, excluded, now())?;
        state.balancer.began(worker);
        if !state.is_quiet() {
            self.tell(&mut state);
        }
        let entry = state.workers.get_mut(&worker)?;
        entry.counts = Counts::Changed;
        let (slot, address) = (entry.slot, Rc::clone(&entry.address));
        drop(state);
        self.stir();
        Some(Lease::new(self.clone(), worker, slot, address))
    }

    /// The worker who is next; waits for one, unless too many wait already or none can come, and not
    /// for ever.
    pub async fn pick_or_wait(&self, key: &Key, excluded: &[u64]) -> Option<Lease> {
        if let Some(lease) = self.pick(key, excluded) {
            return Some(lease);
        }
        let shared = &self.shared;
        if shared.waiting.get() >= shared.max_waiting {
            return None;
        }
        let _waiting = Waiting::new(&shared.waiting);
        let until = Instant::now() + shared.wait_timeout;
        loop {
            let mut admitted = pin!(shared.admitted.notified());
            // Before the look, so that a change between the two is not missed.
            admitted.as_mut().enable();
            if let Some(lease) = self.pick(key, excluded) {
                return Some(lease);
            }
            if shared.closing.get() && self.admitted() == 0 {
                return None;
            }
            timeout_at(until, admitted).await.ok()?;
        }
    }

    /// A request begins: others may be repeated for it.
    pub(crate) fn save(&self) {
        self.shared.state.borrow_mut().budget.save();
    }

    /// Whether an attempt that failed is repeated.
    pub(crate) fn decide(&self, attempt: &Attempt) -> Decision {
        let budget = &mut self.shared.state.borrow_mut().budget;
        retry::decide(&self.shared.retry, attempt, budget)
    }

    /// Ready some moments later, at most [`COUNTS_EVERY`] in which little is to do: for what need not be done at
    /// once, and as a rule not at all. It costs no timer.
    pub(crate) fn later(&self) -> Notified<'_> {
        self.stir();
        self.shared.ticked.notified()
    }

    /// How many workers take requests.
    pub fn admitted(&self) -> usize {
        self.shared.state.borrow().balancer.admitted()
    }

    fn ended(&self, worker: u64, outcome: Outcome) {
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        if let Outcome::Failed(kind) = outcome {
            self.say(News::Failed { worker, kind });
        }
        let Some(entry) = state.workers.get_mut(&worker) else {
            return;
        };
        entry.served += 1;
        entry.counts = Counts::Changed;
        state.balancer.ended(worker, outcome, now());
        self.tell(state);
        self.stir();
    }

    /// Passes on what the balancer has to say.
    fn tell(&self, state: &mut State) {
        while let Some(news) = state.balancer.poll_news() {
            let news = match news {
                proxy::News::Drained { worker } => {
                    // The master may close the books of it then.
                    self.say_counts(state, worker);
                    News::Drained { worker }
                }
                proxy::News::Ejected { worker, until } => News::Ejected {
                    worker,
                    span: until.since(now()),
                },
                proxy::News::Restored { worker } => News::Restored { worker },
            };
            self.say(news);
        }
    }

    fn say_counts(&self, state: &mut State, worker: u64) {
        let Some(entry) = state.workers.get_mut(&worker) else {
            return;
        };
        if entry.counts == Counts::Changed {
            entry.counts = Counts::Said;
            let open = state.balancer.open(worker).unwrap_or(0);
            let served = entry.served;
            self.say(News::Counts {
                worker,
                open,
                served,
            });
        }
    }

    fn say(&self, news: News) {
        // Without a reader nobody wants to know.
        let _unread = self.shared.news.send(news);
    }
}

impl State {
    /// Whether no worker is left out: then time changes nothing.
    fn is_quiet(&self) -> bool {
        self.balancer.poll_timeout().is_none()
    }
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").finish_non_exhaustive()
    }
}

fn now() -> Tick {
    Tick::from_micros(monotonic_micros())
}

struct Waiting<'a>(&'a Cell<u32>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a Cell<u32>) -> Waiting<'a> {
        waiting.set(waiting.get() + 1);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
