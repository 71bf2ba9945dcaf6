//! A namespace, wherever its values are.

use std::sync::Arc;
use std::time::Duration;

use herder_rpc::server::StateSource;

use super::state_object::Entry;
#[cfg(feature = "redis")]
use super::store::Followed;
use crate::state::{
    Acquired, Admission, Change, Condition, Local, Page, Put, Rate, StateError, Versioned,
};

/// The values of a namespace, for those who watch them.
pub(super) type Source = StateSource<String, Entry>;

/// A namespace.
pub(super) enum Space {
    Local(Arc<Local>, Source),
    #[cfg(feature = "redis")]
    Store(Followed),
}

/// Has the watchers of a namespace told what changes in it.
pub(super) fn observer(source: Source, now: crate::clock::Clock) -> crate::state::Observer {
    Box::new(move |change| match change {
        Change::Put {
            key,
            value,
            revision,
            expires,
        } => {
            let versioned = Versioned {
                value: value.clone(),
                revision: *revision,
                ttl: expires.map(|at| at.since(now.now().tick)),
            };
            source.set(key.clone(), Entry::from(versioned));
        }
        Change::Removed { key, .. } => {
            source.remove(key);
        }
        Change::Leased { .. } => {}
    })
}

impl Space {
    pub(super) async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        match self {
            Space::Local(local, _) => Ok(local.get(key)),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.get(key).await,
        }
    }

    pub(super) async fn get_fresh(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        match self {
            Space::Local(local, _) => Ok(local.get(key)),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.get_fresh(key).await,
        }
    }

    pub(super) async fn put(&self, key: &str, put: Put) -> Result<u64, StateError> {
        match self {
            Space::Local(local, _) => local.put(key, put).await,
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.put(key, put).await,
        }
    }

    pub(super) async fn increment(
        &self,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        match self {
            Space::Local(local, _) => local.increment(key, by, ttl).await,
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.increment(key, by, ttl).await,
        }
    }

    /// Adds to a number, whose sum nobody waits for.
    pub(super) async fn add(&self, key: &str, by: i64) -> Result<(), StateError> {
        match self {
            Space::Local(local, _) => local.increment(key, by, None).await.map(drop),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.tally.add(key, by),
        }
    }

    pub(super) async fn delete(&self, key: &str, when: Condition) -> Result<bool, StateError> {
        match self {
            Space::Local(local, _) => local.delete(key, when).await,
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.delete(key, when).await,
        }
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(
            clippy::unused_async,
            reason = "with redis there is something to wait for"
        )
    )]
    pub(super) async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StateError> {
        match self {
            Space::Local(local, _) => Ok(local.scan(prefix, after, limit)),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.scan(prefix, after, limit).await,
        }
    }

    pub(super) async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, StateError> {
        match self {
            Space::Local(local, _) => local.acquire(name, owner, ttl).await,
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.acquire(name, owner, ttl).await,
        }
    }

    pub(super) async fn renew(
        &self,
        name: &str,
        token: u64,
        ttl: Duration,
    ) -> Result<(), StateError> {
        match self {
            Space::Local(local, _) => local.renew(name, token, ttl).await,
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.renew(name, token, ttl).await,
        }
    }

    pub(super) async fn release(&self, name: &str, token: u64) -> Result<(), StateError> {
        match self {
            Space::Local(local, _) => local.release(name, token).await,
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.release(name, token).await,
        }
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(
            clippy::unused_async,
            reason = "with redis there is something to wait for"
        )
    )]
    pub(super) async fn limit(&self, key: &str, rate: Rate) -> Result<Admission, StateError> {
        match self {
            Space::Local(local, _) => local.limit(key, rate),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.space.limit(key, rate).await,
        }
    }

    /// Takes all leases of an owner from it: it is dead.
    pub(super) fn release_all(&self, owner: &str) {
        match self {
            Space::Local(local, _) => local.release_all(owner),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.release_all(owner),
        }
    }

    /// The values, for who watches them; when they are all there.
    #[cfg_attr(
        not(feature = "redis"),
        expect(
            clippy::unused_async,
            reason = "with redis there is something to wait for"
        )
    )]
    pub(super) async fn source(&self) -> Source {
        match self {
            Space::Local(_, source) => source.clone(),
            #[cfg(feature = "redis")]
            Space::Store(followed) => followed.source().await,
        }
    }
}
