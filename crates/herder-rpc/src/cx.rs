//! Who calls, until when, and whether it still wants the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_wire::rpc::Part;
use tokio::sync::Notify;

/// What a method knows of the call that it answers.
#[derive(Clone, Debug)]
pub struct Cx {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The incarnation of the library: 1, 2, 3 …
    pub epoch: u64,
    /// The caller's idempotency key: the same in each attempt of one call.
    pub key: Option<Bytes>,
    cancel: CancelToken,
}

impl Cx {
    /// The context of a call that nobody can cancel: for tests, and for calls inside a process.
    #[must_use]
    pub fn new(caller: Arc<Caller>, deadline: Instant, epoch: u64) -> Self {
        Self {
            caller,
            deadline,
            epoch,
            key: None,
            cancel: CancelToken::default(),
        }
    }

    /// The same context with an idempotency key.
    #[must_use]
    pub fn with_key(mut self, key: Option<Bytes>) -> Self {
        self.key = key;
        self
    }

    /// How long the caller still waits; zero when it does not wait any more.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Ends when the caller has taken its call back, is gone, or waits no longer.
    ///
    /// A method's future is dropped at that moment; this is for the work that a method has given
    /// to others, such as a thread of its own.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether the caller has taken its call back, is gone, or waits no longer.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(crate) fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }
}

/// One part of the herd that calls, or a tool.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Caller {
    /// What it is.
    pub part: Part,
    /// The worker's slot; zero for the others.
    pub slot: u32,
    /// The incarnation: every life of a worker or library has its own number.
    pub worker: u64,
    /// Its process.
    pub pid: u32,
}

impl Caller {
    /// A caller that is no part of a herd, such as a test.
    #[must_use]
    pub fn tool() -> Self {
        Self {
            part: Part::Tool,
            slot: 0,
            worker: 0,
            pid: std::process::id(),
        }
    }
}

/// Told once that a call is not wanted any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct CancelToken(Arc<Cancel>);

#[derive(Debug, Default)]
struct Cancel {
    is_set: AtomicBool,
    told: Notify,
}

impl CancelToken {
    pub(crate) fn cancel(&self) {
        self.0.is_set.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_set.load(Ordering::Acquire)
    }

    pub(crate) async fn cancelled(&self) {
        let told = self.0.told.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if !self.is_cancelled() {
            told.await;
        }
    }
}
