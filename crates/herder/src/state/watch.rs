//! Following what changes.

use herder_rpc::client::{StreamItem, Subscription};
use herder_rpc::server::Change;
use herder_services::library;

use super::error::StateError;
use super::namespace::{Entry, State};

/// A namespace's values, and what changes.
///
/// First comes what is there, then [`Watched::Complete`], then each change. Who is slow misses the
/// values between, never the newest.
#[derive(Debug)]
#[must_use = "a watch that is dropped ends"]
pub struct Watch {
    changes: Subscription<Change<String, library::Entry>>,
}

/// What a [`Watch`] brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    /// All that was there has been told. What is known from before a [`Watched::Restarted`] and was
    /// not told again is gone.
    Complete,
    /// A key has no value any more.
    Deleted {
        /// The key.
        key: String,
    },
    /// A key has this value.
    Put {
        /// The key.
        key: String,
        /// What it has.
        entry: Entry,
    },
    /// The library was away: what is there comes anew, up to [`Watched::Complete`].
    Restarted {
        /// Why.
        reason: String,
    },
}

impl Watch {
    pub(super) async fn open(state: &State, prefix: &str) -> Result<Watch, StateError> {
        let mut changes = state.client()?.watch(state.space(), prefix);
        changes.opened().await?;
        Ok(Watch { changes })
    }

    /// What comes next; `None` when the library ended it.
    ///
    /// # Errors
    /// An error is the last.
    pub async fn next(&mut self) -> Option<Result<Watched, StateError>> {
        let item = match self.changes.next().await? {
            Ok(item) => item,
            Err(error) => return Some(Err(error.into())),
        };
        Some(Ok(match item {
            StreamItem::Gap { reason, .. } => Watched::Restarted { reason },
            StreamItem::SnapshotEnd => Watched::Complete,
            StreamItem::Item { value, .. } | StreamItem::Snapshot { value } => match value.value {
                Some(entry) => Watched::Put {
                    key: value.key,
                    entry: entry.into(),
                },
                None => Watched::Deleted { key: value.key },
            },
        }))
    }
}
