//! What stands in the file: three tables for each namespace.

use bytes::Bytes;
use herder_core::schedule::{Now, Wall};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::super::entry::Change;
use super::super::lease::Holder;
use crate::clock::{to_tick, to_wall};

/// No expiry.
const NEVER: i64 = i64::MAX;

const LAST_REVISION: &str = "last revision";
const LAST_TOKEN: &str = "last token";

/// Revision, expiry in milliseconds of the wall clock, value.
type Entries<'a> = TableDefinition<'a, &'static str, (u64, i64, &'static [u8])>;

/// Owner, token, expiry in milliseconds of the wall clock.
type Leases<'a> = TableDefinition<'a, &'static str, (&'static str, u64, i64)>;

/// The last revision and the last token that were used.
type Counters<'a> = TableDefinition<'a, &'static str, u64>;

/// What a namespace's tables are called.
pub(super) struct Names {
    entries: String,
    leases: String,
    counters: String,
}

/// A change, with the times of the wall clock.
pub(super) enum Line {
    Put {
        key: String,
        value: Bytes,
        revision: u64,
        expires: i64,
    },
    Removed {
        key: String,
        revision: u64,
    },
    Leased {
        name: String,
        holder: Option<(Holder, i64)>,
        last_token: u64,
    },
}

impl Names {
    pub(super) fn new(namespace: &str) -> Names {
        Names {
            entries: format!("{namespace}/entries"),
            leases: format!("{namespace}/leases"),
            counters: format!("{namespace}/counters"),
        }
    }

    pub(super) fn write(
        &self,
        transaction: &WriteTransaction,
        lines: &[Line],
    ) -> Result<(), redb::Error> {
        let mut entries = transaction.open_table(self.entries())?;
        let mut leases = transaction.open_table(self.leases())?;
        let mut counters = transaction.open_table(self.counters())?;
        for line in lines {
            match line {
                Line::Put {
                    key,
                    value,
                    revision,
                    expires,
                } => {
                    entries.insert(key.as_str(), (*revision, *expires, value.as_ref()))?;
                    counters.insert(LAST_REVISION, revision)?;
                }
                Line::Removed { key, revision } => {
                    entries.remove(key.as_str())?;
                    counters.insert(LAST_REVISION, revision)?;
                }
                Line::Leased {
                    name,
                    holder,
                    last_token,
                } => {
                    match holder {
                        Some((holder, until)) => {
                            let row = (holder.owner.as_str(), holder.token, *until);
                            leases.insert(name.as_str(), row)?;
                        }
                        None => drop(leases.remove(name.as_str())?),
                    }
                    counters.insert(LAST_TOKEN, last_token)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn read(
        &self,
        read: &ReadTransaction,
        now: Now,
    ) -> Result<Vec<Change>, redb::Error> {
        let mut held = Vec::new();
        let counters = present(read.open_table(self.counters()))?;
        let counter = |name| match &counters {
            Some(table) => Ok(table.get(name)?.map_or(0, |value| value.value())),
            None => Ok::<u64, redb::Error>(0),
        };
        // A key that nobody has: only the revision is meant.
        held.push(Change::Removed {
            key: String::new(),
            revision: counter(LAST_REVISION)?,
        });
        held.push(Change::Leased {
            name: String::new(),
            holder: None,
            last_token: counter(LAST_TOKEN)?,
        });
        if let Some(table) = present(read.open_table(self.entries()))? {
            for row in table.iter()? {
                let (key, row) = row?;
                let (revision, expires, value) = row.value();
                held.push(Change::Put {
                    key: key.value().to_owned(),
                    value: Bytes::copy_from_slice(value),
                    revision,
                    expires: (expires != NEVER).then(|| to_tick(Wall::from_millis(expires), now)),
                });
            }
        }
        if let Some(table) = present(read.open_table(self.leases()))? {
            for row in table.iter()? {
                let (name, row) = row?;
                let (owner, token, until) = row.value();
                let holder = Holder {
                    owner: owner.to_owned(),
                    token,
                };
                held.push(Change::Leased {
                    name: name.value().to_owned(),
                    holder: Some((holder, to_tick(Wall::from_millis(until), now))),
                    last_token: token,
                });
            }
        }
        Ok(held)
    }
    fn entries(&self) -> Entries<'_> {
        TableDefinition::new(&self.entries)
    }

    fn leases(&self) -> Leases<'_> {
        TableDefinition::new(&self.leases)
    }

    fn counters(&self) -> Counters<'_> {
        TableDefinition::new(&self.counters)
    }
}

impl Line {
    pub(super) fn new(change: Change, now: Now) -> Line {
        match change {
            Change::Put {
                key,
                value,
                revision,
                expires,
            } => Line::Put {
                key,
                value,
                revision,
                expires: expires.map_or(NEVER, |at| to_wall(at, now).as_millis()),
            },
            Change::Removed { key, revision } => Line::Removed { key, revision },
            Change::Leased {
                name,
                holder,
                last_token,
            } => Line::Leased {
                name,
                holder: holder.map(|(holder, at)| (holder, to_wall(at, now).as_millis())),
                last_token,
            },
        }
    }

    /// What it costs to keep, in bytes, roughly.
    pub(super) fn size(&self) -> usize {
        const OVERHEAD: usize = 100;
        OVERHEAD
            + match self {
                Line::Put { key, value, .. } => key.len() + value.len(),
                Line::Removed { key, .. } => key.len(),
                Line::Leased { name, holder, .. } => {
                    name.len() + holder.as_ref().map_or(0, |(holder, _)| holder.owner.len())
                }
            }
    }
}

/// A table that was never written to is not there.
fn present<T>(table: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
