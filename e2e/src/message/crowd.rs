//! Many clients that send as fast as they are answered.

use crate::message::account::Account;
use crate::message::member;
use crate::message::wire::Door;
use crate::wait;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

/// What traffic to make. Unless said otherwise: one client that sends `echo` and waits for the answer before it
/// sends again, 30 s for each message, until stopped.
#[derive(Clone, Debug)]
pub struct Crowd {
    pub(super) door: Door,
    pub(super) clients: usize,
    pub(super) command: String,
    pub(super) messages: Option<u64>,
    pub(super) outstanding: usize,
    pub(super) patience: Duration,
    pub(super) loyalty: Loyalty,
}

/// What a client does whose connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loyalty {
    GoesAway,
    Returns,
}

impl Crowd {
    /// Clients that go through this door.
    pub fn at(door: Door) -> Crowd {
        Crowd {
            door,
            clients: 1,
            command: "echo".to_owned(),
            messages: None,
            outstanding: 1,
            patience: Duration::from_secs(30),
            loyalty: Loyalty::GoesAway,
        }
    }

    /// So many clients, each on a connection of its own that stays.
    #[must_use]
    pub fn clients(mut self, clients: usize) -> Crowd {
        self.clients = clients;
        self
    }

    /// What the messages ask for: each is the command and, after a blank, its own name.
    #[must_use]
    pub fn command(mut self, command: &str) -> Crowd {
        command.clone_into(&mut self.command);
        self
    }

    /// Each client sends exactly so many.
    #[must_use]
    pub fn messages(mut self, messages: u64) -> Crowd {
        self.messages = Some(messages);
        self
    }

    /// So many messages of a client may be without their answer when it sends the next.
    #[must_use]
    pub fn outstanding(mut self, messages: usize) -> Crowd {
        self.outstanding = messages.max(1);
        self
    }

    /// How long a client waits for anything before it gives up.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Crowd {
        self.patience = patience;
        self
    }

    /// A client whose connection ended connects again at once and goes on. What was not settled is cut,
    /// and it is not sent again.
    #[must_use]
    pub fn returning(mut self) -> Crowd {
        self.loyalty = Loyalty::Returns;
        self
    }

    /// Makes the traffic and waits for its end.
    ///
    /// # Panics
    /// When there is no number of messages: it would never end.
    #[track_caller]
    pub fn run(self) -> Account {
        assert!(self.messages.is_some(), "an endless crowd is started");
        self.start().finish()
    }

    /// Starts to make the traffic, on a thread of its own.
    ///
    /// # Panics
    /// When the system has no more threads.
    pub fn start(self) -> Running {
        let shared = Arc::new(Shared {
            crowd: self,
            begun: Instant::now(),
            connected: AtomicUsize::new(0),
            settled: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let thread = {
            let shared = shared.clone();
            thread::spawn(move || gather(&shared))
        };
        Running {
            shared,
            thread: Some(thread),
        }
    }
}

/// What the clients of one crowd have in common.
pub(super) struct Shared {
    pub(super) crowd: Crowd,
    pub(super) begun: Instant,
    /// Connections made so far.
    pub(super) connected: AtomicUsize,
    /// Messages that were answered or told of so far.
    pub(super) settled: AtomicU64,
    pub(super) stop: AtomicBool,
}

fn gather(shared: &Arc<Shared>) -> Account {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs some descriptors");
    let mut account = runtime.block_on(async {
        let member = |number| tokio::spawn(member::run(shared.clone(), number));
        let members: Vec<_> = (0..shared.crowd.clients).map(member).collect();
        let mut account = Account::default();
        for member in members {
            account.merge(member.await.expect("a client does not panic"));
        }
        account
    });
    account.elapsed = shared.begun.elapsed();
    account
}

/// Traffic being made. Dropped, it stops without an account.
pub struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Account>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({} settled)", self.settled())
    }
}

impl Running {
    /// How many messages were answered or told of so far.
    pub fn settled(&self) -> u64 {
        self.shared.settled.load(Ordering::Relaxed)
    }

    /// How many connections were made so far.
    pub fn connected(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// Waits until `more` messages than now are settled.
    ///
    /// # Panics
    /// When that has not happened within `within`.
    #[track_caller]
    pub fn wait_for_settled(&self, more: u64, within: Duration) {
        let wanted = self.settled() + more;
        self.wait_until_settled(wanted, within);
    }

    /// Waits until `count` messages in all are settled.
    ///
    /// # Panics
    /// When that has not happened within `within`.
    #[track_caller]
    pub fn wait_until_settled(&self, count: u64, within: Duration) {
        let what = format!("{count} messages settled");
        wait::until(within, &what, || (self.settled() >= count).then_some(()));
    }

    /// Waits until `count` connections were made in all.
    ///
    /// # Panics
    /// When that has not happened within `within`.
    #[track_caller]
    pub fn wait_until_connected(&self, count: usize, within: Duration) {
        let what = format!("{count} connections");
        wait::until(within, &what, || (self.connected() >= count).then_some(()));
    }

    /// Sends no new messages from now on.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until all is sent and settled, and every client has closed its connection.
    ///
    /// # Panics
    /// When it would never end.
    #[track_caller]
    pub fn finish(mut self) -> Account {
        let ends = self.shared.crowd.messages.is_some() || self.shared.stop.load(Ordering::Relaxed);
        assert!(ends, "an endless crowd is stopped before it is finished");
        self.join()
    }

    /// Waits until every client has gone because the server ended its connection.
    ///
    /// # Panics
    /// When the clients would come back for ever.
    #[track_caller]
    pub fn finish_disconnected(mut self) -> Account {
        assert_eq!(self.shared.crowd.loyalty, Loyalty::GoesAway);
        self.join()
    }

    /// [`Running::stop`] and [`Running::finish`].
    #[track_caller]
    pub fn stop_and_finish(self) -> Account {
        self.stop();
        self.finish()
    }

    fn join(&mut self) -> Account {
        let thread = self.thread.take().expect("it is joined once");
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
