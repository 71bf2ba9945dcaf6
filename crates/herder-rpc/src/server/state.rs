//! The newest value of each key, for any number of subscribers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder_wire::rpc::{CallError, ItemKind, Position};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Feed, Sink};
use crate::codec::Shared;

/// How many removed keys are remembered: a subscriber that comes back learns of these without a
/// whole snapshot.
const REMEMBERED: usize = 1024;

/// One key and what it has now.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change<K, V> {
    /// The key.
    pub key: K,
    /// Its value; `None` when it was removed.
    pub value: Option<V>,
}

/// The newest value of each key.
///
/// A subscriber gets a snapshot, then what changes. One that is slow misses the values between,
/// never the newest: each key waits once, whatever happens to it. Each change is written once for
/// all subscribers, and a subscriber costs a number: where it is.
#[derive(Debug)]
pub struct StateSource<K, V> {
    table: Arc<Table<K, V>>,
}

#[derive(Debug)]
struct Table<K, V> {
    state: Mutex<State<K, V>>,
    last: watch::Sender<u64>,
}

type Written<K, V> = Arc<Shared<Change<K, V>>>;

#[derive(Debug)]
struct State<K, V> {
    /// The number of each key's last change.
    numbers: HashMap<K, u64>,
    /// The last change of each key, in the order of the changes.
    changes: BTreeMap<u64, Written<K, V>>,
    /// The numbers of those that are removals.
    removals: BTreeSet<u64>,
    last: u64,
    /// Removals up to this number are forgotten.
    forgotten: u64,
}

impl<K, V> Clone for StateSource<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
        }
    }
}

impl<K, V> Default for StateSource<K, V> {
    fn default() -> Self {
        let state = State {
            numbers: HashMap::new(),
            changes: BTreeMap::new(),
            removals: BTreeSet::new(),
            last: 0,
            forgotten: 0,
        };
        let table = Table {
            state: Mutex::new(state),
            last: watch::Sender::new(0),
        };
        Self {
            table: Arc::new(table),
        }
    }
}

impl<K, V> StateSource<K, V>
where
    K: Clone + Eq + Hash + Serialize + Send + Sync + 'static,
    V: Serialize + Send + Sync + 'static,
{
    /// A source without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a key a value and returns the number of the change.
    pub fn set(&self, key: K, value: V) -> u64 {
        self.change(Change {
            key,
            value: Some(value),
        })
    }

    /// Removes a key. Whether it was there.
    pub fn remove(&self, key: &K) -> bool {
        let is_there = self.with(key, |_value| ()).is_some();
        if is_there {
            self.change(Change {
                key: key.clone(),
                value: None,
            });
        }
        is_there
    }

    /// What `read` makes of a key's value; `None` when there is none.
    pub fn with<R>(&self, key: &K, read: impl FnOnce(&V) -> R) -> Option<R> {
        let change = {
            let state = self.table.state();
            let number = state.numbers.get(key)?;
            Arc::clone(state.changes.get(number)?)
        };
        change.value().value.as_ref().map(read)
    }

    /// The keys that have a value, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        let state = self.table.state();
        let has_value = |number: &u64| !state.removals.contains(number);
        let present = state.numbers.iter().filter(|(_, number)| has_value(number));
        present.map(|(key, _)| key.clone()).collect()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.table.state();
        state.changes.len() - state.removals.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.table.last.receiver_count()
    }

    /// All keys.
    #[must_use]
    pub fn feed(&self) -> Feed<Change<K, V>> {
        self.feed_where(|_key| true)
    }

    /// The keys that `wanted` says yes to.
    #[must_use]
    pub fn feed_where(
        &self,
        wanted: impl Fn(&K) -> bool + Send + Sync + 'static,
    ) -> Feed<Change<K, V>> {
        let table = Arc::clone(&self.table);
        let changed = table.last.subscribe();
        Feed::new(async move |sink| feed(&table, changed, wanted, sink).await)
    }

    fn change(&self, change: Change<K, V>) -> u64 {
        let mut state = self.table.state();
        state.last += 1;
        let number = state.last;
        if let Some(before) = state.numbers.insert(change.key.clone(), number) {
            state.changes.remove(&before);
            state.removals.remove(&before);
        }
        if change.value.is_none() {
            state.removals.insert(number);
        }
        state.changes.insert(number, Arc::new(Shared::new(change)));
        state.forget();
        // While the lock is held: the numbers never go back.
        self.table.last.send_replace(number);
        number
    }
}

