//! Namespaces that outlive the process: what changes is written to a file of `redb`.
//!
//! One thread writes. What comes while it commits goes into the next commit together, so that many
//! writers cost little more than one. A change that could not be written is kept, and written
//! before everything that comes after it: the file never has a later change without an earlier.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use bytes::Bytes;
use herder_core::schedule::{Now, Wall};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use tokio::sync::oneshot;

use super::entry::Change;
use super::lease::Holder;
use crate::clock::{to_tick, to_wall};

/// So many orders wait for the writer; who wants to write more is refused.
const ORDERS: usize = 65_536;

/// So many orders go into one commit.
const BATCH: usize = 4096;

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

/// Why a file cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct JournalError {
    path: PathBuf,
    reason: String,
}

/// A file that namespaces are kept in. Only one process has it open.
#[derive(Clone)]
pub struct Journal {
    path: PathBuf,
    database: Arc<Database>,
    orders: mpsc::SyncSender<Order>,
}

/// One namespace's way into the file.
#[derive(Clone)]
pub struct Scribe {
    journal: Journal,
    names: Arc<Names>,
}

/// What a namespace's tables are called.
struct Names {
    entries: String,
    leases: String,
    counters: String,
}

/// Something to be written, in one piece.
struct Order {
    names: Arc<Names>,
    lines: Vec<Line>,
    done: oneshot::Sender<Result<(), JournalError>>,
}

/// A change, with the times of the wall clock.
enum Line {
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

/// The thread that writes.
struct Writer {
    path: PathBuf,
    database: Arc<Database>,
    /// What a full disk has kept from being written.
    unwritten: Vec<(Arc<Names>, Vec<Line>)>,
}

impl Journal {
    /// Opens a file, or makes one.
    ///
    /// # Errors
    /// When it is none of ours, is damaged beyond repair, or another process has it open.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let database = Database::create(path).map_err(|error| wrong(path, error))?;
        let database = Arc::new(database);
        let (orders, inbox) = mpsc::sync_channel(ORDERS);
        let writer = Writer {
            path: path.to_owned(),
            database: Arc::clone(&database),
            unwritten: Vec::new(),
        };
        let thread = thread::Builder::new().name("herder-journal".to_owned());
        thread
            .spawn(move || writer.run(&inbox))
            .map_err(|error| wrong(path, error))?;
        Ok(Journal {
            path: path.to_owned(),
            database,
            orders,
        })
    }

    /// One namespace: the way to write to it, and what it held, to be
    /// [restored](super::engine::Engine::restore). What expired meanwhile expires at once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn namespace(&self, name: &str, now: Now) -> Result<(Scribe, Vec<Change>), JournalError> {
        let names = Names {
            entries: format!("{name}/entries"),
            leases: format!("{name}/leases"),
            counters: format!("{name}/counters"),
        };
        let read = self.database.begin_read();
        let read = read.map_err(|error| wrong(&self.path, error))?;
        let held = names.read(&read, now);
        let held = held.map_err(|error| wrong(&self.path, error))?;
        let scribe = Scribe {
            journal: self.clone(),
            names: Arc::new(names),
        };
        Ok((scribe, held))
    }
}

impl Scribe {
    /// Writes these changes, in this order, after all that were given before. The answer comes when
    /// they are on the disk; nobody has to wait for it.
    ///
    /// # Errors
    /// The answer's: they are not on the disk yet, and will be written with the next ones. Or the
    /// writer cannot keep up.
    pub fn write(
        &self,
        changes: Vec<Change>,
        now: Now,
    ) -> Result<oneshot::Receiver<Result<(), JournalError>>, JournalError> {
        let (done, answer) = oneshot::channel();
        let lines = changes.into_iter().map(|change| Line::new(change, now));
        let order = Order {
            names: Arc::clone(&self.names),
            lines: lines.collect(),
            done,
        };
        match self.journal.orders.try_send(order) {
            Ok(()) => Ok(answer),
            Err(_full) => Err(wrong(&self.journal.path, "its writer cannot keep up")),
        }
    }
}

impl Writer {
    fn run(mut self, inbox: &mpsc::Receiver<Order>) {
        while let Ok(first) = inbox.recv() {
            let mut waiting = vec![first.done];
            self.unwritten.push((first.names, first.lines));
            while waiting.len() < BATCH
                && let Ok(order) = inbox.try_recv()
            {
                waiting.push(order.done);
                self.unwritten.push((order.names, order.lines));
            }
            let outcome = self.commit().map_err(|error| wrong(&self.path, error));
            if outcome.is_ok() {
                self.unwritten.clear();
            }
            for done in waiting {
                // Who does not wait for it does not hear of it.
                let _gone = done.send(outcome.clone());
            }
        }
    }

    fn commit(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        for (names, lines) in &self.unwritten {
            names.write(&transaction, lines)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Names {
    fn entries(&self) -> Entries<'_> {
        TableDefinition::new(&self.entries)
    }

    fn leases(&self) -> Leases<'_> {
        TableDefinition::new(&self.leases)
    }

    fn counters(&self) -> Counters<'_> {
        TableDefinition::new(&self.counters)
    }

    fn write(&self, transaction: &WriteTransaction, lines: &[Line]) -> Result<(), redb::Error> {
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

    fn read(&self, read: &ReadTransaction, now: Now) -> Result<Vec<Change>, redb::Error> {
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
}

impl Line {
    fn new(change: Change, now: Now) -> Line {
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
}

/// A table that was never written to is not there.
fn present<T>(table: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn wrong(path: &Path, reason: impl ToString) -> JournalError {
    JournalError {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
