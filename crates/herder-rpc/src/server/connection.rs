//! What one connection has under way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use herder_wire::rpc::{CallError, Delivery, ErrorKind, Executed, Frame};
use tokio::sync::Notify;

use super::call::Call;
use super::gate::Gate;
use super::host::Host;
use super::outbox::Outbox;
use super::stream::Flow;
use crate::cx::CancelToken;
use crate::{Caller, Reply};

/// How many calls one connection may have under way.
pub(super) const MAX_CALLS: usize = 256;

/// How many bytes the calls under way may have.
pub(super) const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// How many streams one connection may have open.
const MAX_STREAMS: usize = 1024;

/// Above this many bytes that wait to be written, a result is replaced by an error.
const MOST_WAITING: usize = 4 * super::outbox::FULL_BYTES;

/// One connection: who is at the other end, what it has asked for, what it has yet to be sent.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) caller: Arc<Caller>,
    pub(super) host: Arc<Host>,
    pub(super) outbox: Arc<Outbox>,
    table: Mutex<Table>,
    /// Told when a call or a task has ended.
    changed: Notify,
}

#[derive(Default)]
struct Table {
    under_way: HashMap<u64, UnderWay>,
    calls: usize,
    streams: usize,
    bytes: usize,
    /// Tasks that still hold a future of a method.
    tasks: usize,
    state: State,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum State {
    #[default]
    Open,
    Ended,
}

struct UnderWay {
    cancel: CancelToken,
    what: What,
}

enum What {
    Call { size: usize, gate: Arc<Gate<Call>> },
    Stream(Arc<Flow>),
}

/// Why something is not taken in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotTaken {
    /// The agent uses a number twice: it cannot be understood.
    NumberInUse,
    /// The connection has ended.
    Ended,
    /// It has too many streams open.
    TooMany,
}

