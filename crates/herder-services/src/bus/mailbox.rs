//! [`Mailbox`]: what a subscriber has not read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::message::Message;

/// So many messages wait for a subscriber.
pub(super) const MESSAGES: usize = 1024;

/// So many bytes, roughly.
pub(super) const BYTES: usize = 4 * 1024 * 1024;

/// What waits for one subscriber. What finds no room is dropped, and counted.
#[derive(Debug, Default)]
pub struct Mailbox {
    inside: Mutex<Inside>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// How many were dropped since the last that was put in.
    dropped: u64,
    /// Before this many of the messages, so many were dropped.
    gaps: VecDeque<(usize, u64)>,
}

/// What is next.
#[derive(Clone, Debug)]
pub enum Picked {
    /// So many messages were dropped here.
    Dropped(u64),
    Message(Arc<Message>),
}

impl Mailbox {
    /// Puts a message in; whether there was room.
    pub fn put(&self, message: &Arc<Message>) -> bool {
        let size = message.size();
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = inside.messages.len() < MESSAGES && inside.bytes + size <= BYTES;
        if fits {
            let dropped = std::mem::take(&mut inside.dropped);
            if dropped > 0 {
                let place = inside.messages.len();
                inside.gaps.push_back((place, dropped));
            }
            inside.bytes += size;
            inside.messages.push_back(Arc::clone(message));
        } else {
            inside.dropped += 1;
        }
        drop(inside);
        self.arrived.notify_one();
        fits
    }

    /// Waits for what is next.
    pub async fn pick(&self) -> Picked {
        loop {
            let arrived = self.arrived.notified();
            if let Some(picked) = self.try_pick() {
                return picked;
            }
            arrived.await;
        }
    }

    /// What is next, if anything is.
    pub fn try_pick(&self) -> Option<Picked> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((0, dropped)) = inside.gaps.front().copied() {
            inside.gaps.pop_front();
            return Some(Picked::Dropped(dropped));
        }
        if let Some(message) = inside.messages.pop_front() {
            inside.bytes -= message.size();
            for (place, _) in &mut inside.gaps {
                *place -= 1;
            }
            return Some(Picked::Message(message));
        }
        let dropped = std::mem::take(&mut inside.dropped);
        (dropped > 0).then_some(Picked::Dropped(dropped))
    }
}
