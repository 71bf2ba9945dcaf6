//! A worker's own copy of the values, kept by the library's stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder::rpc::client::StreamItem;
use herder::rpc::server::Change;

/// The values as the stream has told them. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Copy(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    values: BTreeMap<String, String>,
    /// The parts of a snapshot that is not complete yet.
    snapshot: BTreeMap<String, String>,
}

impl Copy {
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.state().values.get(key).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.state().values.len()
    }

    /// Takes one item of the stream. Whether the copy is complete with it.
    pub(crate) fn take(&self, item: StreamItem<Change<String, String>>) -> bool {
        let mut state = self.state();
        match item {
            // A new snapshot follows; until it is complete the old values are better than none.
            StreamItem::Gap { .. } => state.snapshot.clear(),
            StreamItem::Snapshot { value } => apply(&mut state.snapshot, value),
            StreamItem::SnapshotEnd => {
                state.values = std::mem::take(&mut state.snapshot);
                return true;
            }
            StreamItem::Item { value, .. } => apply(&mut state.values, value),
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(values: &mut BTreeMap<String, String>, change: Change<String, String>) {
    match change.value {
        Some(value) => values.insert(change.key, value),
        None => values.remove(&change.key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<&str>) -> Change<String, String> {
        Change {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    #[test]
    fn a_new_snapshot_replaces_the_old_values_when_it_is_complete() {
        let copy = Copy::default();
        let part = |key, value| StreamItem::Snapshot {
            value: change(key, Some(value)),
        };
        let gap = StreamItem::Gap {
            reason: "restart".to_owned(),
            missed: None,
        };
        assert!(!copy.take(part("color", "green")));
        assert!(copy.take(StreamItem::SnapshotEnd));
        copy.take(StreamItem::Item {
            seq: 1,
            value: change("size", Some("3")),
        });
        copy.take(gap);
        copy.take(part("color", "red"));
        assert_eq!(copy.get("color").as_deref(), Some("green"));
        assert!(copy.take(StreamItem::SnapshotEnd));
        assert_eq!(copy.get("color").as_deref(), Some("red"));
        assert_eq!((copy.get("size"), copy.len()), (None, 1));
        copy.take(StreamItem::Item {
            seq: 2,
            value: change("color", None),
        });
        assert_eq!(copy.get("color"), None);
    }
}
