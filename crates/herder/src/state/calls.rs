//! Calls that are made when they are awaited.

use std::time::Duration;

use bytes::Bytes;
use herder_rpc::{Blob, BoxFuture};
use herder_services::library::SetOptions;

use super::error::StateError;
use super::namespace::{State, millis};

/// A value to be [written](State::set).
#[derive(Debug)]
#[must_use = "it is written when it is awaited"]
pub struct Set {
    state: State,
    key: String,
    value: Result<Bytes, StateError>,
    options: SetOptions,
}

/// A number to be [counted up](State::increment).
#[derive(Debug)]
#[must_use = "it is counted when it is awaited"]
pub struct Increment {
    state: State,
    key: String,
    by: i64,
    ttl_ms: Option<u64>,
}

/// A value to be [deleted](State::delete).
#[derive(Debug)]
#[must_use = "it is deleted when it is awaited"]
pub struct Delete {
    state: State,
    key: String,
    if_revision: Option<u64>,
}

impl Set {
    pub(super) fn new(state: &State, key: &str, value: Result<Bytes, StateError>) -> Set {
        Set {
            state: state.clone(),
            key: key.to_owned(),
            value,
            options: SetOptions::default(),
        }
    }

    /// How long it lives. Default: until it is deleted.
    pub fn ttl(mut self, ttl: Duration) -> Set {
        self.options.ttl_ms = Some(millis(ttl));
        self
    }

    /// Only if the present value has this revision; 0 = if there is none.
    pub fn if_revision(mut self, revision: u64) -> Set {
        self.options.if_revision = Some(revision);
        self
    }

    /// Only if there is none.
    pub fn if_absent(self) -> Set {
        self.if_revision(0)
    }
}

impl Increment {
    pub(super) fn new(state: &State, key: &str, by: i64) -> Increment {
        Increment {
            state: state.clone(),
            key: key.to_owned(),
            by,
            ttl_ms: None,
        }
    }

    /// How long it lives if it is new; one that is there keeps its time.
    pub fn ttl(mut self, ttl: Duration) -> Increment {
        self.ttl_ms = Some(millis(ttl));
        self
    }
}

impl Delete {
    pub(super) fn new(state: &State, key: &str) -> Delete {
        Delete {
            state: state.clone(),
            key: key.to_owned(),
            if_revision: None,
        }
    }

    /// Only if it has this revision.
    pub fn if_revision(mut self, revision: u64) -> Delete {
        self.if_revision = Some(revision);
        self
    }
}

impl IntoFuture for Set {
    type Output = Result<u64, StateError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let state = &self.state;
            let value = Blob(self.value?);
            let call = state
                .client()?
                .set(state.space(), self.key, value, self.options);
            Ok(state.timed(call).await?)
        })
    }
}

impl IntoFuture for Increment {
    type Output = Result<i64, StateError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let state = &self.state;
            let call = state
                .client()?
                .increment(state.space(), self.key, self.by, self.ttl_ms);
            Ok(state.timed(call).await?)
        })
    }
}

impl IntoFuture for Delete {
    type Output = Result<bool, StateError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let state = &self.state;
            let call = state
                .client()?
                .delete(state.space(), self.key, self.if_revision);
            Ok(state.timed(call).await?)
        })
    }
}
