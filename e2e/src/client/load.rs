//! What traffic to make, and traffic being made.

use crate::client::engine;
use crate::client::ledger::Ledger;
use crate::wait;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where the requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target::Tcp(address)
    }
}

/// The language of the requests.
#[derive(Clone, Debug)]
pub(super) enum Speech {
    /// `GET path`, or `POST path` with this body; with the request's number in `X-Request`.
    Http { path: String, body: Option<Vec<u8>> },
    /// These bytes (often none), then the answer is what comes until the end of the connection.
    Plain { greeting: Vec<u8> },
}

/// What happens to a connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    KeepAlive,
    PerRequest,
}

/// When the next request is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// When a client has its answer and has thought.
    Closed { think: Duration },
    /// On a schedule that knows nothing of answers.
    Open { interval: Duration },
}

/// When it is enough.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Count(u64),
    Lasting(Duration),
    None,
}

/// How much is kept of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Outcome,
    Full,
}

/// What some requests ask for instead.
#[derive(Clone, Debug)]
pub(super) struct Rare {
    pub(super) per_mille: u64,
    pub(super) path: String,
}

/// Whether a lot that falls on `per_mille` of a thousand requests falls on the one with this number: always
/// the same ones, and in no pattern that a rotation over the workers could fall in step with.
#[must_use]
pub fn lot(id: u64, per_mille: u64) -> bool {
    // The mixing steps of SplitMix64.
    let mixed = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 1000 < per_mille
}

/// Reads from a body which worker has answered.
pub(super) type WorkerOf = Arc<dyn Fn(&[u8]) -> Option<i32> + Send + Sync>;

/// What traffic to make. Unless said otherwise: a new connection for each request, one client that waits for
/// each answer before it asks again, 15 s for each request, one thread, until stopped.
#[derive(Clone)]
pub struct Load {
    pub(super) target: Target,
    pub(super) speech: Speech,
    pub(super) reuse: Reuse,
    pub(super) pace: Pace,
    pub(super) limit: Limit,
    pub(super) detail: Detail,
    pub(super) clients: usize,
    pub(super) threads: usize,
    pub(super) timeout: Duration,
    pub(super) first: u64,
    pub(super) rare: Option<Rare>,
    pub(super) worker_of: Option<WorkerOf>,
}

impl Load {
    /// HTTP/1.1 requests `GET path`.
    pub fn http(target: impl Into<Target>, path: &str) -> Load {
        let path = path.to_owned();
        Load::new(target.into(), Speech::Http { path, body: None })
    }

    /// HTTP/1.1 requests `POST path` with this body: nobody in between may repeat what a server has read.
    pub fn post(target: impl Into<Target>, path: &str, body: &[u8]) -> Load {
        let (path, body) = (path.to_owned(), Some(body.to_vec()));
        Load::new(target.into(), Speech::Http { path, body })
    }

    /// Connections that send `greeting` (often nothing) and read until the server closes.
    pub fn plain(target: impl Into<Target>, greeting: &[u8]) -> Load {
        Load::new(
            target.into(),
            Speech::Plain {
                greeting: greeting.to_vec(),
            },
        )
    }

    fn new(target: Target, speech: Speech) -> Load {
        Load {
            target,
            speech,
            reuse: Reuse::PerRequest,
            pace: Pace::Closed {
                think: Duration::ZERO,
            },
            limit: Limit::None,
            detail: Detail::Outcome,
            clients: 1,
            threads: 1,
            timeout: Duration::from_secs(15),
            first: 0,
            rare: None,
            worker_of: None,
        }
    }

    /// Keeps each client's connection for its next request (HTTP only). That the server closes an idle one
    /// is no failure.
    #[must_use]
    pub fn keep_alive(mut self) -> Load {
        self.reuse = Reuse::KeepAlive;
        self
    }

    /// So many clients at once: in a closed loop each asks, waits, asks; in an open loop the most
    /// connections at a time (further requests wait, and their waiting counts).
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Load {
        self.clients = clients.max(1);
        self
    }

