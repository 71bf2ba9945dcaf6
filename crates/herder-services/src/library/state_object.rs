//! The state, as an object.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herder_rpc::server::{Change, Feed};
use herder_rpc::{Blob, CallError, Caller, Cx, ErrorKind, Executed, Part};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spaces::Space;
use crate::state::{Acquired, Admission, Condition, Put, Rate, Versioned};

/// Values that all workers share, in namespaces.
#[herder_macros::object(name = "state", codec = "postcard", crate = herder_rpc)]
pub trait StateApi {
    /// The value of a key. Of a store it may be as old as the news of a change needs to get here.
    #[herder(idempotent)]
    async fn get(&self, space: String, key: String) -> Result<Option<Entry>, CallError>;
    /// The value of a key, asked for where it is.
    #[herder(idempotent)]
    async fn get_fresh(&self, space: String, key: String) -> Result<Option<Entry>, CallError>;
    /// Writes a value, and returns its revision. Fails with `conflict` when a condition does not
    /// hold.
    async fn set(
        &self,
        space: String,
        key: String,
        value: Blob,
        options: SetOptions,
    ) -> Result<u64, CallError>;
    /// Adds to a number, and returns the sum. A new one lives for `ttl_ms`.
    async fn increment(
        &self,
        space: String,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, CallError>;
    /// Adds to a number, and does not wait for the sum. While the store is away, it is kept here, and
    /// added when the store is back.
    async fn add(&self, space: String, key: String, by: i64) -> Result<(), CallError>;
    /// Deletes a value, if it has this revision; whether there was one.
    async fn delete(
        &self,
        space: String,
        key: String,
        if_revision: Option<u64>,
    ) -> Result<bool, CallError>;
    /// Entries whose keys begin with `prefix`, in the order of keys, after the key `after`: not all
    /// that are wanted if they are long, or many.
    #[herder(idempotent)]
    async fn scan(
        &self,
        space: String,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<EntryPage, CallError>;
    /// The values whose keys begin with `prefix`, and what changes.
    #[herder(stream = "state")]
    async fn watch(
        &self,
        space: String,
        prefix: String,
    ) -> Result<Feed<Change<String, Entry>>, CallError>;
    /// Gets a lease, unless another has it. It ends with the caller, or after `ttl_ms`.
    async fn acquire(
        &self,
        cx: &Cx,
        space: String,
        name: String,
        ttl_ms: u64,
    ) -> Result<LeaseAnswer, CallError>;
    /// Prolongs a lease. Fails with `not_held`.
    #[herder(idempotent)]
    async fn renew(
        &self,
        space: String,
        name: String,
        token: u64,
        ttl_ms: u64,
    ) -> Result<(), CallError>;
    /// Gives a lease back. Fails with `not_held`.
    async fn release(&self, space: String, name: String, token: u64) -> Result<(), CallError>;
    /// Whether one more is allowed: `count` at once, and in `per_ms` on the average.
    async fn limit(
        &self,
        space: String,
        key: String,
        count: u32,
        per_ms: u64,
    ) -> Result<Admitted, CallError>;
    /// Whether this is the first time within `ttl_ms`.
    async fn once(&self, space: String, key: String, ttl_ms: u64) -> Result<bool, CallError>;
}

/// A value with its revision.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Entry {
    /// The value.
    pub value: Blob,
    /// Greater with every change; never used twice.
    pub revision: u64,
    /// How long it lives on, in milliseconds; none = until it is deleted.
    pub ttl_ms: Option<u64>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetOptions {
    /// How long it lives, in milliseconds; none = until it is deleted.
    pub ttl_ms: Option<u64>,
    /// Only if the present value has this revision; 0 = if there is none.
    pub if_revision: Option<u64>,
}

/// A part of a scan.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct EntryPage {
    /// Keys in order, with their values.
    pub entries: Vec<(String, Entry)>,
    /// The key after which the next part begins; none = this was the last.
    pub next: Option<String>,
}

/// The answer to somebody who wants a lease.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseAnswer {
    /// Another has it, for so much longer unless it prolongs it, in milliseconds.
    Held {
        /// How much longer.
        left_ms: u64,
    },
    /// It is yours.
    Ours {
        /// Greater than that of every lease before: what you write to refuses a smaller one than
        /// the greatest that it has seen.
        token: u64,
    },
}

/// The answer to somebody who wants to do something.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Admitted {
    /// Whether it may.
    pub allowed: bool,
    /// How many more it may do at once.
    pub left: u32,
    /// When it may, if it may not, in milliseconds.
    pub retry_after_ms: u64,
}

pub(super) struct Desk {
    pub(super) spaces: BTreeMap<String, Arc<Space>>,
    /// What makes owners of this machine's herd differ from those of others.
    pub(super) herd: String,
}

impl StateApi for Desk {
    async fn get(&self, space: String, key: String) -> Result<Option<Entry>, CallError> {
        Ok(self.space(&space)?.get(&key).await?.map(Entry::from))
    }

    async fn get_fresh(&self, space: String, key: String) -> Result<Option<Entry>, CallError> {
        Ok(self.space(&space)?.get_fresh(&key).await?.map(Entry::from))
    }

