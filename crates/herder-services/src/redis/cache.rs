//! [`Cache`]: what was read from the store, as long as nobody changes it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use herder_core::Tick;

use crate::state::Versioned;

/// However long a value lives, it is read again after this: the last line of defence.
const LONGEST: Duration = Duration::from_secs(60);

/// Values by key, with their absence. Pure: the time is an argument.
///
/// A value that was read while its key was invalidated is not kept: a read is announced by
/// [`Cache::begin`] before it is sent, and its result given to [`Cache::finish`].
#[derive(Debug)]
pub struct Cache {
    entries: HashMap<String, Entry>,
    /// Keys in the order in which they came; the oldest make room.
    order: VecDeque<(String, u64)>,
    /// Reads that are under way, by their keys.
    fills: HashMap<String, Filling>,
    capacity: usize,
    last_number: u64,
}

/// A read that is under way.
#[derive(Debug)]
#[must_use = "a read that is not finished is kept in mind for ever"]
pub struct Fill {
    key: String,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    value: Option<Versioned>,
    since: Tick,
    until: Tick,
    number: u64,
}

#[derive(Debug, Default)]
struct Filling {
    reads: usize,
    /// Counted up with every invalidation.
    generation: u64,
}

impl Cache {
    /// An empty cache for so many keys.
    #[must_use]
    pub fn new(capacity: usize) -> Cache {
        Cache {
            entries: HashMap::new(),
            order: VecDeque::new(),
            fills: HashMap::new(),
            capacity: capacity.max(1),
            last_number: 0,
        }
    }

    /// What is known of a key; `Some(None)` = that it has no value.
    #[must_use]
    pub fn get(&self, key: &str, now: Tick) -> Option<Option<Versioned>> {
        let entry = self.entries.get(key).filter(|entry| entry.until > now)?;
        let age = now.since(entry.since);
        let aged = |versioned: &Versioned| Versioned {
            ttl: versioned.ttl.map(|ttl| ttl.saturating_sub(age)),
            ..versioned.clone()
        };
        Some(entry.value.as_ref().map(aged))
    }

    /// The key is going to be read from the store.
    pub fn begin(&mut self, key: &str) -> Fill {
        let filling = self.fills.entry(key.to_owned()).or_default();
        filling.reads += 1;
        Fill {
            key: key.to_owned(),
            generation: filling.generation,
        }
    }

    /// The key was read: this was its value. Nothing is kept when it was invalidated meanwhile.
    pub fn finish(&mut self, fill: Fill, value: Option<Versioned>, now: Tick) {
        if !self.end(&fill) {
            return;
        }
        let lives = value.as_ref().and_then(|versioned| versioned.ttl);
        let until = now.after(lives.unwrap_or(LONGEST).min(LONGEST));
        self.last_number += 1;
        let number = self.last_number;
        let entry = Entry {
            value,
            since: now,
            until,
            number,
        };
        self.entries.insert(fill.key.clone(), entry);
        self.order.push_back((fill.key, number));
        self.make_room();
    }

    /// The key could not be read.
    pub fn abandon(&mut self, fill: Fill) {
        let _kept = self.end(&fill);
    }

    /// Somebody changed the key.
    pub fn invalidate(&mut self, key: &str) {
        self.entries.remove(key);
        if let Some(filling) = self.fills.get_mut(key) {
            filling.generation += 1;
        }
    }

    /// Nothing is known any more: the connection that brings invalidations was lost.
    pub fn flush(&mut self) {
        self.entries.clear();
        self.order.clear();
        for filling in self.fills.values_mut() {
            filling.generation += 1;
        }
    }

    /// How many keys are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether what was read is still so.
    fn end(&mut self, fill: &Fill) -> bool {
        let Some(filling) = self.fills.get_mut(&fill.key) else {
            return false;
        };
        let valid = filling.generation == fill.generation;
        filling.reads -= 1;
        if filling.reads == 0 {
            self.fills.remove(&fill.key);
        }
        valid
    }

    fn make_room(&mut self) {
        // Keys that were invalidated, or came again, still stand in the order where they were.
        while self.entries.len() > self.capacity || self.order.len() > 2 * self.capacity {
            let Some((key, number)) = self.order.pop_front() else {
                return;
            };
            if self
                .entries
                .get(&key)
                .is_some_and(|entry| entry.number == number)
            {
                self.entries.remove(&key);
            }
        }
    }
}