    /// Spreads the clients over so many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Load {
        self.threads = threads.max(1);
        self
    }

    /// Makes exactly so many requests.
    #[must_use]
    pub fn count(mut self, requests: u64) -> Load {
        self.limit = Limit::Count(requests);
        self
    }

    /// Makes requests for so long.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Load {
        self.limit = Limit::Lasting(time);
        self
    }

    /// An open loop: so many requests a second, evenly spaced, whatever becomes of those before.
    /// Also raises the number of clients to at least 512.
    ///
    /// # Panics
    /// When the rate is zero.
    #[must_use]
    pub fn at_rate(mut self, per_second: u32) -> Load {
        self.pace = Pace::Open {
            interval: Duration::from_secs(1) / per_second,
        };
        self.clients = self.clients.max(512);
        self
    }

    /// A closed loop in which each client pauses after each answer.
    #[must_use]
    pub fn think(mut self, pause: Duration) -> Load {
        self.pace = Pace::Closed { think: pause };
        self
    }

    /// How long one request may take, from its begin to the end of its answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Load {
        self.timeout = timeout;
        self
    }

    /// The number of the first request, so that those of several loads differ (0 unless said).
    #[must_use]
    pub fn numbered_from(mut self, first: u64) -> Load {
        self.first = first;
        self
    }

    /// Of a thousand requests so many, by [`lot`] of their numbers, ask for `path` instead (HTTP only).
    #[must_use]
    pub fn rarely(mut self, per_mille: u64, path: &str) -> Load {
        self.rare = Some(Rare {
            per_mille,
            path: path.to_owned(),
        });
        self
    }

    /// How to read from a body which worker has answered. A body it has no answer for is a failure
    /// ([`super::Outcome::Unexpected`]).
    #[must_use]
    pub fn worker_from(
        mut self,
        read: impl Fn(&[u8]) -> Option<i32> + Send + Sync + 'static,
    ) -> Load {
        self.worker_of = Some(Arc::new(read));
        self
    }

    /// Also keeps each request's body and local port in the ledger.
    #[must_use]
    pub fn detailed(mut self) -> Load {
        self.detail = Detail::Full;
        self
    }

    /// Makes the traffic and waits for its end.
    ///
    /// # Panics
    /// When there is neither a count nor a time: it would never end.
    pub fn run(self) -> Ledger {
        assert!(
            !matches!(self.limit, Limit::None),
            "a load without limit is started and stopped"
        );
        self.start().finish()
    }

    /// Runs it until its account is like this, again and again for a minute at most. No run may have a failure.
    ///
    /// For who served how often: a worker that the machine did not run for some milliseconds has lost its turn to
    /// another, as it should.
    ///
    /// # Panics
    /// When no account was.
    #[track_caller]
    pub fn run_until(&self, what: &str, is_so: impl Fn(&Ledger) -> bool) -> Ledger {
        wait::until(Duration::from_secs(60), what, || {
            let ledger = self.clone().run();
            ledger.assert_no_failure();
            is_so(&ledger).then_some(ledger)
        })
    }

    /// Starts to make the traffic on threads of its own.
    ///
    /// # Panics
    /// When the system has no more threads.
    pub fn start(self) -> Running {
        let threads = self.threads.min(self.clients);
        let shared = Arc::new(Shared {
            load: self,
            threads,
            begun: Instant::now(),
            tickets: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let spawn = |number: usize| {
            let shared = shared.clone();
            thread::spawn(move || engine::run(&shared, number))
        };
        let threads = (0..threads).map(spawn).collect();
        Running { shared, threads }
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("target", &self.target)
            .field("speech", &self.speech)
            .field("pace", &self.pace)
            .field("limit", &self.limit)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

impl Load {
    /// What the request with this number asks for, of `path` and what is asked for rarely.
    pub(super) fn path<'a>(&'a self, path: &'a str, id: u64) -> &'a str {
        match &self.rare {
            Some(rare) if lot(id, rare.per_mille) => &rare.path,
            Some(_) | None => path,
        }
    }
}

/// What the threads of one load have in common.
pub(super) struct Shared {
    pub(super) load: Load,
    pub(super) threads: usize,
    pub(super) begun: Instant,
    /// Numbers of requests given out.
    pub(super) tickets: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) stop: AtomicBool,
}

/// Traffic being made. Dropped, it stops without a ledger.
pub struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Ledger>>,
}

impl Running {
    /// How many whole answers there are so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// How many requests have failed so far.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Waits until there are `more` whole answers than now.
    ///
    /// # Panics
    /// When they have not come within `within`.
    #[track_caller]
    pub fn wait_for_answers(&self, more: u64, within: Duration) {
        let wanted = self.answered() + more;
        wait::until(within, &format!("{more} more answers"), || {
            (self.answered() >= wanted).then_some(())
        });
    }

    /// Waits until there are so many whole answers, those from before included.
    ///
    /// # Panics
    /// When they have not come within `within`.
    #[track_caller]
    pub fn wait_for_total(&self, answers: u64, within: Duration) {
        wait::until(within, &format!("{answers} answers in all"), || {
            (self.answered() >= answers).then_some(())
        });
    }

    /// Makes no new requests from now on.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until the limit is reached (or, after [`Running::stop`], at once) and every request has its outcome.
    ///
    /// # Panics
    /// When there is neither a limit nor a stop: it would never end.
    pub fn finish(mut self) -> Ledger {
        let endless = matches!(self.shared.load.limit, Limit::None);
        assert!(
            !endless || self.shared.stop.load(Ordering::Relaxed),
            "a load without limit is stopped before it is finished"
        );
        let mut ledger = Ledger::default();
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(part) => ledger.merge(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        ledger
    }

    /// [`Running::stop`] and [`Running::finish`].
    pub fn stop_and_finish(self) -> Ledger {
        self.stop();
        self.finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_falls_as_often_as_said_and_on_odd_and_even_numbers_alike() {
        let fallen: Vec<u64> = (0..100_000).filter(|id| lot(*id, 10)).collect();
        assert!((900..1100).contains(&fallen.len()), "{}", fallen.len());
        let odd = fallen.iter().filter(|id| **id % 2 == 1).count();
        assert!((400..600).contains(&odd), "{odd}");
        assert!(!(0..1000).any(|id| lot(id, 0)));
        assert!((0..1000).all(|id| lot(id, 1000)));
    }
}
