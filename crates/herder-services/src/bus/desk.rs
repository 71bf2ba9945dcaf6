//! [`Bus`]: sends, and waits for answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::mailbox::{self, Mailbox};
use super::message::{Delivery, Json, Message, Sender, To};
use super::registry::{MemberId, Registry};

/// The bus of a herd.
#[derive(Debug)]
pub struct Bus {
    inside: Mutex<Inside>,
    last_request: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Inside {
    registry: Registry,
    mailboxes: HashMap<MemberId, Arc<Mailbox>>,
    requests: HashMap<u64, Request>,
}

#[derive(Debug)]
struct Request {
    answer: oneshot::Sender<Result<Json, BusError>>,
    /// Those that may still answer.
    asked: Vec<MemberId>,
}

/// Why a message did not arrive, or got no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BusError {
    /// Nobody subscribed to the topic who is meant.
    #[error("nobody who listens to {topic} is there to get it")]
    NoReceiver {
        /// The topic.
        topic: String,
    },
    /// Everybody who would get it has too much to read.
    #[error("who listens to {topic} has too much to read")]
    Full {
        /// The topic.
        topic: String,
    },
    /// It is larger than what may wait for anybody.
    #[error("a message of {size} bytes is too large: {limit} may wait for one who listens", limit = mailbox::BYTES)]
    TooLarge {
        /// Its size in bytes, roughly.
        size: usize,
    },
    /// Everybody who got the request is gone, or will not answer.
    #[error("who got the request on {topic} is gone without an answer")]
    NoAnswer {
        /// The topic.
        topic: String,
    },
    /// Whoever answers does not answer a request that waits.
    #[error("request {request} does not wait for an answer (any more)")]
    NoRequest {
        /// Its number.
        request: u64,
    },
}

/// A subscription; whoever drops it does not listen any more.
#[derive(Debug)]
pub struct Subscription {
    bus: Arc<Bus>,
    id: MemberId,
    mailbox: Arc<Mailbox>,
}

/// A request that waits; whoever drops it does not wait any more.
#[derive(Debug)]
struct Waiting<'a> {
    bus: &'a Bus,
    request: u64,
}

impl Bus {
    /// A bus without anybody. The seed is for those that are chosen by chance; the epoch is the life of
    /// the process.
    #[must_use]
    pub fn new(seed: u64, epoch: u64) -> Bus {
        Bus {
            inside: Mutex::new(Inside {
                registry: Registry::new(seed),
                mailboxes: HashMap::new(),
                requests: HashMap::new(),
            }),
            // A late answer must not be taken for one to a request of another life. Numbers stay below
            // 2⁵³, which is what JavaScript can count.
            last_request: AtomicU64::new(epoch << 32),
            dropped: AtomicU64::new(0),
        }
    }

    /// Listens to these topics from now on.
    pub fn subscribe(
        self: &Arc<Self>,
        who: Sender,
        topics: impl IntoIterator<Item = String>,
    ) -> Subscription {
        let mailbox = Arc::new(Mailbox::default());
        let mut inside = self.lock();
        let id = inside.registry.join(who, topics);
        inside.mailboxes.insert(id, Arc::clone(&mailbox));
        drop(inside);
        Subscription {
            bus: Arc::clone(self),
            id,
            mailbox,
        }
    }

    /// Sends a message, and says how many get it.
    ///
    /// # Errors
    /// [`BusError::NoReceiver`] when nobody is there, [`BusError::Full`] when nobody has room.
    pub fn send(
        &self,
        to: &To,
        topic: &str,
        payload: Json,
        from: Sender,
    ) -> Result<Delivery, BusError> {
        let message = Message {
            topic: topic.to_owned(),
            payload,
            from,
            request: None,
        };
        let got = self.lock().deliver(self, to, message)?;
        let receivers = u32::try_from(got.len()).unwrap_or(u32::MAX);
        let machines = 0;
        Ok(Delivery {
            receivers,
            machines,
        })
    }

    /// Sends a message, and waits for the first answer. Dropped, it waits no longer.
    ///
    /// # Errors
    /// Those of [`Bus::send`]; [`BusError::NoAnswer`] when everybody who got it is gone.
    pub async fn request(
        &self,
        to: &To,
        topic: &str,
        payload: Json,
        from: Sender,
    ) -> Result<Json, BusError> {
        let request = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let message = Message {
            topic: topic.to_owned(),
            payload,
            from,
            request: Some(request),
        };
        let (answer, answered) = oneshot::channel();
        {
            let mut inside = self.lock();
            let asked = inside.deliver(self, to, message)?;
            inside.requests.insert(request, Request { answer, asked });
        }
        let waiting = Waiting { bus: self, request };
        let outcome = answered.await;
        drop(waiting);
        outcome.unwrap_or_else(|_| {
            let topic = topic.to_owned();
            Err(BusError::NoAnswer { topic })
        })
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`BusError::NoRequest`] when it does not wait: somebody else was quicker, or it was too long
    /// ago.
    pub fn reply(&self, request: u64, payload: Json) -> Result<(), BusError> {
        let waiting = self.lock().requests.remove(&request);
        let sent = waiting.map(|waiting| waiting.answer.send(Ok(payload)));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(BusError::NoRequest { request }),
        }
    }

    /// How many messages found no room, all in all.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn leave(&self, id: MemberId) {
        let mut inside = self.lock();
        inside.registry.leave(id);
        inside.mailboxes.remove(&id);
        // A request that nobody is left to answer fails by losing its sender.
        inside.requests.retain(|_, request| {
            request.asked.retain(|asked| *asked != id);
            !request.asked.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Puts a message into the mailboxes of those that are meant; who got it.
    fn deliver(&mut self, bus: &Bus, to: &To, message: Message) -> Result<Vec<MemberId>, BusError> {
        let topic = message.topic.clone();
        let receivers = self.registry.receivers(to, &topic, &message.from);
        if receivers.is_empty() {
            return Err(BusError::NoReceiver { topic });
        }
        let size = message.size();
        if size > mailbox::BYTES {
            return Err(BusError::TooLarge { size });
        }
        let message = Arc::new(message);
        let mut got = Vec::with_capacity(receivers.len());
        for id in receivers {
            let put = self
                .mailboxes
                .get(&id)
                .is_some_and(|mailbox| mailbox.put(&message));
            if put {
                got.push(id);
            } else {
                bus.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        if got.is_empty() {
            return Err(BusError::Full { topic });
        }
        Ok(got)
    }
}

impl Subscription {
    /// What comes for it.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bus.leave(self.id);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.bus.lock().requests.remove(&self.request);
    }
}
