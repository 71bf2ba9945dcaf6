//! What an agent knows of its library, and the task that keeps the connection.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use herder_wire::rpc::{CallError, ErrorKind, Executed, Signature};
use tokio::sync::Notify;

use super::backoff::Backoff;
use super::budget::RetryBudget;
use super::connect::{Connected, connect};
use super::endpoint::Endpoint;
use super::error::{LinkError, overloaded, unavailable};
use super::link::{Link, Request};
use super::options::{AgentSettings, moment};
use super::plan::{Usage, check_kind};
use super::pump;
use super::stream::StreamCore;

/// What all handles of one agent share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) endpoint: Endpoint,
    pub(super) settings: AgentSettings,
    pub(super) budget: Mutex<RetryBudget>,
    state: Mutex<State>,
    /// Whoever opens a stream: it is opened on the connection that serves, and nobody takes it from
    /// there to one that is gone.
    opening: Mutex<()>,
    /// Told when there is a connection, or a refusal.
    changed: Notify,
    /// Told when no handle is left.
    closed: Notify,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<Link>>,
    signature: Option<Arc<Signature>>,
    /// The library answered, and does not talk to this process.
    refusal: Option<CallError>,
    /// Why the last connection could not be made.
    trouble: Option<String>,
    streams: BTreeMap<u64, Arc<StreamCore>>,
    next_stream: u64,
    was_connected: bool,
    is_closed: bool,
    has_keeper: bool,
}

impl State {
    /// A connection that ended stays here until its keeper looks: who took it for one that serves
    /// would try it again and again meanwhile.
    fn serving(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| !link.calls.is_closed())
    }
}

/// How an agent stands with its library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Connection {
    /// There is none; why the last try failed, if there was one.
    Away(Option<String>),
    /// The library's incarnation that answers.
    Up(u64),
}

impl Core {
    pub(super) fn new(endpoint: Endpoint, settings: AgentSettings) -> Self {
        Self {
            endpoint,
            settings,
            budget: Mutex::new(RetryBudget::new(Instant::now())),
            state: Mutex::default(),
            opening: Mutex::default(),
            changed: Notify::new(),
            closed: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The state is consistent between any two statements, so a panic elsewhere harms nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that takes calls now.
    pub(super) fn serving(&self) -> Option<Arc<Link>> {
        self.lock().serving().cloned()
    }

    pub(super) fn connection(&self) -> Connection {
        let state = self.lock();
        match state.serving() {
            Some(link) => Connection::Up(link.facts.welcome.epoch),
            None => Connection::Away(state.trouble.clone()),
        }
    }

    /// Whether the library ever answered: then it is being restarted, else it is starting.
    pub(super) fn was_connected(&self) -> bool {
        self.lock().was_connected
    }

    /// Whether the library had this object when it answered last.
    pub(super) fn had(&self, object: &str) -> bool {
        let state = self.lock();
        state
            .signature
            .as_ref()
            .is_some_and(|known| known.objects.contains_key(object))
    }

    /// Waits for a connection, without end.
    pub(super) async fn link(self: &Arc<Self>) -> Result<Arc<Link>, CallError> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.keep()?;
            {
                let state = self.lock();
                if let Some(link) = state.serving() {
                    return Ok(Arc::clone(link));
                }
                if let Some(refusal) = &state.refusal {
                    return Err(refusal.clone());
                }
            }
            changed.await;
        }
    }

    /// Why there is no connection, for a caller that waited in vain.
    pub(super) fn away(&self, executed: Executed) -> CallError {
        let library = &self.endpoint.library;
        let trouble = self.lock().trouble.clone();
        let because = trouble
            .map(|trouble| format!(": {trouble}"))
            .unwrap_or_default();
        unavailable(
            executed,
            format!("library {library} does not answer{because}"),
        )
    }

    /// A place among those who wait; there are not many, so that memory stays bounded.
    pub(super) fn wait_in_line(&self) -> Result<InLine<'_>, CallError> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = InLine(self);
        if before < self.settings.waiting {
            return Ok(place);
        }
        Err(overloaded(format!(
            "{before} calls wait for the library already"
        )))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn streams(&self) -> usize {
        self.lock().streams.len()
    }

    /// Takes a stream into care: it is opened on every connection until it is removed.
    pub(super) fn add_stream(self: &Arc<Self>, stream: &Arc<StreamCore>) -> u64 {
        let (key, link) = {
            let mut state = self.lock();
            state.next_stream += 1;
            let key = state.next_stream;
            state.streams.insert(key, Arc::clone(stream));
            (key, state.link.clone())
        };
        if let Some(link) = link {
            self.open(&link, stream);
        }
        key
    }

    pub(super) fn remove_stream(&self, key: u64) {
        self.lock().streams.remove(&key);
    }

