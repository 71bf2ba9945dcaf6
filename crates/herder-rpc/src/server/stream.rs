//! Streams: a sink for the object, credit from the agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use herder_wire::rpc::{CallError, Codec, ErrorKind, Executed, Frame, ItemKind, Position};
use serde::Serialize;
use tokio::sync::Notify;

use super::connection::{Connection, NotTaken, Task};
use super::guarded::Guarded;
use super::host::Method;
use super::outbox::{self, Outbox};
use crate::codec::encode;
use crate::cx::CancelToken;
use crate::{Args, BoxFuture, Cx};

/// How many items the agent has room for, and whether the stream is open.
#[derive(Debug, Default)]
pub(super) struct Flow {
    credits: AtomicU64,
    more: Notify,
    is_open: AtomicBool,
    opened: Notify,
}

impl Flow {
    pub(super) fn new(credits: u32) -> Arc<Self> {
        let flow = Self::default();
        flow.add(credits);
        Arc::new(flow)
    }

    pub(super) fn add(&self, items: u32) {
        // An agent that gives more than can be counted has no limit.
        let add = |credits: u64| Some(credits.saturating_add(u64::from(items)));
        let _ = self
            .credits
            .fetch_update(Ordering::Release, Ordering::Relaxed, add);
        self.more.notify_one();
    }

    fn take(&self) -> bool {
        let take = |credits: u64| credits.checked_sub(1);
        self.credits
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, take)
            .is_ok()
    }

    fn has_credit(&self) -> bool {
        self.credits.load(Ordering::Acquire) > 0
    }

    async fn credit(&self) {
        while !self.has_credit() {
            self.more.notified().await;
        }
    }

    fn open(&self) -> bool {
        let was_open = self.is_open.swap(true, Ordering::AcqRel);
        self.opened.notify_one();
        was_open
    }

    /// Ends when the stream is open.
    async fn opened(&self) {
        while !self.is_open.load(Ordering::Acquire) {
            self.opened.notified().await;
        }
    }
}

/// Where an object puts the items of one stream.
///
/// The agent says for how many items it has room; an item and a part of a snapshot take one each,
/// the end of a snapshot and a gap take none. An item that does not fit waits, and nothing is ever
/// left out silently: use [`crate::server::EventSource`] and [`crate::server::StateSource`] for
/// readers that are slower than what they read.
#[derive(Debug)]
pub struct Sink {
    outbox: Arc<Outbox>,
    flow: Arc<Flow>,
    id: u64,
    codec: Codec,
    epoch: u64,
    resume: Option<Position>,
    /// Number of the last item.
    seq: u64,
}

/// Why an item was not taken at once.
#[derive(Debug, thiserror::Error)]
pub enum TrySendError {
    /// The agent has no room for it now.
    #[error("the subscriber has no room for another item")]
    Full,
    /// It can never be sent.
    #[error(transparent)]
    Unsendable(#[from] CallError),
}

impl Sink {
    /// How the agent wants its items written.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// After which item the agent wants to go on; `None`: from the start.
    #[must_use]
    pub fn resume(&self) -> Option<Position> {
        self.resume
    }

    /// The incarnation of the library.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tells the agent that the stream is open, and the number of the last item before it. Sending
    /// does it too, with 0. Only the first time counts.
    pub fn open(&mut self, seq: u64) {
        if self.flow.open() {
            return;
        }
        self.seq = seq;
        let position = Position {
            epoch: self.epoch,
            seq,
        };
        self.push(&Frame::Opened {
            id: self.id,
            position,
        })
        .expect("it is short");
    }

    /// Waits until the agent has room for another item.
    pub async fn ready(&mut self) {
        self.open(0);
        loop {
            self.flow.credit().await;
            self.outbox.room().await;
            if self.flow.has_credit() {
                return;
            }
        }
    }

    /// Sends an item when there is room for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] and [`ErrorKind::TooLarge`]: this item cannot be sent.
    pub async fn send<T: Serialize + ?Sized + Sync>(&mut self, item: &T) -> Result<(), CallError> {
        self.ready().await;
        let body = encode(self.codec, item)?;
        self.put(ItemKind::Item, self.seq + 1, body)
    }

    /// Sends an item if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] without room, else those of [`Sink::send`].
    pub fn try_send<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), TrySendError> {
        self.open(0);
        if !self.has_room() {
            return Err(TrySendError::Full);
        }
        let body = encode(self.codec, item)?;
        Ok(self.put(ItemKind::Item, self.seq + 1, body)?)
    }

    /// Sends a part of the state at the time of subscribing, when there is room for it.
    ///
    /// # Errors
    ///
    /// As [`Sink::send`].
    pub async fn snapshot<T: Serialize + ?Sized + Sync>(
        &mut self,
        item: &T,
    ) -> Result<(), CallError> {
        self.ready().await;
        let body = encode(self.codec, item)?;
        self.put(ItemKind::Snapshot, self.seq, body)
    }

