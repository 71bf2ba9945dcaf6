//! [`Local`]: a namespace of this process, kept in a file if so wanted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::engine::Engine;
use super::entry::{Change, Condition, Page, Put, Refusal, Versioned};
use super::lease::Acquired;
use super::limit::{Admission, Rate};
use crate::clock::Clock;

/// Called for each change of a value, in order. It must not block, nor call back.
pub type Observer = Box<dyn Fn(&Change) + Send + Sync>;

/// Why an operation on a namespace failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StateError {
    /// It cannot be, and nothing was done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was done, but is lost if the process ends now: it is not on the disk.
    #[error("not kept: {0}")]
    NotKept(String),
    /// It was not done: too much waits for the disk already.
    #[error("nothing was done: {0}")]
    NotDone(String),
    /// The store cannot be reached. Whether it was done, nobody knows unless `NotSent`.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The store cannot be reached, and nothing was done.
    #[error("the store cannot be reached, and was not asked: {0}")]
    NotSent(String),
}

/// When a change is answered.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// At once; it is on the disk soon after.
    Eventual,
    /// When it is on the disk.
    #[default]
    Immediate,
}

/// A namespace in this process. Linearizable: an operation is one step, seen by all that begin
/// after it was answered.
pub struct Local {
    clock: Clock,
    engine: Mutex<Engine>,
    observer: Observer,
    /// Something now expires earlier than what the keeper of the time waits for.
    earlier: Notify,
    #[cfg(feature = "redb")]
    scribe: Option<(super::journal::Scribe, Durability)>,
}

/// What is to be waited for until a change is kept.
struct Keeping {
    #[cfg(feature = "redb")]
    answer: Option<tokio::sync::oneshot::Receiver<Result<(), super::journal::JournalError>>>,
}

impl Local {
    /// A namespace that is lost with the process.
    #[must_use]
    pub fn in_memory(max_bytes: usize, clock: Clock, observer: Observer) -> Local {
        Local {
            clock,
            engine: Mutex::new(Engine::new(max_bytes)),
            observer,
            earlier: Notify::new(),
            #[cfg(feature = "redb")]
            scribe: None,
        }
    }

    /// This namespace, whose revisions and tokens are greater than those of every life before that
    /// was in memory only, so that none means something else now. (As long as the wall clock goes on,
    /// and a life has less than two million changes a second.)
    #[must_use]
    pub fn after_other_lives(self) -> Local {
        // Numbers stay below 2⁵³, which is what JavaScript can count.
        const CHANGES: u32 = 11;
        let began = u64::try_from(self.clock.now().wall.as_millis()).unwrap_or_default();
        let used = began << CHANGES;
        let mut engine = self.lock();
        // A key and a lease that nobody has: only the numbers are meant.
        engine.restore(Change::Removed {
            key: String::new(),
            revision: used,
        });
        engine.restore(Change::Leased {
            name: String::new(),
            holder: None,
            last_token: used,
        });
        drop(engine);
        self
    }

