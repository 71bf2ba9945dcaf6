//! One call, over as many connections as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_wire::rpc::{CallError, Codec, ErrorKind, Executed, MethodKind};
use tokio::sync::SemaphorePermit;

use super::core::Core;
use super::error::{overloaded, too_late, unavailable};
use super::link::{Answer, Link, Progress, Request};
use super::options::CallOptions;
use super::plan::{Plan, Prepared, Usage, check_kind};

/// The longest pause before a call is made again; the shortest is none.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// What a method returned, as it came.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) codec: Codec,
    pub(super) value: Bytes,
    pub(super) epoch: u64,
}

/// What to do when the call cannot be sent now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Patience {
    /// Fail.
    None,
    /// Wait for the library and for a place in its window, and try again when that is safe.
    UntilDeadline,
}

/// Whether the caller wants an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Answer,
    Nothing,
}

/// A call before it is prepared for a library.
pub(super) struct Call<'a, P> {
    pub(super) core: &'a Arc<Core>,
    pub(super) plan: &'a P,
    pub(super) options: &'a CallOptions,
    pub(super) patience: Patience,
    pub(super) wish: Wish,
}

impl<P: Plan> Call<'_, P> {
    /// Makes the call; its errors name the method.
    pub(super) async fn execute(&self) -> Result<Returned, CallError> {
        let (object, method) = self.plan.names();
        self.run().await.map_err(|error| error.at(object, method))
    }

    async fn run(&self) -> Result<Returned, CallError> {
        let core = self.core;
        let began = Instant::now();
        lock(&core.budget).earn();
        let link = match core.serving() {
            Some(link) => link,
            None => {
                let allowed = self.options.deadline.unwrap_or(core.settings.deadline);
                self.first_link(began + allowed).await?
            }
        };
        let prepared = self.prepare(&link)?;
        let allowed = self.options.deadline.or(prepared.deadline);
        let deadline = began + allowed.unwrap_or(core.settings.deadline);
        let progress = Progress::default();
        let attempts = self.attempts(link, prepared, deadline, &progress);
        match tokio::time::timeout_at(deadline.into(), attempts).await {
            Ok(result) => result,
            Err(_) => {
                let waited = began.elapsed().as_millis();
                let message = format!("no answer after {waited} ms");
                Err(too_late(progress.executed(), message))
            }
        }
    }

    async fn first_link(&self, deadline: Instant) -> Result<Arc<Link>, CallError> {
        if self.patience == Patience::None {
            self.core.keep()?;
            return Err(self.core.away(Executed::No));
        }
        match tokio::time::timeout_at(deadline.into(), self.next_link(Executed::No)).await {
            Ok(link) => link,
            Err(_) => Err(self.core.away(Executed::No)),
        }
    }

    /// Waits for a connection: not longer than a restart takes when the library was there before.
    async fn next_link(&self, executed: Executed) -> Result<Arc<Link>, CallError> {
        let core = self.core;
        if let Some(link) = core.serving() {
            return Ok(link);
        }
        let _place = core.wait_in_line()?;
        if !core.was_connected() {
            return core.link().await;
        }
        match tokio::time::timeout(core.settings.reconnect_wait, core.link()).await {
            Ok(link) => link,
            Err(_) => Err(core.away(executed)),
        }
    }

    fn prepare(&self, link: &Link) -> Result<Prepared, CallError> {
        let prepared = self.plan.prepare(&link.facts)?;
        check_kind(&prepared, Usage::Call)?;
        let key = key(self.options);
        let length = prepared.frame_length(key);
        let limit = link.facts.welcome.limits.frame;
        let too_large = |what: &str, length: usize| {
            let message = format!("its {what} are {length} bytes long");
            Err(CallError::new(ErrorKind::TooLarge, Executed::No, message))
        };
        if key.len() > herder_wire::rpc::frame::MAX_KEY {
            return too_large("idempotency key and header", key.len());
        }
        if usize::try_from(limit).is_ok_and(|limit| length > limit) {
            return too_large("arguments", length);
        }
        Ok(prepared)
    }

    async fn attempts(
        &self,
        mut link: Arc<Link>,
        mut prepared: Prepared,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Returned, CallError> {
        loop {
            let request = Request {
                prepared: &prepared,
                key: key(self.options),
                deadline,
            };
            let failure = match self.attempt(&link, &request, progress).await {
                Attempt::Over(result) => return result,
                Attempt::Elsewhere => None,
                Attempt::Failed(error) => Some(error),
            };
            if let Some(error) = failure {
                if error.executed != Executed::No {
                    progress.perhaps();
                }
                if !self.may_repeat(&prepared, &error) {
                    return Err(error);
                }
                tokio::time::sleep(pause()).await;
            }
            if self.patience == Patience::None {
                return Err(self.core.away(progress.executed()));
            }
            link = self.next_link(progress.executed()).await?;
            prepared = self.prepare(&link)?;
        }
    }

    fn may_repeat(&self, prepared: &Prepared, error: &CallError) -> bool {
        let is_safe = error.executed == Executed::No || prepared.is_idempotent;
        self.patience == Patience::UntilDeadline
            && error.kind == ErrorKind::Unavailable
            && is_safe
            && lock(&self.core.budget).spend(Instant::now())
    }

    async fn attempt(
        &self,
        link: &Arc<Link>,
        request: &Request<'_>,
        progress: &Progress,
    ) -> Attempt {
        let epoch = link.facts.welcome.epoch;
        let length = request.prepared.frame_length(request.key);
        let places = match self.places(link, length).await {
            Ok(Some(places)) => places,
            Ok(None) => return Attempt::Elsewhere,
            Err(error) => return Attempt::Over(Err(error.in_epoch(epoch))),
        };
        let is_one_way = self.wish == Wish::Nothing || request.prepared.kind == MethodKind::Notify;
        if is_one_way {
            return one_way(link, request, places);
        }
        let Ok(in_flight) = link.call(request, progress) else {
            return Attempt::Elsewhere;
        };
        match in_flight.await {
            Answer::Ok { codec, value } => Attempt::Over(Ok(Returned {
                codec,
                value,
                epoch,
            })),
            Answer::Error(body) => {
                let error = CallError::from_json(&body).in_epoch(epoch);
                match error.kind == ErrorKind::Unavailable {
                    true => Attempt::Failed(error),
                    false => Attempt::Over(Err(error)),
                }
            }
            Answer::Lost { executed, reason } => {
                Attempt::Failed(unavailable(executed, &*reason).in_epoch(epoch))
            }
        }
    }

    /// Places in the library's window, for one call and its bytes. Nothing: the connection takes
    /// no new calls.
    async fn places<'l>(
        &self,
        link: &'l Link,
        length: usize,
    ) -> Result<Option<Places<'l>>, CallError> {
        // A call that is larger than the window goes when nothing else is under way.
        let window = usize::try_from(link.facts.welcome.limits.bytes).unwrap_or(usize::MAX);
        let bytes = u32::try_from(length.min(window)).unwrap_or(u32::MAX);
        if let (Ok(call), Ok(bytes)) =
            (link.calls.try_acquire(), link.bytes.try_acquire_many(bytes))
        {
            return Ok(Some(Places { call, bytes }));
        }
        if self.patience == Patience::None {
            return match link.calls.is_closed() {
                true => Ok(None),
                false => Err(overloaded("the library's window is full")),
            };
        }
        let _place = self.core.wait_in_line()?;
        let Ok(call) = link.calls.acquire().await else {
            return Ok(None);
        };
        let Ok(bytes) = link.bytes.acquire_many(bytes).await else {
            return Ok(None);
        };
        Ok(Some(Places { call, bytes }))
    }
}

