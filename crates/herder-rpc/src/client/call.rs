//! One call, over as many connections as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_wire::rpc::{CallError, Codec, ErrorKind, Executed, MethodKind};
use tokio::sync::{SemaphorePermit, TryAcquireError};

use super::core::Core;
use super::error::{overloaded, too_late, unavailable};
use super::link::{Answer, Link, Progress, Request};
use super::options::{CallOptions, moment};
use super::plan::{Method, Plan, Usage, check_kind};

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
                self.first_link(moment(began, allowed)).await?
            }
        };
        let method = self.resolve(&link)?;
        let allowed = self.options.deadline.or(method.deadline);
        let deadline = moment(began, allowed.unwrap_or(core.settings.deadline));
        let progress = Progress::default();
        let attempts = self.attempts((link, method), deadline, &progress);
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

    fn resolve(&self, link: &Link) -> Result<Method, CallError> {
        let method = self.plan.resolve(&link.facts)?;
        check_kind(&method, Usage::Call)?;
        Ok(method)
    }

    async fn attempts(
        &self,
        (mut link, mut method): (Arc<Link>, Method),
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Returned, CallError> {
        loop {
            let failure = match self.attempt(&link, &method, deadline, progress).await {
                Attempt::Over(result) => return result,
                Attempt::Elsewhere => {
                    // Whoever keeps the connection must get its turn.
                    tokio::task::yield_now().await;
                    None
                }
                Attempt::Failed(error) => Some(error),
            };
            if let Some(error) = failure {
                if error.executed != Executed::No {
                    progress.perhaps();
                }
                if !self.may_repeat(&method, &error) {
                    return Err(error);
                }
                tokio::time::sleep(pause()).await;
            }
            if self.patience == Patience::None {
                return Err(self.core.away(progress.executed()));
            }
            link = self.next_link(progress.executed()).await?;
            method = self.resolve(&link)?;
        }
    }

    fn may_repeat(&self, method: &Method, error: &CallError) -> bool {
        let is_safe = error.executed == Executed::No || method.is_idempotent;
        // What the method says is away is not back at once, and the caller is to hear of it.
        let is_here = error.retry_after.is_none();
        self.patience == Patience::UntilDeadline
            && error.kind == ErrorKind::Unavailable
            && is_safe
            && is_here
            && lock(&self.core.budget).spend(Instant::now())
    }

    async fn attempt(
        &self,
        link: &Arc<Link>,
        method: &Method,
        deadline: Instant,
        progress: &Progress,
    ) -> Attempt {
        let epoch = link.facts.welcome.epoch;
        let over = |error: CallError| Attempt::Over(Err(error.in_epoch(epoch)));
        // A place first: what waits for one is not written yet, and takes no memory for it.
        let place = match self.place(link).await {
            Ok(Some(place)) => place,
            Ok(None) => return Attempt::Elsewhere,
            Err(error) => return over(error),
        };
        let request = match self.request(link, method, deadline) {
            Ok(request) => request,
            Err(error) => return over(error),
        };
        let bytes = match self.bytes(link, request.frame_length()).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Attempt::Elsewhere,
            Err(error) => return over(error),
        };
        if self.wish == Wish::Nothing || method.kind == MethodKind::Notify {
            // The call itself is not counted any more, its bytes until they are written.
            drop(place);
            return one_way(link, &request, bytes);
        }
        let Ok(in_flight) = link.call(&request, progress) else {
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

    fn request(
        &self,
        link: &Link,
        method: &Method,
        deadline: Instant,
    ) -> Result<Request<'_>, CallError> {
        let too_large = |what: &str, length: usize| {
            let message = format!("its {what} takes {length} bytes");
            Err(CallError::new(ErrorKind::TooLarge, Executed::No, message))
        };
        let key = key(self.options);
        if key.len() > herder_wire::rpc::frame::MAX_KEY {
            return too_large("idempotency key", key.len());
        }
        let args = self.plan.encode(method.codec)?;
        let (target, codec) = (method.target, method.codec);
        let request = Request {
            target,
            codec,
            args,
            key,
            deadline,
        };
        let (length, limit) = (request.frame_length(), link.facts.welcome.limits.frame);
        if usize::try_from(limit).is_ok_and(|limit| length > limit) {
            return too_large("frame", length);
        }
        Ok(request)
    }

    /// A place among the calls in the library's window. Nothing: the connection takes no calls.
    async fn place<'l>(&self, link: &'l Link) -> Result<Option<SemaphorePermit<'l>>, CallError> {
        match link.calls.try_acquire() {
            Ok(place) => return Ok(Some(place)),
            Err(TryAcquireError::Closed) => return Ok(None),
            Err(TryAcquireError::NoPermits) => self.check_patience()?,
        }
        let _turn = self.core.wait_in_line()?;
        Ok(link.calls.acquire().await.ok())
    }

    /// Room for a frame in the library's window. Nothing: the connection takes no calls.
    async fn bytes<'l>(
        &self,
        link: &'l Link,
        length: usize,
    ) -> Result<Option<SemaphorePermit<'l>>, CallError> {
        // A call that is larger than the window goes when nothing else is under way.
        let window = usize::try_from(link.facts.welcome.limits.bytes).unwrap_or(usize::MAX);
        let length = u32::try_from(length.min(window)).unwrap_or(u32::MAX);
        match link.bytes.try_acquire_many(length) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(TryAcquireError::Closed) => return Ok(None),
            Err(TryAcquireError::NoPermits) => self.check_patience()?,
        }
        let _turn = self.core.wait_in_line()?;
        Ok(link.bytes.acquire_many(length).await.ok())
    }

    fn check_patience(&self) -> Result<(), CallError> {
        match self.patience {
            Patience::None => Err(overloaded("the library's window is full")),
            Patience::UntilDeadline => Ok(()),
        }
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

fn one_way(link: &Arc<Link>, request: &Request<'_>, bytes: SemaphorePermit<'_>) -> Attempt {
    if link.one_way(request, bytes.num_permits()).is_err() {
        return Attempt::Elsewhere;
    }
    // Given back when the frame is written.
    bytes.forget();
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
