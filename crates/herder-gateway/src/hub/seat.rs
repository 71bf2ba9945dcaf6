//! One client at the hub: the edge sits on the [`Seat`], the hub reaches it by the [`Place`].
//!
//! The hub never waits for a client: what it has for it lies here until the edge takes it. The edge
//! takes it at once and counts what it could not write yet; a client that is too slow is the
//! edge's to end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::hub::desk::Desk;
use crate::hub::{ClientId, Kind};

/// One message, from or to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Text is UTF-8; both halves may rely on it.
    pub(crate) kind: Kind,
    /// What it says, without any framing.
    pub(crate) bytes: Bytes,
}

/// What the edge is to do for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Send this.
    Message(Message),
    /// Say why, and end the connection. Nothing follows.
    Close(CloseReason),
}

/// Why the gateway ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The herd stops.
    GoingAway,
}

/// The edge's side. Dropping it tells the hub that the client is gone.
pub(crate) struct Seat {
    client: ClientId,
    shared: Rc<Shared>,
    desk: Rc<dyn Desk>,
}

/// The hub's side. Clones are the same place. All calls are harmless when the client is gone.
#[derive(Clone)]
pub(crate) struct Place {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    outbox: RefCell<VecDeque<Outgoing>>,
    outstanding: Cell<usize>,
    reading: Cell<Reading>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    On,
    Paused,
    Over,
    Gone,
}

impl Seat {
    /// A seat, and the place that belongs to it.
    pub(crate) fn new(client: ClientId, desk: Rc<dyn Desk>) -> (Seat, Place) {
        let shared = Rc::<Shared>::default();
        let place = Place {
            shared: Rc::clone(&shared),
        };
        let seat = Seat {
            client,
            shared,
            desk,
        };
        (seat, place)
    }

    #[cfg(test)]
    pub(crate) fn id(&self) -> ClientId {
        self.client
    }

    /// Gives one message of the client to the hub: a job. To be called only after [`Seat::room`],
    /// or while [`Seat::has_room`].
    pub(crate) fn submit(&self, message: Message) {
        self.shared.outstanding.set(self.outstanding() + 1);
        self.desk.submit(self.client, message);
    }

    /// Whether another message may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.reading.get() == Reading::On
    }

    /// Waits until another message may be read; for ever once the herd stops.
    pub(crate) async fn room(&self) {
        self.until(|| self.has_room()).await;
    }

    /// What is to be done next for the client; waits for it. Dropping the future loses nothing.
    pub(crate) async fn next(&self) -> Outgoing {
        self.until(|| !self.shared.outbox.borrow().is_empty()).await;
        self.try_next().expect("only this side takes from it")
    }

    /// What is to be done next for the client, if there is something.
    pub(crate) fn try_next(&self) -> Option<Outgoing> {
        self.shared.outbox.borrow_mut().pop_front()
    }

    /// Jobs of this client that are not over.
    pub(crate) fn outstanding(&self) -> usize {
        self.shared.outstanding.get()
    }

    /// Whether all jobs are over and everything was taken by [`Seat::next`].
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding() == 0 && self.shared.outbox.borrow().is_empty()
    }

    /// Waits until [`Seat::is_idle`].
    pub(crate) async fn idle(&self) {
        self.until(|| self.is_idle()).await;
    }

    async fn until(&self, so: impl Fn() -> bool) {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            // Before the look, so that a change between the two is not missed.
            changed.as_mut().enable();
            if so() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.reading.set(Reading::Gone);
        self.shared.outbox.borrow_mut().clear();
        self.desk.left(self.client);
    }
}

impl Place {
    /// Sends a message to the client.
    pub(crate) fn send(&self, message: Message) {
        self.push(Outgoing::Message(message));
    }

    /// One job of the client came to its end, well or not; what the client is told of it was sent
    /// before.
    pub(crate) fn over(&self) {
        let outstanding = self.shared.outstanding.get();
        debug_assert!(outstanding > 0, "each job is over once");
        self.shared.outstanding.set(outstanding.saturating_sub(1));
        self.shared.changed.notify_waiters();
    }

    /// No more messages are read until [`Place::resume`].
    pub(crate) fn pause(&self) {
        if self.shared.reading.get() == Reading::On {
            self.shared.reading.set(Reading::Paused);
        }
    }

    /// Messages are read again.
    pub(crate) fn resume(&self) {
        if self.shared.reading.get() == Reading::Paused {
            self.shared.reading.set(Reading::On);
            self.shared.changed.notify_waiters();
        }
    }

    /// No message is read any more, for good. What is outstanding goes on.
    pub(crate) fn stop_reading(&self) {
        if self.shared.reading.get() != Reading::Gone {
            self.shared.reading.set(Reading::Over);
        }
    }

    /// Ends the connection once everything sent before is written.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.stop_reading();
        self.push(Outgoing::Close(reason));
    }

    fn push(&self, outgoing: Outgoing) {
        if self.shared.reading.get() == Reading::Gone {
            return;
        }
        self.shared.outbox.borrow_mut().push_back(outgoing);
        self.shared.changed.notify_waiters();
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.client).finish()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("outstanding", &self.shared.outstanding)
            .field("reading", &self.shared.reading)
            .finish_non_exhaustive()
    }
}