    /// Tells the agent that the snapshot is complete, and the number of the last item that is in
    /// it.
    pub fn snapshot_end(&mut self, seq: u64) {
        self.open(0);
        self.seq = seq;
        let kind = ItemKind::SnapshotEnd;
        let frame = Frame::Item {
            id: self.id,
            seq,
            kind,
            codec: self.codec,
            value: Bytes::new(),
        };
        self.push(&frame).expect("it is short");
    }

    /// Tells the agent that items are missing here, and how many, if that is known.
    pub fn gap(&mut self, reason: &str, missed: Option<u64>) {
        #[derive(Serialize)]
        struct Gap<'a> {
            reason: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            missed: Option<u64>,
        }
        self.open(0);
        let value = encode(Codec::Json, &Gap { reason, missed }).expect("a text and a number");
        let (id, seq, kind) = (self.id, self.seq, ItemKind::Gap);
        let frame = Frame::Item {
            id,
            seq,
            kind,
            codec: Codec::Json,
            value,
        };
        self.push(&frame).expect("a reason is shorter than a frame");
    }

    /// Number of the last item that was sent.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn set_seq(&mut self, seq: u64) {
        self.seq = seq;
    }

    pub(super) fn has_room(&self) -> bool {
        self.flow.has_credit() && self.outbox.waiting() <= outbox::FULL_BYTES
    }

    /// Sends what is written already. [`Sink::ready`] has been waited for.
    pub(super) fn put(&mut self, kind: ItemKind, seq: u64, value: Bytes) -> Result<(), CallError> {
        let (id, codec) = (self.id, self.codec);
        self.push(&Frame::Item {
            id,
            seq,
            kind,
            codec,
            value,
        })?;
        self.flow.take();
        self.seq = seq;
        Ok(())
    }

    fn push(&self, frame: &Frame) -> Result<(), CallError> {
        let pushed = self.outbox.push(frame);
        self.outbox.wake();
        pushed
            .map_err(|error| CallError::new(ErrorKind::TooLarge, Executed::Yes, error.to_string()))
    }
}

/// A subscription that has not begun.
pub(super) struct Subscription {
    pub(super) connection: Arc<Connection>,
    pub(super) method: Arc<Method>,
    pub(super) cx: Cx,
    pub(super) args: Args,
    pub(super) opening: Opening,
}

/// What the agent says of the stream that it opens.
pub(super) struct Opening {
    pub(super) id: u64,
    pub(super) cancel: CancelToken,
    pub(super) credits: u32,
    pub(super) resume: Position,
}

/// Opens a stream on a task of its own.
pub(super) fn arrive(subscription: Subscription) -> Result<(), NotTaken> {
    let Subscription {
        connection,
        method,
        cx,
        args,
        opening,
    } = subscription;
    let Opening {
        id,
        cancel,
        credits,
        resume,
    } = opening;
    let flow = Flow::new(credits);
    match connection.add_stream(id, cancel.clone(), Arc::clone(&flow)) {
        Err(NotTaken::TooMany) => {
            let message = "too many streams are open on this connection";
            connection.refuse(
                id,
                &CallError::new(ErrorKind::Overloaded, Executed::No, message),
            );
            return Ok(());
        }
        taken => taken?,
    }
    let sink = Sink {
        outbox: Arc::clone(&connection.outbox),
        flow: Arc::clone(&flow),
        id,
        codec: args.codec(),
        epoch: cx.epoch,
        resume: Some(resume).filter(|resume| *resume != Position::default()),
        seq: 0,
    };
    let open = Open {
        id,
        deadline: cx.deadline,
        cancel,
        flow,
    };
    let feed = move || Arc::clone(&method.object).subscribe(cx, method.number, args, sink);
    tokio::spawn(run(connection.task(), feed, open));
    Ok(())
}

/// What a stream's task needs besides its future.
struct Open {
    id: u64,
    deadline: Instant,
    cancel: CancelToken,
    flow: Arc<Flow>,
}

async fn run(
    connection: Task,
    feed: impl FnOnce() -> BoxFuture<'static, Result<(), CallError>>,
    open: Open,
) {
    let Open {
        id,
        deadline,
        cancel,
        flow,
    } = open;
    let result = match Guarded::new(feed) {
        Err(error) => Some(Err(error)),
        Ok(mut future) => tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            result = future.wait(&connection.host.pulse) => Some(result),
            () = unopened(&flow, deadline) => {
                Some(Err(CallError::new(ErrorKind::Deadline, Executed::Maybe, "it did not open")))
            }
        },
    };
    let Some(result) = result else { return };
    if result
        .as_ref()
        .is_err_and(|error| error.kind == ErrorKind::Panicked)
    {
        connection.host.panicked();
    }
    cancel.cancel();
    if !connection.take(id) {
        return;
    }
    match result {
        Ok(()) => connection.push(&Frame::End { id }).expect("it is short"),
        Err(error) => connection.refuse(id, &error),
    }
    connection.outbox.wake();
}

/// Ends at the deadline when the stream is not open by then, else never.
async fn unopened(flow: &Flow, deadline: Instant) {
    let opened = tokio::time::timeout_at(deadline.into(), flow.opened()).await;
    if opened.is_ok() {
        std::future::pending::<()>().await;
    }
}
