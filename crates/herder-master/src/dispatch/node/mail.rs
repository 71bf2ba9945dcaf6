//! Messages of programs on their way from a worker to the main thread. What waits there of one sender is
//! bounded; beyond that its messages are lost, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use herder_wire::node::UserValue;

/// How much of one sender may wait, in bytes of memory. (A single longer message may, too.)
const LIMIT: usize = 1024 * 1024;

/// What a message costs besides its text.
const OVERHEAD: usize = 256;

/// A message under way. It takes up room until it is dropped.
#[derive(Debug)]
pub(crate) struct Mail {
    value: UserValue,
    weight: usize,
    account: Arc<AtomicUsize>,
}

/// Where a sender's messages are weighed.
#[derive(Default)]
pub(super) struct Postbox {
    /// What all that is under way weighs.
    account: Arc<AtomicUsize>,
    lost: u64,
}

impl Mail {
    pub(crate) fn value(&self) -> &UserValue {
        &self.value
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.account.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

impl Postbox {
    /// Takes a message, or counts its loss. After one, nothing is taken until half of the room is free
    /// again, so that the loss is one gap.
    pub(super) fn post(&mut self, value: UserValue) -> Option<Mail> {
        let limit = if self.lost > 0 { LIMIT / 2 } else { LIMIT };
        let weight = value.as_json().len() + OVERHEAD;
        // Only this thread adds.
        let under_way = self.account.load(Ordering::Relaxed);
        if under_way > 0 && under_way + weight > limit {
            self.lost += 1;
            return None;
        }
        self.account.fetch_add(weight, Ordering::Relaxed);
        let account = Arc::clone(&self.account);
        Some(Mail {
            value,
            weight,
            account,
        })
    }

    /// How many were lost since this was last asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(length: usize) -> UserValue {
        UserValue::from_text(&"x".repeat(length))
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_counted() {
        let mut postbox = Postbox::default();
        let mut waiting: Vec<Mail> = Vec::new();
        for _ in 0..3000 {
            waiting.extend(postbox.post(value(1000)));
        }
        let weighs = |all: &[Mail]| all.iter().map(|it| it.weight).sum::<usize>();
        assert!(weighs(&waiting) <= LIMIT);
        assert!(weighs(&waiting) > LIMIT - 2000);
        waiting.pop();
        assert!(postbox.post(value(1)).is_none(), "one gap, not a sieve");
        waiting.truncate(waiting.len() / 3);
        assert!(postbox.post(value(1)).is_some());
        let lost = postbox.take_lost();
        assert!((2000..3000).contains(&lost), "{lost}");
        assert_eq!(postbox.take_lost(), 0);
        drop(waiting);
        assert_eq!(postbox.account.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_long_message_goes_alone() {
        let mut postbox = Postbox::default();
        let long = postbox.post(value(2 * LIMIT));
        assert!(long.is_some());
        assert!(postbox.post(value(1)).is_none());
        drop(long);
        assert!(postbox.post(value(1)).is_some());
    }
}
