//! [`State`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use herder_rpc::client::TypedCall;
use herder_services::library::{self, StateApiClient};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::calls::{Delete, Increment, Set};
use super::error::StateError;
use super::lease::{self, Acquired};
use super::scan::Scan;
use super::watch::Watch;
use crate::services::Clients;

/// The values of a namespace. Cheap to clone, and free to go anywhere.
#[derive(Clone, Debug)]
pub struct State {
    clients: Arc<Clients>,
    namespace: Arc<str>,
    deadline: Option<Duration>,
}

/// A value with its revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Greater with every change; a revision is never used twice.
    pub revision: u64,
    /// How long it lives on, as it was when it was read; `None` = until it is deleted.
    pub ttl: Option<Duration>,
}

/// Whether one more is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It is, and so many more at once.
    Allowed {
        /// How many more.
        left: u32,
    },
    /// It is not, before this time has passed.
    Denied {
        /// How long to wait.
        retry_after: Duration,
    },
}

impl State {
    pub(crate) fn new(clients: Arc<Clients>, namespace: &str) -> State {
        State {
            clients,
            namespace: namespace.into(),
            deadline: None,
        }
    }

    /// The namespace's name.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The same namespace, whose calls fail after this time if there is no answer. Default: 5 s.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> State {
        State {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// The value of a key.
    ///
    /// Of a store it may come from this machine's cache: then it is as old as the news of a change
    /// needs to get here, and never older than what this process has read or written before.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        let entry = self.timed(self.client()?.get(self.space(), key)).await?;
        Ok(entry.map(Entry::from))
    }

    /// The value of a key, asked for where it is: of a store, past every cache.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get_fresh(&self, key: &str) -> Result<Option<Entry>, StateError> {
        let call = self.client()?.get_fresh(self.space(), key);
        Ok(self.timed(call).await?.map(Entry::from))
    }

    /// The value of a key, read as JSON.
    ///
    /// # Errors
    /// When there is no answer, or the value is not of this type.
    pub async fn get_as<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        let entry = self.get(key).await?;
        entry.map(|entry| entry.json()).transpose()
    }

    /// Writes a value of at most 4 MiB when it is awaited; the answer is its revision.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use herder::state::{State, StateError};
    /// # async fn example(state: State) -> Result<(), StateError> {
    /// state.set("token", "abc").ttl(Duration::from_secs(60)).await?;
    /// // Only if nobody else has changed it meanwhile:
    /// let entry = state.get("token").await?.expect("it is there");
    /// match state.set("token", "def").if_revision(entry.revision).await {
    ///     Ok(revision) => println!("it has revision {revision} now"),
    ///     Err(StateError::Conflict { present }) => println!("it has {present}: read it again"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(&self, key: &str, value: impl Into<Bytes>) -> Set {
        Set::new(self, key, Ok(value.into()))
    }

    /// Writes a value as JSON; see [`set`](State::set).
    pub fn set_as<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Set {
        let value = serde_json::to_vec(value).map(Bytes::from);
        Set::new(self, key, value.map_err(|error| StateError::json(&error)))
    }

    /// Adds to a whole number when it is awaited, which is 0 if there is none; the answer is the sum.
    pub fn increment(&self, key: &str, by: i64) -> Increment {
        Increment::new(self, key, by)
    }

    /// Adds to a whole number, whose sum nobody waits for. While the [store](crate::Cluster::store) is
    /// away, the library keeps what is added, for up to 10,000 keys, and adds it, once, when the store is
    /// back: it is lost only if the library is, too. What is read meanwhile is without it.
    ///
    /// # Errors
    /// When there is no answer, or no room. A value of a store that is no number is told on the library's
    /// standard error.
    pub async fn add(&self, key: &str, by: i64) -> Result<(), StateError> {
        let call = self.client()?.add(self.space(), key, by);
        Ok(self.timed(call).await?)
    }

    /// Deletes a value when it is awaited; the answer is whether there was one.
    pub fn delete(&self, key: &str) -> Delete {
        Delete::new(self, key)
    }

    /// Reads the values whose keys begin with `prefix`, page by page, in the order of keys.
    #[must_use]
    pub fn scan(&self, prefix: &str) -> Scan {
        Scan::new(self, prefix)
    }

    /// The values whose keys begin with `prefix`, and what changes from then on.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn watch(&self, prefix: &str) -> Result<Watch, StateError> {
        Watch::open(self, prefix).await
    }

    /// Gets a lease, unless another has it: who has it is the only one, as long as the clocks run.
    ///
    /// It is prolonged until it is dropped. If its worker dies, it ends at once; if its worker, or
    /// this machine, cannot be reached, after `ttl`. As a holder that was paused may not know, what it
    /// writes to should be shown the [token](super::Lease::token).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use herder::state::{Acquired, State, StateError};
    /// # async fn write(token: u64) {}
    /// # async fn example(state: State) -> Result<(), StateError> {
    /// match state.acquire("importer", Duration::from_secs(10)).await? {
    ///     Acquired::Ours(lease) => {
    ///         tokio::select! {
    ///             () = write(lease.token()) => lease.release().await?,
    ///             () = lease.lost() => eprintln!("somebody else may have it"),
    ///         }
    ///     }
    ///     Acquired::Held { left } => println!("another has it, for {left:?} at least"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn acquire(&self, name: &str, ttl: Duration) -> Result<Acquired, StateError> {
        lease::acquire(self, name, ttl).await
    }

    /// Whether one more is allowed: `count` at once, and `count` in this time on the average.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn limit(
        &self,
        key: &str,
        count: u32,
        per: Duration,
    ) -> Result<Admission, StateError> {
        let call = self.client()?.limit(self.space(), key, count, millis(per));
        let admitted = self.timed(call).await?;
        Ok(match admitted.allowed {
            true => Admission::Allowed {
                left: admitted.left,
            },
            false => Admission::Denied {
                retry_after: Duration::from_millis(admitted.retry_after_ms),
            },
        })
    }

    /// Whether this is the first time within `ttl` that anybody asks for this key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn once(&self, key: &str, ttl: Duration) -> Result<bool, StateError> {
        let call = self.client()?.once(self.space(), key, millis(ttl));
        Ok(self.timed(call).await?)
    }

    pub(super) fn client(&self) -> Result<&StateApiClient, StateError> {
        Ok(self.clients.state()?)
    }

    pub(super) fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    pub(super) fn space(&self) -> &str {
        &self.namespace
    }

    pub(super) fn timed<A, R, E>(&self, call: TypedCall<A, R, E>) -> TypedCall<A, R, E> {
        match self.deadline {
            Some(deadline) => call.deadline(deadline),
            None => call,
        }
    }
}

impl Entry {
    /// The value as text; `None` when it is none.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }

    /// The value, read as JSON.
    ///
    /// # Errors
    /// [`StateError::Json`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, StateError> {
        serde_json::from_slice(&self.value).map_err(|error| StateError::json(&error))
    }
}

impl From<library::Entry> for Entry {
    fn from(entry: library::Entry) -> Entry {
        Entry {
            value: entry.value.0,
            revision: entry.revision,
            ttl: entry.ttl_ms.map(Duration::from_millis),
        }
    }
}

/// At least one, so that a short time does not become none.
pub(super) fn millis(time: Duration) -> u64 {
    match u64::try_from(time.as_millis()) {
        Ok(0) if !time.is_zero() => 1,
        Ok(millis) => millis,
        Err(_) => u64::MAX,
    }
}
