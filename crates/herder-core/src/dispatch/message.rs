//! What the dispatcher is told, and what it asks for.
//!
//! The shell executes each action before it polls the next one or tells any other news, and a count
//! or a list is told at once: [`Event::Unreceived`], [`Event::TakenBack`] and [`Event::Refused`]
//! are about the queue as it is after the last action that was polled.

use serde::{Deserialize, Serialize};

use crate::{ConnId, Origin, WorkerId};

/// The most connections that travel in one message.
///
/// A worker must have room for all of them before it receives, so this is also how many
/// descriptors it keeps in reserve.
pub const MAX_BATCH: usize = 4;

/// News for the dispatcher.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A connection is in the master's hand. Where it comes from only some policies
    /// [ask](crate::spec::PickerKind::asks_for_origin); `None` = nobody knows.
    Accepted {
        conn: ConnId,
        origin: Option<Origin>,
    },
    /// The worker may get connections (again).
    Admit { worker: WorkerId },
    /// The worker is dead. These, oldest first, it had not received (decided): they are in the
    /// master's hand again, and each has met one more death (unless the worker was to be withdrawn).
    /// What was queued and is not among them, the worker had received.
    Gone {
        worker: WorkerId,
        conns: Vec<ConnId>,
    },
    /// The worker gets no new connection until it is admitted again; its queue is taken back, if
    /// that is possible.
    Hold { worker: WorkerId },
    /// How many connections the worker says it holds open.
    Load { worker: WorkerId, open: u32 },
    /// The worker has decided that it serves the connection.
    Received { worker: WorkerId, conn: ConnId },
    /// The worker's channel could not take these: they are still in the master's hand.
    Refused { worker: WorkerId, conns: Batch },
    /// The worker has decided that it does not serve the connection, and has let go of it. It goes to
    /// another, also when the worker is withdrawn.
    Rejected { worker: WorkerId, conn: ConnId },
    /// The worker's queue was emptied from outside: these are in the master's hand again, oldest
    /// first. What was queued and is not among them, the worker has received.
    TakenBack {
        worker: WorkerId,
        conns: Vec<ConnId>,
    },
    /// `poll_timeout` has passed.
    Timer,
    /// So many of the worker's connections are un-received (the newest ones). A probe is not
    /// counted.
    Unreceived {
        worker: WorkerId,
        count: u32,
        probe: ProbeState,
    },
    /// The worker gets no new connection ever.
    Withdraw { worker: WorkerId },
}

/// Whether a probe lies un-received in a worker's queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeState {
    /// No probe was sent, or it was received.
    Absent,
    /// It was sent and has not been received.
    Unreceived,
}

/// A request to the shell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Close the connection: nobody will serve it.
    Close { conn: ConnId, reason: CloseReason },
    /// Look at the worker's queue, then say [`Event::Unreceived`], whatever it shows.
    Measure { worker: WorkerId },
    /// Put a record without a connection into the worker's queue: its receipt shows that the
    /// worker receives again.
    Probe { worker: WorkerId },
    /// Pass these to the worker, in one message.
    Send { worker: WorkerId, conns: Batch },
    /// Receive what is un-received in the worker's queue (a probe too), then say
    /// [`Event::TakenBack`], even when there was nothing.
    TakeBack { worker: WorkerId },
    /// Wake at the worker's next receipt, then say [`Event::Unreceived`] (until `Unwatch`).
    Watch { worker: WorkerId },
    /// Stop waking at the worker's receipts.
    Unwatch { worker: WorkerId },
    /// The withdrawal is complete: nothing more is sent, and this many connections were taken back.
    /// Comes once for each withdrawal, and the worker is not watched any more.
    Withdrawn { worker: WorkerId, taken_back: u32 },
}

/// Why a connection is closed unserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CloseReason {
    /// Too many workers died while it was in their queues.
    Poisoned,
    /// Nobody could take it in time.
    TimedOut,
}

/// One to [`MAX_BATCH`] connections, without allocation.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    conns: [ConnId; MAX_BATCH],
    len: u8,
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Batch {
        Batch {
            conns: [ConnId(0); MAX_BATCH],
            len: 0,
        }
    }

    /// Adds a connection.
    ///
    /// # Panics
    /// When it [is full](Batch::is_full).
    pub fn push(&mut self, conn: ConnId) {
        self.conns[usize::from(self.len)] = conn;
        self.len += 1;
    }

    /// Whether it holds [`MAX_BATCH`] connections.
    #[must_use]
    pub fn is_full(&self) -> bool {
        usize::from(self.len) == MAX_BATCH
    }

    /// The connections, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[ConnId] {
        &self.conns[..usize::from(self.len)]
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
