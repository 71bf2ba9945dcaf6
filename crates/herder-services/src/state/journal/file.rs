//! [`File`]: a database that is opened anew when its disk has failed.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, WriteTransaction,
};

use super::JournalError;

/// What the database remembers of its file, in bytes: little, as the namespaces are in memory.
const CACHE: usize = 16 * 1024 * 1024;

/// The mode of a new file: what is kept in it, such as sessions, nobody else is to read.
const OWNER_ONLY: u32 = 0o600;

type Open = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// A database.
pub(super) struct File {
    path: PathBuf,
    open: Open,
    /// Nothing after a failure: then a database refuses everything until it is opened anew.
    database: Mutex<Option<Database>>,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<File, JournalError> {
        let place = path.to_owned();
        File::opened_by(path, move || {
            let made = make(&place).map_err(StorageError::Io);
            made.map_err(DatabaseError::Storage)?;
            Database::builder().set_cache_size(CACHE).create(&place)
        })
    }

    /// A file that is opened so, each time.
    pub(super) fn opened_by(
        path: &Path,
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<File, JournalError> {
        let file = File {
            path: path.to_owned(),
            open: Box::new(open),
            database: Mutex::new(None),
        };
        let database = (file.open)().map_err(|error| file.wrong(error))?;
        *file.lock() = Some(database);
        Ok(file)
    }

    /// Reads.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, JournalError> {
        self.with(|database| read(&database.begin_read()?))
    }

    /// Writes all, or nothing.
    pub(super) fn write(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), JournalError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            write(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    pub(super) fn wrong(&self, reason: impl ToString) -> JournalError {
        JournalError {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }

    fn with<T>(
        &self,
        step: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, JournalError> {
        let mut held = self.lock();
        let database = match held.take() {
            Some(database) => database,
            None => (self.open)().map_err(|error| self.wrong(error))?,
        };
        let outcome = step(&database);
        if outcome.is_ok() {
            *held = Some(database);
        }
        outcome.map_err(|error| self.wrong(error))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes an empty file, which a database begins with, if there is none.
fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(OWNER_ONLY);
    options.open(path).map(drop)
}