async fn feed<K, V>(
    table: &Table<K, V>,
    mut changed: watch::Receiver<u64>,
    wanted: impl Fn(&K) -> bool + Send + Sync,
    mut sink: Sink,
) -> Result<(), CallError>
where
    K: Clone + Eq + Hash + Serialize + Send + Sync + 'static,
    V: Serialize + Send + Sync + 'static,
{
    let mut place = Place::new(&table.state(), sink.resume(), sink.epoch());
    sink.open(match place {
        Place::Snapshot { .. } => 0,
        Place::Changes { seen } => seen,
    });
    loop {
        sink.ready().await;
        changed.mark_unchanged();
        let step = place.step(&table.state(), &wanted);
        match step {
            Step::Item { kind, seq, change } => {
                let body = change.body(sink.codec())?;
                sink.put(kind, seq, body)?;
            }
            Step::SnapshotEnd(seq) => sink.snapshot_end(seq),
            Step::Anew => {
                sink.set_seq(0);
                sink.gap(
                    "removals were forgotten while the subscriber was slow",
                    None,
                );
            }
            Step::Nothing => drop(changed.changed().await),
        }
    }
}

/// Where a subscriber is. Keys come in the order of their last change, so that a key that changes
/// while the snapshot is sent is not in it, but behind it.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The snapshot, which ends with the change `end`, is sent up to `seen`.
    Snapshot { seen: u64, end: u64 },
    /// All changes up to `seen` are sent.
    Changes { seen: u64 },
}

enum Step<K, V> {
    Item {
        kind: ItemKind,
        seq: u64,
        change: Written<K, V>,
    },
    SnapshotEnd(u64),
    Anew,
    Nothing,
}

impl Place {
    fn new<K, V>(state: &State<K, V>, resume: Option<Position>, epoch: u64) -> Self {
        match resume {
            Some(resume)
                if resume.epoch == epoch
                    && resume.seq > 0
                    && (state.forgotten..=state.last).contains(&resume.seq) =>
            {
                Place::Changes { seen: resume.seq }
            }
            Some(_) | None => Place::Snapshot {
                seen: 0,
                end: state.last,
            },
        }
    }

    fn step<K, V>(&mut self, state: &State<K, V>, wanted: impl Fn(&K) -> bool) -> Step<K, V>
    where
        K: Serialize,
        V: Serialize,
    {
        match *self {
            // Of a removal that is forgotten the subscriber would never hear.
            Place::Snapshot { end: sure, .. } | Place::Changes { seen: sure }
                if state.forgotten > sure =>
            {
                *self = Place::Snapshot {
                    seen: 0,
                    end: state.last,
                };
                Step::Anew
            }
            Place::Snapshot { seen, end } => {
                let mut rest = state
                    .changes
                    .range(seen + 1..)
                    .take_while(|(seq, _)| **seq <= end);
                let next = rest.find(|(_, change)| {
                    let Change { key, value } = change.value();
                    value.is_some() && wanted(key)
                });
                let Some((seq, change)) = next else {
                    *self = Place::Changes { seen: end };
                    return Step::SnapshotEnd(end);
                };
                *self = Place::Snapshot { seen: *seq, end };
                // Half a snapshot is nothing to go on from: its parts have no number.
                Step::Item {
                    kind: ItemKind::Snapshot,
                    seq: 0,
                    change: Arc::clone(change),
                }
            }
            Place::Changes { seen } => {
                let mut rest = state.changes.range(seen + 1..);
                let next = rest.find(|(_, change)| wanted(&change.value().key));
                let Some((seq, change)) = next else {
                    *self = Place::Changes { seen: state.last };
                    return Step::Nothing;
                };
                *self = Place::Changes { seen: *seq };
                Step::Item {
                    kind: ItemKind::Item,
                    seq: *seq,
                    change: Arc::clone(change),
                }
            }
        }
    }
}

impl<K, V> Table<K, V> {
    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Serialize, V: Serialize> State<K, V> {
    fn forget(&mut self) {
        while self.removals.len() > REMEMBERED {
            let Some(oldest) = self.removals.pop_first() else {
                return;
            };
            if let Some(change) = self.changes.remove(&oldest) {
                self.numbers.remove(&change.value().key);
            }
            self.forgotten = oldest;
        }
    }
}
