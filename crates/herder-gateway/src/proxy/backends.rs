//! The workers behind a proxy: who gets the next request, and what becomes of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use crate::edge::stream::Stream;
use crate::proxy::settings::ProxySettings;

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
    /// How much a worker has done; said when it changed, at most every [`COUNTS_EVERY`].
    Counts {
        /// Its incarnation.
        worker: u64,
        /// Requests or connections that it has now.
        open: u32,
        /// All that it ever had and that are over.
        served: u64,
    },
}

/// What went wrong with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It refused the connection, or could not be reached.
    Refused,
    /// It did not take the connection, or did not answer, in time.
    TimedOut,
    /// It closed the connection before its answer was whole.
    Closed,
    /// What it answered is no HTTP.
    Malformed,
}

/// How often [`News::Counts`] of one worker are said at most.
pub const COUNTS_EVERY: Duration = Duration::from_millis(100);

/// By what a worker is chosen, where the policy looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key<'a> {
    /// The client's address; none by a Unix listener.
    pub client: Option<IpAddr>,
    /// What the sticky cookie says.
    pub cookie: Option<&'a str>,
}

/// How a request or connection ended, as the worker's health sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Well,
    /// By no fault of the worker's.
    Abandoned,
    /// By a fault of the worker's.
    Failed(Failure),
}

/// The workers of an app. Clones are the same.
#[derive(Clone)]
pub struct Backends {
    shared: Rc<Shared>,
}

struct Shared {
    state: RefCell<State>,
    /// Somebody was admitted, or restored.
    changed: Notify,
    waiting: Cell<u32>,
    max_waiting: u32,
    wait_timeout: Duration,
    connect_timeout: Duration,
    news: mpsc::UnboundedSender<News>,
}

struct State {
    workers: BTreeMap<u64, Entry>,
    last: u64,
    reader: Option<mpsc::UnboundedReceiver<News>>,
}

struct Entry {
    address: Rc<BackendAddress>,
    standing: Standing,
    open: u32,
    served: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Admitted,
    Withdrawn,
}

/// The place that a request or connection has at a worker. Dropped without
/// [`end`](Lease::end), it is [abandoned](End::Abandoned).
pub struct Lease {
    backends: Backends,
    worker: u64,
    address: Rc<BackendAddress>,
    end: End,
}

impl Backends {
    /// Nobody yet.
    pub fn new(settings: &ProxySettings) -> Backends {
        let millis = |number: u32| Duration::from_millis(number.into());
        let (news, reader) = mpsc::unbounded_channel();
        let state = State {
            workers: BTreeMap::new(),
            last: 0,
            reader: Some(reader),
        };
        Backends {
            shared: Rc::new(Shared {
                state: RefCell::new(state),
                changed: Notify::new(),
                waiting: Cell::new(0),
                max_waiting: settings.max_waiting,
                wait_timeout: millis(settings.wait_timeout_millis),
                connect_timeout: millis(settings.connect_timeout_millis),
                news,
            }),
        }
    }

    /// What the master is to know; there is one reader, who comes first.
    pub fn news(&self) -> Option<mpsc::UnboundedReceiver<News>> {
        self.shared.state.borrow_mut().reader.take()
    }

    /// A worker is ready.
    pub fn admit(&self, backend: Backend) {
        let entry = Entry {
            address: Rc::new(backend.address),
            standing: Standing::Admitted,
            open: 0,
            served: 0,
        };
        self.shared
            .state
            .borrow_mut()
            .workers
            .insert(backend.worker, entry);
        self.shared.changed.notify_waiters();
    }

    /// A worker gets nothing new. [`News::Drained`] follows.
    pub fn withdraw(&self, worker: u64) {
        let mut state = self.shared.state.borrow_mut();
        let Some(entry) = state.workers.get_mut(&worker) else {
            return;
        };
        if entry.standing == Standing::Admitted {
            entry.standing = Standing::Withdrawn;
            if entry.open == 0 {
                self.say(News::Drained { worker });
            }
        }
    }

    /// A worker has ended.
    pub fn gone(&self, worker: u64) {
        self.shared.state.borrow_mut().workers.remove(&worker);
    }

    /// The worker who is next, if there is one.
    pub fn pick(&self, _key: &Key<'_>, excluded: &[u64]) -> Option<Lease> {
        let mut state = self.shared.state.borrow_mut();
        let last = state.last;
        let usable = |(worker, entry): &(&u64, &Entry)| {
            entry.standing == Standing::Admitted && !excluded.contains(*worker)
        };
        let after = state.workers.range(last + 1..).find(usable);
        let next = after.or_else(|| state.workers.iter().find(usable));
        let worker = *next?.0;
        state.last = worker;
        let entry = state.workers.get_mut(&worker)?;
        entry.open += 1;
        Some(Lease {
            backends: self.clone(),
            worker,
            address: Rc::clone(&entry.address),
            end: End::Abandoned,
        })
    }

    /// The worker who is next; waits for one, unless too many wait already.
    pub async fn pick_or_wait(&self, key: &Key<'_>, excluded: &[u64]) -> Option<Lease> {
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
            let mut changed = pin!(shared.changed.notified());
            // Before the look, so that a change between the two is not missed.
            changed.as_mut().enable();
            if let Some(lease) = self.pick(key, excluded) {
                return Some(lease);
            }
            timeout_at(until, changed).await.ok()?;
        }
    }

    fn say(&self, news: News) {
        // Without a reader nobody wants to know.
        let _unread = self.shared.news.send(news);
    }

    fn ended(&self, worker: u64, end: End) {
        let mut state = self.shared.state.borrow_mut();
        if let End::Failed(kind) = end {
            self.say(News::Failed { worker, kind });
        }
        let Some(entry) = state.workers.get_mut(&worker) else {
            return;
        };
        entry.open = entry.open.saturating_sub(1);
        entry.served += 1;
        if entry.open == 0 && entry.standing == Standing::Withdrawn {
            self.say(News::Drained { worker });
        }
    }
}

impl Lease {
    /// The worker's incarnation.
    pub fn worker(&self) -> u64 {
        self.worker
    }

    /// Connects to the worker.
    ///
    /// # Errors
    ///
    /// When the worker refuses, or with [`io::ErrorKind::TimedOut`].
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        let connect = async {
            match &*self.address {
                BackendAddress::Tcp(address) => {
                    let tcp = TcpStream::connect(address).await?;
                    tcp.set_nodelay(true)?;
                    Ok(Stream::Tcp(tcp))
                }
                BackendAddress::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
            }
        };
        let connected = timeout(self.backends.shared.connect_timeout, connect).await;
        connected.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Says how it ended.
    pub fn end(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backends.ended(self.worker, self.end);
    }
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