impl Connection {
    pub(super) fn new(number: u64, caller: Arc<Caller>, host: Arc<Host>) -> Arc<Self> {
        Arc::new(Self {
            number,
            caller,
            host,
            outbox: Arc::default(),
            table: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Queues a frame; the writer sees it with the next [`Outbox::wake`].
    pub(super) fn push(&self, frame: &Frame) -> Result<(), CallError> {
        self.outbox
            .push(frame)
            .map_err(|error| CallError::new(ErrorKind::TooLarge, Executed::Yes, error.to_string()))
    }

    /// Queues the answer to a call.
    pub(super) fn answer(&self, id: u64, delivery: Delivery, result: Result<Reply, CallError>) {
        if delivery == Delivery::OneWay {
            return;
        }
        let sent = result.and_then(|reply| {
            let codec = reply.codec();
            let value = reply.into_body();
            if value.len() > super::outbox::COPIED_BYTES && self.outbox.waiting() > MOST_WAITING {
                let message = "the caller does not take the results that wait for it";
                return Err(CallError::new(
                    ErrorKind::Overloaded,
                    Executed::Yes,
                    message,
                ));
            }
            self.push(&Frame::Ok { id, codec, value })
        });
        if let Err(error) = sent {
            self.refuse(id, &error);
        }
    }

    /// Queues the end of a call or stream by an error.
    pub(super) fn refuse(&self, id: u64, error: &CallError) {
        let error = error.to_json();
        self.push(&Frame::Error { id, error })
            .expect("an error is shorter than a frame may be");
    }

    /// Whether a call of `size` bytes may be taken in; the first always may.
    pub(super) fn fits(&self, size: usize) -> bool {
        let table = self.table();
        table.calls == 0
            || (table.calls < MAX_CALLS && table.bytes.saturating_add(size) <= MAX_CALL_BYTES)
    }

    /// Whether nothing is under way but streams.
    pub(super) fn is_idle(&self) -> bool {
        self.table().calls == 0
    }

    /// Ends when `condition` holds, which depends on what is under way.
    pub(super) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    /// A call is under way from now on.
    pub(super) fn add_call(
        &self,
        id: u64,
        size: usize,
        call: (CancelToken, Arc<Gate<Call>>),
    ) -> Result<(), NotTaken> {
        let (cancel, gate) = call;
        let mut table = self.table();
        table.add(
            id,
            UnderWay {
                cancel,
                what: What::Call { size, gate },
            },
        )?;
        table.calls += 1;
        table.bytes += size;
        Ok(())
    }

    /// A stream is open from now on.
    pub(super) fn add_stream(
        &self,
        id: u64,
        cancel: CancelToken,
        flow: Arc<Flow>,
    ) -> Result<(), NotTaken> {
        let mut table = self.table();
        if table.streams >= MAX_STREAMS {
            return Err(NotTaken::TooMany);
        }
        table.add(
            id,
            UnderWay {
                cancel,
                what: What::Stream(flow),
            },
        )?;
        table.streams += 1;
        Ok(())
    }

    /// A call or stream is over. Whether somebody still waits for it.
    pub(super) fn take(&self, id: u64) -> bool {
        let taken = self.table().remove(id).is_some();
        self.changed.notify_waiters();
        taken
    }

    /// The agent waits no more for a call or stream.
    pub(super) fn cancel(&self, id: u64) {
        let removed = self.table().remove(id);
        let Some(under_way) = removed else { return };
        under_way.cancel.cancel();
        if let What::Call { gate, .. } = under_way.what {
            drop(gate.forget(self.number, id));
        }
        self.changed.notify_waiters();
    }

    /// The agent has room for more items.
    pub(super) fn credit(&self, id: u64, items: u32) {
        if let Some(UnderWay {
            what: What::Stream(flow),
            ..
        }) = self.table().under_way.get(&id)
        {
            flow.add(items);
        }
    }

    /// Cancels everything and takes nothing more.
    pub(super) fn end(&self) {
        let mut table = self.table();
        table.state = State::Ended;
        let under_way = std::mem::take(&mut table.under_way);
        (table.calls, table.streams, table.bytes) = (0, 0, 0);
        drop(table);
        for entry in under_way.values() {
            entry.cancel.cancel();
        }
        for gate in self.host.gates() {
            drop(gate.forget_all(self.number));
        }
        self.outbox.abandon();
        self.changed.notify_waiters();
    }

    /// Whether no task holds a future of a method any more.
    pub(super) fn is_quiet(&self) -> bool {
        self.table().tasks == 0
    }

    /// A task holds a future of a method until this is dropped.
    pub(super) fn task(self: &Arc<Self>) -> Task {
        self.table().tasks += 1;
        Task(Arc::clone(self))
    }

    /// Tells of a library that goes.
    pub(super) fn say_goodbye(&self) {
        let reason = Bytes::from_static(br#"{"reason":"the library is ending"}"#);
        self.push(&Frame::GoAway(reason)).expect("it is short");
        self.outbox.wake();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, id: u64, under_way: UnderWay) -> Result<(), NotTaken> {
        if self.state == State::Ended {
            return Err(NotTaken::Ended);
        }
        match self.under_way.entry(id) {
            Entry::Occupied(_) => Err(NotTaken::NumberInUse),
            Entry::Vacant(entry) => {
                entry.insert(under_way);
                Ok(())
            }
        }
    }

    fn remove(&mut self, id: u64) -> Option<UnderWay> {
        let under_way = self.under_way.remove(&id)?;
        match &under_way.what {
            What::Call { size, .. } => {
                self.calls -= 1;
                self.bytes -= size;
            }
            What::Stream(_) => self.streams -= 1,
        }
        Some(under_way)
    }
}

/// A task that holds a future of a method of this connection.
pub(super) struct Task(Arc<Connection>);

impl std::ops::Deref for Task {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.table().tasks -= 1;
        self.0.changed.notify_waiters();
    }
}