/// What became of one attempt.
enum Attempt {
    /// The connection took no new calls; nothing was sent.
    Elsewhere,
    /// The library was not there for it.
    Failed(CallError),
    Over(Result<Returned, CallError>),
}

/// Places in a library's window; given back when dropped.
struct Places<'a> {
    call: SemaphorePermit<'a>,
    bytes: SemaphorePermit<'a>,
}

fn one_way(link: &Arc<Link>, request: &Request<'_>, places: Places<'_>) -> Attempt {
    let release = places.bytes.num_permits();
    if link.one_way(request, release).is_err() {
        return Attempt::Elsewhere;
    }
    // Given back when the frame is written; the call itself is not counted any more.
    places.bytes.forget();
    drop(places.call);
    let epoch = link.facts.welcome.epoch;
    Attempt::Over(Ok(Returned {
        codec: Codec::Json,
        value: Bytes::from_static(b"null"),
        epoch,
    }))
}

fn key(options: &CallOptions) -> &Bytes {
    static NO_KEY: Bytes = Bytes::new();
    options.key.as_ref().unwrap_or(&NO_KEY)
}

/// A pause that differs from caller to caller.
fn pause() -> Duration {
    static TURN: AtomicU64 = AtomicU64::new(0);
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    // Steps of the golden ratio fall evenly over the range, in any number.
    let turn = TURN.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
    let range = u64::try_from(RETRY_PAUSE.as_micros())
        .unwrap_or(u64::MAX)
        .max(1);
    Duration::from_micros((turn >> 32) % range)
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