    async fn set(
        &self,
        space: String,
        key: String,
        value: Blob,
        options: SetOptions,
    ) -> Result<u64, CallError> {
        let condition = match options.if_revision {
            None => Condition::Always,
            Some(0) => Condition::Absent,
            Some(revision) => Condition::Revision(revision),
        };
        let put = Put {
            value: value.0,
            ttl: options.ttl_ms.map(Duration::from_millis),
            condition,
        };
        Ok(self.space(&space)?.put(&key, put).await?)
    }

    async fn increment(
        &self,
        space: String,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, CallError> {
        let ttl = ttl_ms.map(Duration::from_millis);
        Ok(self.space(&space)?.increment(&key, by, ttl).await?)
    }

    async fn add(&self, space: String, key: String, by: i64) -> Result<(), CallError> {
        Ok(self.space(&space)?.add(&key, by).await?)
    }

    async fn delete(
        &self,
        space: String,
        key: String,
        if_revision: Option<u64>,
    ) -> Result<bool, CallError> {
        let condition = if_revision.map_or(Condition::Always, Condition::Revision);
        Ok(self.space(&space)?.delete(&key, condition).await?)
    }

    async fn scan(
        &self,
        space: String,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<EntryPage, CallError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = self
            .space(&space)?
            .scan(&prefix, after.as_deref(), limit)
            .await?;
        let entries = page.entries.into_iter();
        Ok(EntryPage {
            entries: entries
                .map(|(key, entry)| (key, Entry::from(entry)))
                .collect(),
            next: page.next,
        })
    }

    async fn watch(
        &self,
        space: String,
        prefix: String,
    ) -> Result<Feed<Change<String, Entry>>, CallError> {
        let source = self.space(&space)?.source().await;
        Ok(source.feed_where(move |key| key.starts_with(&prefix)))
    }

    async fn acquire(
        &self,
        cx: &Cx,
        space: String,
        name: String,
        ttl_ms: u64,
    ) -> Result<LeaseAnswer, CallError> {
        let (owner, ttl) = (self.owner(&cx.caller), Duration::from_millis(ttl_ms));
        Ok(
            match self.space(&space)?.acquire(&name, &owner, ttl).await? {
                Acquired::Ours { token } => LeaseAnswer::Ours { token },
                Acquired::Held { left } => LeaseAnswer::Held {
                    left_ms: millis(left),
                },
            },
        )
    }

    async fn renew(
        &self,
        space: String,
        name: String,
        token: u64,
        ttl_ms: u64,
    ) -> Result<(), CallError> {
        let ttl = Duration::from_millis(ttl_ms);
        Ok(self.space(&space)?.renew(&name, token, ttl).await?)
    }

    async fn release(&self, space: String, name: String, token: u64) -> Result<(), CallError> {
        Ok(self.space(&space)?.release(&name, token).await?)
    }

    async fn limit(
        &self,
        space: String,
        key: String,
        count: u32,
        per_ms: u64,
    ) -> Result<Admitted, CallError> {
        let per = Duration::from_millis(per_ms);
        Ok(
            match self.space(&space)?.limit(&key, Rate { count, per }).await? {
                Admission::Allowed { left } => Admitted {
                    allowed: true,
                    left,
                    retry_after_ms: 0,
                },
                Admission::Denied { retry_after } => Admitted {
                    allowed: false,
                    left: 0,
                    retry_after_ms: millis(retry_after).max(1),
                },
            },
        )
    }

    async fn once(&self, space: String, key: String, ttl_ms: u64) -> Result<bool, CallError> {
        let put = Put {
            value: bytes::Bytes::new(),
            ttl: Some(Duration::from_millis(ttl_ms)),
            condition: Condition::Absent,
        };
        match self.space(&space)?.put(&key, put).await {
            Ok(_revision) => Ok(true),
            Err(crate::state::StateError::Refused(crate::state::Refusal::Conflict { .. })) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn worker_down(&self, caller: &Caller) {
        let owner = self.owner(caller);
        for space in self.spaces.values() {
            space.release_all(&owner);
        }
    }
}

impl Desk {
    fn space(&self, name: &str) -> Result<&Space, CallError> {
        self.spaces.get(name).map(AsRef::as_ref).ok_or_else(|| {
            let names: Vec<&str> = self.spaces.keys().map(String::as_str).collect();
            let message = format!(
                "there is no namespace {name:?}; there is: {}",
                names.join(", ")
            );
            CallError::new(ErrorKind::BadArguments, Executed::No, message)
        })
    }

    /// Who holds a lease: a life of a process, on this machine.
    fn owner(&self, caller: &Caller) -> String {
        let part = match &caller.part {
            Part::Library(name) => format!("library:{name}"),
            Part::Tool => format!("tool:{}", caller.pid),
            Part::Worker => "worker".to_owned(),
        };
        format!("{}/{part}/{}/{}", self.herd, caller.worker, caller.pid)
    }
}

impl From<Versioned> for Entry {
    fn from(versioned: Versioned) -> Entry {
        Entry {
            value: Blob(versioned.value),
            revision: versioned.revision,
            ttl_ms: versioned.ttl.map(millis),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
