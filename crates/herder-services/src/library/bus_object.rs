//! The bus, as an object.

use std::sync::Arc;

use herder_rpc::server::Feed;
use herder_rpc::{CallError, Caller, Cx, Part};

use crate::bus::{Bus, Delivery, Json, Message, Picked, Sender, To};

/// Messages between the processes of a herd.
#[herder_macros::object(name = "bus", codec = "postcard", crate = herder_rpc)]
pub trait BusApi {
    /// Sends a message, and says how many get it. Fails with `no_receiver` when nobody does.
    async fn send(
        &self,
        cx: &Cx,
        to: To,
        topic: String,
        payload: Json,
    ) -> Result<Delivery, CallError>;
    /// Sends a message, and waits for the first answer. Fails with `no_answer` when everybody who
    /// got it is gone.
    async fn request(
        &self,
        cx: &Cx,
        to: To,
        topic: String,
        payload: Json,
    ) -> Result<Json, CallError>;
    /// Answers a request.
    async fn reply(&self, request: u64, payload: Json) -> Result<(), CallError>;
    /// The messages of these topics from now on.
    #[herder(stream = "events")]
    fn subscribe(&self, cx: &Cx, topics: Vec<String>) -> Feed<Message>;
}

/// A bus that reaches other machines, if there is a way to them.
pub(super) struct Desk {
    pub(super) bus: Arc<Bus>,
    #[cfg(feature = "redis")]
    pub(super) store: Option<super::store::Store>,
}

impl BusApi for Desk {
    async fn send(
        &self,
        cx: &Cx,
        to: To,
        topic: String,
        payload: Json,
    ) -> Result<Delivery, CallError> {
        let from = sender(&cx.caller);
        #[cfg(feature = "redis")]
        if to == To::Everywhere
            && let Some(store) = &self.store
        {
            let machines = store.publish(&topic, &payload, &from).await?;
            let here = self.bus.send(&to, &topic, payload, from);
            return match here {
                Ok(delivery) => Ok(Delivery {
                    machines,
                    ..delivery
                }),
                // There may be somebody there.
                Err(_nobody) if machines > 0 => Ok(Delivery {
                    receivers: 0,
                    machines,
                }),
                Err(error) => Err(error.into()),
            };
        }
        Ok(self.bus.send(&to, &topic, payload, from)?)
    }

    async fn request(
        &self,
        cx: &Cx,
        to: To,
        topic: String,
        payload: Json,
    ) -> Result<Json, CallError> {
        Ok(self
            .bus
            .request(&to, &topic, payload, sender(&cx.caller))
            .await?)
    }

    async fn reply(&self, request: u64, payload: Json) -> Result<(), CallError> {
        Ok(self.bus.reply(request, payload)?)
    }

    fn subscribe(&self, cx: &Cx, topics: Vec<String>) -> Feed<Message> {
        let subscription = self.bus.subscribe(sender(&cx.caller), topics);
        Feed::new(async move |mut sink| {
            let was_open = sink.resume().is_some();
            sink.open(0);
            if was_open {
                sink.gap("messages that were sent meanwhile are lost", None);
            }
            loop {
                sink.ready().await;
                match subscription.mailbox().pick().await {
                    Picked::Dropped(count) => sink.gap("too much was waiting", Some(count)),
                    Picked::Message(message) => sink.send(&*message).await?,
                }
            }
        })
    }
}

/// A caller, as its messages name it.
pub(super) fn sender(caller: &Caller) -> Sender {
    Sender {
        part: match &caller.part {
            Part::Library(name) => format!("library:{name}"),
            Part::Tool => "tool".to_owned(),
            Part::Worker => "worker".to_owned(),
        },
        slot: caller.slot,
        worker: caller.worker,
        pid: caller.pid,
    }
}
