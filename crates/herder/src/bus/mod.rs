//! Messages between the processes of a herd: [`WorkerHandle::bus`](crate::WorkerHandle::bus).
//!
//! A message goes to those that [subscribed](Bus::subscribe) to its topic at that moment, once, in the
//! order in which each sender sent. Who reads too slowly misses some, and is
//! [told](Heard::Missed); who sends to nobody is told that, too. What must not be lost belongs into the
//! [state](crate::state).

mod error;
mod messages;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use herder_rpc::BoxFuture;
use herder_services::bus::Json;
use serde::Serialize;
use serde_json::Value;

pub use error::BusError;
pub use herder_services::bus::{Delivery, Sender, To};
pub use messages::{Heard, Message, Messages};

use crate::services::Clients;

/// Messages between the processes of a herd. Cheap to clone, and free to go anywhere.
#[derive(Clone)]
pub struct Bus {
    clients: Arc<Clients>,
}

/// A [request](Bus::request) to be made.
#[derive(Debug)]
#[must_use = "it is made when it is awaited"]
pub struct Request {
    bus: Bus,
    to: To,
    topic: String,
    payload: Result<Value, BusError>,
    deadline: Option<Duration>,
}

impl Bus {
    pub(crate) fn new(clients: Arc<Clients>) -> Bus {
        Bus { clients }
    }

    /// Sends a message; the answer is how many subscribers get it.
    ///
    /// ```no_run
    /// use herder::bus::{Bus, BusError, To};
    ///
    /// # async fn example(bus: Bus) -> Result<(), BusError> {
    /// match bus.send(To::Slot(0), "work", &["a", "b"]).await {
    ///     Ok(delivery) => assert_eq!(delivery.receivers, 1),
    ///     Err(BusError::NoReceiver(_)) => println!("worker 0 does not listen"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BusError::NoReceiver`] when nobody gets it, [`BusError::Full`] when nobody who would has room;
    /// or when there is no answer.
    pub async fn send<T: Serialize + ?Sized>(
        &self,
        to: To,
        topic: &str,
        payload: &T,
    ) -> Result<Delivery, BusError> {
        let payload = Json(json(payload)?);
        Ok(self.clients.bus()?.send(to, topic, payload).await?)
    }

    /// Sends a message to every worker and library of this herd that listens, this one as well.
    ///
    /// # Errors
    /// As [`send`](Bus::send).
    pub async fn broadcast<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        payload: &T,
    ) -> Result<Delivery, BusError> {
        self.send(To::All, topic, payload).await
    }

    /// Sends a message when it is awaited, and waits for the first [answer](Message::reply).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use herder::bus::{Bus, BusError, To};
    /// # async fn example(bus: Bus) -> Result<(), BusError> {
    /// let answer = bus
    ///     .request(To::Random, "how-much", "of everything")
    ///     .deadline(Duration::from_millis(200))
    ///     .await?;
    /// println!("somebody says {answer}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<T: Serialize + ?Sized>(&self, to: To, topic: &str, payload: &T) -> Request {
        Request {
            bus: self.clone(),
            to,
            topic: topic.to_owned(),
            payload: json(payload),
            deadline: None,
        }
    }

    /// Listens to these topics: what is sent after this has returned, arrives.
    ///
    /// ```no_run
    /// # use herder::bus::{Bus, BusError, Heard};
    /// # async fn example(bus: Bus) -> Result<(), BusError> {
    /// let mut messages = bus.subscribe(["config", "ping"]).await?;
    /// while let Some(heard) = messages.next().await {
    ///     match heard? {
    ///         Heard::Message(message) if message.topic == "ping" => message.reply("pong").await?,
    ///         Heard::Message(message) => println!("{} says {}", message.from.part, message.payload),
    ///         Heard::Missed { reason, .. } => println!("some are lost: {reason}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn subscribe<I, T>(&self, topics: I) -> Result<Messages, BusError>
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        let topics = topics.into_iter().map(Into::into).collect();
        let mut messages = self.clients.bus()?.subscribe(topics);
        messages.opened().await?;
        Ok(Messages::new(messages, self))
    }

    pub(super) async fn reply<T>(&self, request: u64, payload: &T) -> Result<(), BusError>
    where
        T: Serialize + ?Sized,
    {
        let payload = Json(json(payload)?);
        Ok(self.clients.bus()?.reply(request, payload).await?)
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl Request {
    /// How long to wait for the answer. Default: 5 s.
    pub fn deadline(mut self, deadline: Duration) -> Request {
        self.deadline = Some(deadline);
        self
    }
}

impl IntoFuture for Request {
    type Output = Result<Value, BusError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let payload = Json(self.payload?);
            let client = self.bus.clients.bus()?;
            let mut call = client.request(self.to, self.topic, payload);
            if let Some(deadline) = self.deadline {
                call = call.deadline(deadline);
            }
            Ok(call.await?.0)
        })
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, BusError> {
    serde_json::to_value(value).map_err(|error| BusError::json(&error))
}