    /// This namespace, kept in a file: with what it holds there.
    ///
    /// # Errors
    /// When it cannot be read.
    #[cfg(feature = "redb")]
    pub fn kept_in(
        mut self,
        journal: &super::journal::Journal,
        name: &str,
        durability: Durability,
    ) -> Result<Local, super::journal::JournalError> {
        let (scribe, held) = journal.namespace(name, self.clock.now())?;
        let mut engine = self.lock();
        for change in held {
            engine.restore(change);
        }
        drop(engine);
        self.scribe = Some((scribe, durability));
        Ok(self)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Versioned> {
        self.lock().get(key, self.clock.now().tick)
    }

    /// Writes a value, and says its revision.
    ///
    /// # Errors
    /// As [`Engine::put`]; `NotKept`.
    pub async fn put(&self, key: &str, put: Put) -> Result<u64, StateError> {
        self.change(|engine, now| engine.put(key, put, now)).await
    }

    /// Adds to a number, and says the sum.
    ///
    /// # Errors
    /// As [`Engine::increment`]; `NotKept`.
    pub async fn increment(
        &self,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        self.change(|engine, now| engine.increment(key, by, ttl, now))
            .await
    }

    /// Deletes a value; whether there was one.
    ///
    /// # Errors
    /// As [`Engine::delete`]; `NotKept`.
    pub async fn delete(&self, key: &str, condition: Condition) -> Result<bool, StateError> {
        self.change(|engine, now| engine.delete(key, condition, now))
            .await
    }

    /// A page of entries, see [`Engine::scan`].
    #[must_use]
    pub fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Page {
        let now = self.clock.now().tick;
        self.lock().scan(prefix, after, limit, now)
    }

    /// All entries.
    #[must_use]
    pub fn scan_all(&self) -> Vec<(String, Versioned)> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.scan("", after.as_deref(), usize::MAX);
            all.extend(page.entries);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// Gives a lease to this owner, if nobody else has it.
    ///
    /// # Errors
    /// As [`Engine::acquire`]; `NotKept`.
    pub async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, StateError> {
        self.change(|engine, now| engine.acquire(name, owner, ttl, now))
            .await
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// As [`Engine::renew`]; `NotKept`.
    pub async fn renew(&self, name: &str, token: u64, ttl: Duration) -> Result<(), StateError> {
        self.change(|engine, now| engine.renew(name, token, ttl, now))
            .await
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// As [`Engine::release`]; `NotKept`.
    pub async fn release(&self, name: &str, token: u64) -> Result<(), StateError> {
        self.change(|engine, now| engine.release(name, token, now))
            .await
    }

    /// Takes all leases of an owner from it: it is dead.
    pub fn release_all(&self, owner: &str) {
        let mut engine = self.lock();
        engine.release_all(owner);
        // Nobody waits for it to be on the disk: there it ends with its time.
        let _keeping = self.spread(&mut engine);
    }

    /// Whether one more is allowed; if so, it is counted. Counts are not kept in a file.
    ///
    /// # Errors
    /// As [`Engine::limit`].
    pub fn limit(&self, key: &str, rate: Rate) -> Result<Admission, StateError> {
        let now = self.clock.now().tick;
        Ok(self.lock().limit(key, rate, now)?)
    }

    /// Has things expire at their time; never ends.
    pub async fn keep_time(&self) {
        loop {
            let due = {
                let mut engine = self.lock();
                engine.expire(self.clock.now().tick);
                let _keeping = self.spread(&mut engine);
                engine.poll_timeout()
            };
            let earlier = self.earlier.notified();
            match due {
                None => earlier.await,
                Some(at) => {
                    let at = self.clock.instant(at) + Duration::from_millis(1);
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = earlier => {}
                    }
                }
            }
        }
    }

    /// One step, and the wait until what it changed is kept.
    async fn change<T>(
        &self,
        step: impl FnOnce(&mut Engine, herder_core::Tick) -> Result<T, Refusal>,
    ) -> Result<T, StateError> {
        let (outcome, keeping) = {
            let mut engine = self.lock();
            self.check_room()?;
            let before = engine.poll_timeout();
            let outcome = step(&mut engine, self.clock.now().tick);
            let after = engine.poll_timeout();
            if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
                self.earlier.notify_one();
            }
            // Whatever the outcome, something may have expired.
            (outcome, self.spread(&mut engine))
        };
        let outcome = outcome?;
        keeping.wait().await?;
        Ok(outcome)
    }

    /// Tells everybody what changed, in the order in which it did: the engine is locked.
    fn spread(&self, engine: &mut Engine) -> Keeping {
        let changes: Vec<Change> = std::iter::from_fn(|| engine.poll_change()).collect();
        for change in &changes {
            (self.observer)(change);
        }
        self.keep(changes)
    }

    #[cfg(feature = "redb")]
    fn keep(&self, changes: Vec<Change>) -> Keeping {
        let Some((scribe, durability)) = self.scribe.as_ref().filter(|_| !changes.is_empty())
        else {
            return Keeping { answer: None };
        };
        let answer = scribe.write(changes, self.clock.now());
        Keeping {
            answer: (*durability == Durability::Immediate).then_some(answer),
        }
    }

    /// What is done must be written, so there must be room for it before.
    #[cfg(feature = "redb")]
    fn check_room(&self) -> Result<(), StateError> {
        match &self.scribe {
            Some((scribe, _)) if !scribe.has_room() => {
                let reason = "too much waits for the disk, which is full or slow";
                Err(StateError::NotDone(reason.to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    #[cfg(not(feature = "redb"))]
    #[expect(clippy::unused_self, reason = "with redb there is something to do")]
    fn keep(&self, _changes: Vec<Change>) -> Keeping {
        Keeping {}
    }

    #[cfg(not(feature = "redb"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with redb there is something to check"
    )]
    fn check_room(&self) -> Result<(), StateError> {
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeping {
    #[cfg(feature = "redb")]
    async fn wait(self) -> Result<(), StateError> {
        let Some(answer) = self.answer else {
            return Ok(());
        };
        match answer.await {
            Ok(outcome) => outcome.map_err(|error| StateError::NotKept(error.to_string())),
            Err(_gone) => Err(StateError::NotKept("the writer has ended".to_owned())),
        }
    }

    #[cfg(not(feature = "redb"))]
    #[expect(
        clippy::unused_async,
        reason = "with redb there is something to wait for"
    )]
    async fn wait(self) -> Result<(), StateError> {
        Ok(())
    }
}
