//! The object that acceptance tests try things on.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herder::rpc::CallError;
use herder::rpc::server::{Change, EventSource, Feed, SlowReader, StateSource};

/// How many events are kept.
const KEPT: usize = 1024;

/// Everything that can happen to a call or a stream.
#[herder::object(name = "trial")]
pub(crate) trait Trial {
    /// The same text.
    #[herder(idempotent)]
    async fn echo(&self, text: String) -> String;
    /// An error of the app.
    async fn fail(&self, code: String) -> Result<(), CallError>;
    /// A panic.
    async fn panic(&self) -> u32;
    /// No answer, ever.
    async fn hold(&self, text: String);
    /// No answer in the first life of the library; one in the second.
    #[herder(idempotent)]
    async fn hold_first(&self) -> u64;
    /// How many calls of the two are held.
    async fn held(&self) -> u64;
    /// Takes so long, one at a time, and counts itself.
    #[herder(concurrency = 1, queue = 64)]
    async fn step(&self, millis: u64) -> u64;
    /// How many steps have begun.
    async fn steps(&self) -> u64;
    /// Gives a key of the state a value.
    async fn put(&self, key: String, value: u64);
    /// The state.
    #[herder(stream = "state")]
    fn watch(&self) -> Feed<Change<String, u64>>;
    /// Publishes so many events of so many bytes.
    async fn emit(&self, count: usize, size: usize);
    /// The events; who is slow misses the oldest.
    #[herder(stream = "events")]
    fn events(&self) -> Feed<String>;
    /// How many streams of either are open.
    async fn subscribers(&self) -> usize;
}

pub(crate) struct Subject {
    epoch: u64,
    held: AtomicU64,
    steps: AtomicU64,
    state: StateSource<String, u64>,
    events: EventSource<String>,
}

impl Subject {
    pub(crate) fn new(epoch: u64) -> Subject {
        Subject {
            epoch,
            held: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            state: StateSource::new(),
            events: EventSource::new(KEPT, SlowReader::DropOldest),
        }
    }
}

impl Trial for Subject {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn fail(&self, code: String) -> Result<(), CallError> {
        Err(CallError::app(code, "it was asked to"))
    }

    async fn panic(&self) -> u32 {
        panic!("it was asked to");
    }

    async fn hold(&self, text: String) {
        self.held.fetch_add(1, Ordering::SeqCst);
        pending::<()>().await;
        drop(text);
    }

    async fn hold_first(&self) -> u64 {
        if self.epoch == 1 {
            self.held.fetch_add(1, Ordering::SeqCst);
            pending::<()>().await;
        }
        self.epoch
    }

    async fn held(&self) -> u64 {
        self.held.load(Ordering::SeqCst)
    }

    async fn step(&self, millis: u64) -> u64 {
        let steps = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        steps
    }

    async fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }

    async fn put(&self, key: String, value: u64) {
        self.state.set(key, value);
    }

    fn watch(&self) -> Feed<Change<String, u64>> {
        self.state.feed()
    }

    async fn emit(&self, count: usize, size: usize) {
        for _ in 0..count {
            self.events.publish("x".repeat(size)).await;
        }
    }

    fn events(&self) -> Feed<String> {
        self.events.feed()
    }

    async fn subscribers(&self) -> usize {
        self.state.subscribers() + self.events.subscribers()
    }
}
