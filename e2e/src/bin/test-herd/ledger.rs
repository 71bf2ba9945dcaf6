//! What the workers have received, written down before anything is done with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process;

/// One file that every worker appends to, a whole line at a time.
pub(crate) struct Ledger(Option<File>);

impl Ledger {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Ledger> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        Ok(Ledger(path.map(open).transpose()?))
    }

    /// A connection is ours, from this client's port.
    pub(crate) fn got(&self, port: u16) -> io::Result<()> {
        self.note(&format!("got {port} {}\n", process::id()))
    }

    /// A request was read.
    pub(crate) fn saw(&self, id: u64) -> io::Result<()> {
        self.note(&format!("saw {id} {}\n", process::id()))
    }

    fn note(&self, line: &str) -> io::Result<()> {
        match &self.0 {
            // One call for each line: appending is atomic, and a kill cannot cut it.
            Some(file) => (&mut &*file).write_all(line.as_bytes()),
            None => Ok(()),
        }
    }
}
