//! What is on its way into a log file lies with the keeper, too.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use herder_logs::{Keep, Settings, Stream};
use herder_wire::keeper::{Key, MemberItem};

use crate::estate::Vault;
use crate::part::Process;

/// Where a process's lines are read.
pub(crate) struct Streams {
    /// The ends to read of its stdout and its stderr.
    pub(crate) pipes: [OwnedFd; 2],
    /// Of each of them, what an earlier master had taken and not brought into a file.
    pub(crate) landings: [Option<OwnedFd>; 2],
}

impl Streams {
    /// Those of a process that nobody has read from.
    pub(crate) fn new(stdout: OwnedFd, stderr: OwnedFd) -> Streams {
        Streams {
            pipes: [stdout, stderr],
            landings: [None, None],
        }
    }
}

/// Where lines go, and who holds those that are on their way.
pub(super) struct Filing {
    pub(super) settings: Settings,
    /// `None` = nobody.
    pub(super) vault: Option<Vault>,
}

/// Gives to the keeper what the next master has to go on with.
pub(super) struct Custody {
    pub(super) vault: Vault,
    /// All that are attached.
    pub(super) names: Arc<Mutex<BTreeMap<u64, Process>>>,
}

impl Custody {
    fn key(&self, process: u64, stream: Stream) -> Option<Key> {
        // Each entry is whole or not there.
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let process = names.get(&process)?;
        let item = match stream {
            Stream::Error => MemberItem::StderrLanding,
            Stream::Out | Stream::Herder => MemberItem::StdoutLanding,
        };
        let (part, info) = (process.part.number().0, process.info);
        Some(Key::member(part, info.slot, info.id, item))
    }
}

impl Keep for Custody {
    fn hold(&self, process: u64, stream: Stream, pipe: BorrowedFd<'_>) -> io::Result<()> {
        let key = self.key(process, stream).ok_or(io::ErrorKind::NotFound)?;
        self.vault.store_now(&key, pipe)
    }

    fn let_go(&self, process: u64, stream: Stream) {
        if let Some(key) = self.key(process, stream) {
            self.vault.forget(&key);
        }
    }
}
