//! [`Tally`]: what is to be added to numbers in the store, kept while the store is away.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::space::Space;
use crate::state::check_key;
use crate::state::{Refusal, StateError};

/// So many numbers are added to in one step of the store.
const BATCH: usize = 256;

/// So many numbers wait for the store.
const MOST: usize = 10_000;

/// A store that does not answer is asked again after this.
const AGAIN: Duration = Duration::from_millis(250);

/// Sums that the store does not have yet. They end with the process.
pub struct Tally {
    space: Arc<Space>,
    waiting: Mutex<BTreeMap<String, i64>>,
    told: Notify,
    /// Whose steps these are, among all processes of all times.
    author: String,
}

/// Some of what waits. The store carries a step of an author out once, however often it is sent.
pub(super) struct Step<'a> {
    pub(super) author: &'a str,
    /// 1, 2, 3 …
    pub(super) number: u64,
    pub(super) sums: &'a BTreeMap<String, i64>,
}

impl Tally {
    /// Nothing yet, for numbers of this namespace. To be [merged](Tally::merge).
    #[must_use]
    pub fn new(space: Arc<Space>) -> Tally {
        let random = RandomState::new();
        Tally {
            space,
            waiting: Mutex::default(),
            told: Notify::new(),
            author: format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1)),
        }
    }

    /// Adds to a number, at once here, and in the store as soon as it can be.
    ///
    /// # Errors
    /// [`Refusal::Key`]; [`Refusal::NotANumber`] when the sum is too great; [`StateError::NotDone`]
    /// when too much waits.
    pub fn add(&self, key: &str, by: i64) -> Result<(), StateError> {
        check_key(key)?;
        let mut waiting = self.waiting();
        let is_full = waiting.len() >= MOST;
        match waiting.get_mut(key) {
            Some(sum) => {
                let overflow = Refusal::NotANumber("the sum does not fit into 64 bits");
                *sum = sum.checked_add(by).ok_or(overflow)?;
            }
            None if is_full => {
                let text = format!("{MOST} numbers wait for the store already");
                return Err(StateError::NotDone(text));
            }
            None => drop(waiting.insert(key.to_owned(), by)),
        }
        drop(waiting);
        self.told.notify_one();
        Ok(())
    }

    /// Brings to the store what waits; never ends. `lost` is told of numbers that are none, or would
    /// be too great: nothing is added to them.
    pub async fn merge(&self, lost: impl Fn(&str)) {
        let mut number = 0;
        loop {
            let sums = self.take();
            if sums.is_empty() {
                self.told.notified().await;
                continue;
            }
            number += 1;
            let step = Step {
                author: &self.author,
                number,
                sums: &sums,
            };
            loop {
                match self.space.merge(&step).await {
                    Ok(refused) => break refused.iter().for_each(|key| lost(key)),
                    // It may have been carried out; the store knows.
                    Err(_away) => tokio::time::sleep(AGAIN).await,
                }
            }
        }
    }

    fn take(&self) -> BTreeMap<String, i64> {
        let mut waiting = self.waiting();
        let rest = match waiting.keys().nth(BATCH).cloned() {
            Some(key) => waiting.split_off(&key),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut waiting, rest)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