    /// Starts the task that keeps the connection, on the runtime of the caller.
    pub(super) fn keep(self: &Arc<Self>) -> Result<(), CallError> {
        let mut state = self.lock();
        if state.has_keeper || state.is_closed {
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            unavailable(
                Executed::No,
                "calls need a tokio runtime, and none runs here",
            )
        })?;
        state.has_keeper = true;
        drop(state);
        runtime.spawn(keep(Keeper(Arc::clone(self))));
        Ok(())
    }

    /// No handle is left.
    pub(super) fn close(&self) {
        let link = {
            let mut state = self.lock();
            state.is_closed = true;
            state.streams.clear();
            state.link.take()
        };
        self.closed.notify_one();
        if let Some(link) = link {
            link.fail("the agent was closed");
        }
    }

    fn open(&self, link: &Arc<Link>, stream: &Arc<StreamCore>) {
        let _turn = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.lock().link.clone();
        if present.is_none_or(|present| !Arc::ptr_eq(&present, link)) {
            // Whoever brings the next connection opens it there.
            return;
        }
        if let Some((old, id)) = stream.leave_other(link) {
            old.cancel(id);
        }
        match self.subscribe(link, stream) {
            // A connection that takes nothing any more is followed by one that does.
            Ok(()) => {}
            Err(error) => {
                let (object, method) = stream.plan.names();
                if let Some(waker) = stream.end(Some(error.at(object, method))) {
                    waker.wake();
                }
            }
        }
    }

    fn subscribe(&self, link: &Arc<Link>, stream: &Arc<StreamCore>) -> Result<(), CallError> {
        let method = stream.plan.resolve(&link.facts)?;
        check_kind(&method, Usage::Stream)?;
        let args = stream.plan.encode(method.codec)?;
        let allowed = stream
            .opening
            .or(method.deadline)
            .unwrap_or(self.settings.deadline);
        let request = Request {
            target: method.target,
            codec: method.codec,
            args,
            key: &Bytes::new(),
            deadline: moment(Instant::now(), allowed),
        };
        let (length, limit) = (request.frame_length(), link.facts.welcome.limits.frame);
        if usize::try_from(limit).is_ok_and(|limit| length > limit) {
            let message = format!("its frame takes {length} bytes");
            return Err(CallError::new(ErrorKind::TooLarge, Executed::No, message));
        }
        link.subscribe(stream, &request).or(Ok(()))
    }

    fn serve(&self, link: &Arc<Link>) {
        let streams: Vec<_> = {
            let mut state = self.lock();
            if state.is_closed {
                return;
            }
            state.link = Some(Arc::clone(link));
            state.signature = Some(Arc::clone(&link.facts.signature));
            state.was_connected = true;
            state.refusal = None;
            state.trouble = None;
            state.streams.values().cloned().collect()
        };
        self.changed.notify_waiters();
        streams.iter().for_each(|stream| self.open(link, stream));
    }

    fn fail_to_connect(&self, error: LinkError) {
        let mut state = self.lock();
        state.trouble = Some(error.to_string());
        if let LinkError::Refused(mut refusal) = error {
            refusal.kind = ErrorKind::Refused;
            refusal.executed = Executed::No;
            state.refusal = Some(refusal);
            drop(state);
            self.changed.notify_waiters();
        }
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }
}

/// A call that waits for the library.
#[derive(Debug)]
pub(super) struct InLine<'a>(&'a Core);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The task's hold on the agent. When its runtime ends, the next call starts another.
struct Keeper(Arc<Core>);

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_keeper = false;
        let link = state.link.take();
        drop(state);
        if let Some(link) = link {
            link.fail("the runtime of the connection ended");
        }
        self.0.changed.notify_waiters();
    }
}

/// Connects, and again when the connection is gone, until the agent is closed.
async fn keep(keeper: Keeper) {
    let core = &keeper.0;
    let (first, last) = core.settings.backoff;
    let mut backoff = Backoff::new(first, last);
    let random = RandomState::new();
    for attempt in 0_u64.. {
        let attempt = async {
            let delay = backoff.delay(random.hash_one(attempt));
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let known = core.lock().signature.clone();
            connect(&core.endpoint, known, core.settings.handshake).await
        };
        let connected = tokio::select! {
            biased;
            () = core.closed.notified() => return,
            connected = attempt => connected,
        };
        match connected {
            Ok(connected) => {
                let lived = serve(core, connected).await;
                backoff.ended(lived);
            }
            Err(error) => core.fail_to_connect(error),
        }
        if core.is_closed() {
            return;
        }
    }
}

/// Serves on a connection until it takes no new calls. The answer: for how long it did.
async fn serve(core: &Arc<Core>, connected: Connected) -> std::time::Duration {
    let link = Arc::clone(&connected.link);
    tokio::spawn(pump::run(connected));
    core.serve(&link);
    tokio::select! {
        () = link.left.notified() => {}
        () = core.closed.notified() => {}
    }
    if core.is_closed() {
        link.fail("the agent was closed");
    }
    let mut state = core.lock();
    if state
        .link
        .as_ref()
        .is_some_and(|held| Arc::ptr_eq(held, &link))
    {
        state.link = None;
    }
    link.began.elapsed()
}
