//! What arrives.

use std::fmt;

use herder_rpc::client::{StreamItem, Subscription};
use herder_services::bus as wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Bus, BusError, Sender};

/// The messages of some topics.
#[derive(Debug)]
#[must_use = "who drops it does not listen any more"]
pub struct Messages {
    messages: Subscription<wire::Message>,
    bus: Bus,
}

/// What a subscriber hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// Some messages are lost.
    Missed {
        /// Why: too much was waiting, or the library was away.
        reason: String,
        /// How many, if that is known.
        count: Option<u64>,
    },
}

/// A message that arrived.
#[derive(Clone)]
pub struct Message {
    /// What it is about.
    pub topic: String,
    /// What it says.
    pub payload: Value,
    /// Who says it.
    pub from: Sender,
    request: Option<u64>,
    bus: Bus,
}

impl Messages {
    pub(super) fn new(messages: Subscription<wire::Message>, bus: &Bus) -> Messages {
        Messages {
            messages,
            bus: bus.clone(),
        }
    }

    /// What is heard next; `None` when the library ended it. It outlives the library: what was sent
    /// while that was away is [missed](Heard::Missed).
    ///
    /// # Errors
    /// An error is the last.
    pub async fn next(&mut self) -> Option<Result<Heard, BusError>> {
        loop {
            let item = match self.messages.next().await? {
                Ok(item) => item,
                Err(error) => return Some(Err(error.into())),
            };
            return Some(Ok(match item {
                StreamItem::Gap { reason, missed } => Heard::Missed {
                    reason,
                    count: missed,
                },
                // Messages have no past.
                StreamItem::SnapshotEnd => continue,
                StreamItem::Item { value, .. } | StreamItem::Snapshot { value } => {
                    Heard::Message(Message::new(value, &self.bus))
                }
            }));
        }
    }
}

impl Message {
    fn new(message: wire::Message, bus: &Bus) -> Message {
        Message {
            topic: message.topic,
            payload: message.payload.0,
            from: message.from,
            request: message.request,
            bus: bus.clone(),
        }
    }

    /// What it says, as a value of this type.
    ///
    /// # Errors
    /// [`BusError::Json`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BusError> {
        T::deserialize(&self.payload).map_err(|error| BusError::json(&error))
    }

    /// Whether the sender waits for an answer.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.request.is_some()
    }

    /// Answers it.
    ///
    /// # Errors
    /// [`BusError::NoRequest`] when nobody waits: it is no request, somebody else was quicker, or the
    /// sender gave up; or when there is no answer from the library.
    pub async fn reply<T: Serialize + ?Sized>(&self, payload: &T) -> Result<(), BusError> {
        match self.request {
            Some(request) => self.bus.reply(request, payload).await,
            None => Err(BusError::NoRequest(format!(
                "the message on {} is no request",
                self.topic
            ))),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("payload", &self.payload)
            .field("from", &self.from)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
