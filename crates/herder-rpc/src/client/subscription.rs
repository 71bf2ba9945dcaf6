//! A stream of a library, as its consumer sees it.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use herder_wire::rpc::{CallError, Codec, Executed, Position};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Sleep;

use super::agent::Agent;
use super::error::too_late;
use super::options::moment;
use super::stream::{Received, StreamCore, Taken};
use crate::codec::decode;

/// One of the things that a stream brings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StreamItem<T = Value> {
    /// Something is missing before what follows. What is known from the stream may be out of
    /// date; a stream of state sends a new snapshot after this.
    Gap {
        /// Why.
        reason: String,
        /// How many items, if that is known.
        missed: Option<u64>,
    },
    /// An event, or a change of the state.
    Item {
        /// Its number: it grows within one incarnation of the library.
        seq: u64,
        /// The event or change.
        value: T,
    },
    /// A part of the state as it was when the stream was opened.
    Snapshot {
        /// The part.
        value: T,
    },
    /// The snapshot is complete: what it did not hold is not there.
    SnapshotEnd,
}

impl<T> StreamItem<T> {
    /// The value of an item or of a part of a snapshot.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Item { value, .. } | Self::Snapshot { value } => Some(value),
            Self::Gap { .. } | Self::SnapshotEnd => None,
        }
    }
}

/// A stream of a library.
///
/// It survives the library: after a new connection it goes on where it was, or says
/// [`StreamItem::Gap`]. An error is its last item. Dropping it ends it at the library, too.
#[must_use = "a stream that is dropped is cancelled"]
pub struct Subscription<T = Value> {
    stream: Arc<StreamCore>,
    /// Keeps the connection, too.
    agent: Agent,
    key: u64,
    /// Until the library has opened it for the first time.
    opening: Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    is_over: bool,
    items: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Subscription<T> {
    pub(super) fn new(agent: Agent, stream: StreamCore) -> Self {
        let allowed = stream.opening.unwrap_or(agent.core().settings.deadline);
        let stream = Arc::new(stream);
        let key = agent.core().add_stream(&stream);
        // Outside a runtime the first poll connects.
        drop(agent.core().keep());
        Self {
            stream,
            agent,
            key,
            opening: None,
            deadline: moment(Instant::now(), allowed),
            is_over: false,
            items: PhantomData,
        }
    }

    /// The next item; `None` when the library ended the stream.
    pub async fn next(&mut self) -> Option<Result<StreamItem<T>, CallError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits until the library has opened the stream. The answer: the place before its first item.
    ///
    /// # Errors
    ///
    /// The library did not open it, or not in time; the stream is over then.
    pub async fn opened(&mut self) -> Result<Position, CallError> {
        std::future::poll_fn(|cx| {
            if let Err(error) = self.check_opening(cx) {
                return Poll::Ready(Err(error));
            }
            self.stream.poll_opened(cx)
        })
        .await
    }

    /// Whether the library opens it in time.
    fn check_opening(&mut self, cx: &mut Context<'_>) -> Result<(), CallError> {
        if self.is_over || !self.stream.is_opening() {
            self.opening = None;
            return Ok(());
        }
        self.agent.core().keep()?;
        let deadline = self.deadline.into();
        let sleep = self
            .opening
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        let (object, method) = self.stream.plan.names();
        let late = match self.agent.core().serving() {
            Some(_) => too_late(Executed::Maybe, "the stream was not opened in time"),
            None => self.agent.core().away(Executed::No),
        };
        let late = late.at(object, method);
        self.end();
        Err(late)
    }

    fn end(&mut self) {
        self.is_over = true;
        self.opening = None;
        self.give_up();
    }

    fn read(&self, codec: Codec, value: &Bytes) -> Result<T, CallError> {
        let (object, method) = self.stream.plan.names();
        decode(codec, value).map_err(|error| error.at(object, method))
    }
}

impl<T> Subscription<T> {
    fn give_up(&self) {
        self.agent.core().remove_stream(self.key);
        if let Some((link, id)) = self.stream.abandon() {
            link.cancel(id);
        }
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<StreamItem<T>, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Err(error) = self.check_opening(cx) {
            self.end();
            return Poll::Ready(Some(Err(error)));
        }
        let taken = match self.stream.take(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(Taken { item, credit }))) => {
                if let Some((link, id, items)) = credit {
                    link.credit(id, items);
                }
                item
            }
            Poll::Ready(Some(Err(error))) => {
                self.end();
                return Poll::Ready(Some(Err(error)));
            }
            Poll::Ready(None) => {
                self.end();
                return Poll::Ready(None);
            }
        };
        let item = match taken {
            Received::Gap { reason, missed } => Ok(StreamItem::Gap { reason, missed }),
            Received::SnapshotEnd => Ok(StreamItem::SnapshotEnd),
            Received::Item { seq, codec, value } => self
                .read(codec, &value)
                .map(|value| StreamItem::Item { seq, value }),
            Received::Snapshot { codec, value } => self
                .read(codec, &value)
                .map(|value| StreamItem::Snapshot { value }),
        };
        if item.is_err() {
            self.end();
        }
        Poll::Ready(Some(item))
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T> std::fmt::Debug for Subscription<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Subscription({:?})", self.stream)
    }
}
