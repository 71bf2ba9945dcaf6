//! The keeper's store, from the master's side.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder_sys::{fd, socket};
use herder_wire::keeper::{Key, Prefix, ToKeeper};

/// How much waits for a keeper that does not read. It is more than a herd of a thousand workers has to
/// say at once; beyond it the keeper is as good as gone.
const MAX_WAITING: usize = 4096;

/// What the keeper is told, in order, from any thread, and without ever waiting for it.
///
/// What has left this process outlives it, even if the keeper has not read it yet.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Shared>);

struct Shared {
    socket: OwnedFd,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    parcels: VecDeque<Parcel>,
    /// How many were thrown away.
    lost: u64,
}

struct Parcel {
    bytes: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

impl Vault {
    /// The store of the keeper at the other end of `socket`.
    pub(crate) fn new(socket: OwnedFd) -> Vault {
        Vault(Arc::new(Shared {
            socket,
            waiting: Mutex::default(),
        }))
    }

    /// Puts a duplicate of `fd` into the store, in place of what lay there under this key. `pid`: the
    /// process that it stands for, or 0.
    ///
    /// # Errors
    ///
    /// When it can be neither sent nor kept for later: no descriptor is left, or the keeper does not read.
    pub(crate) fn store(&self, key: &Key, fd: BorrowedFd<'_>, pid: i32) -> io::Result<()> {
        let key = *key;
        self.send(&ToKeeper::Store { key, pid }, Some(fd))
    }

    /// As [`store`](Vault::store), but nothing is kept for later: when this returns, the store has it,
    /// whatever becomes of this process.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the keeper does not take it now; or it is gone.
    pub(crate) fn store_now(&self, key: &Key, fd: BorrowedFd<'_>) -> io::Result<()> {
        let (mut bytes, key) = (Vec::new(), *key);
        let message = ToKeeper::Store { key, pid: 0 };
        message.encode(&mut bytes).map_err(io::Error::other)?;
        let waiting = self.waiting();
        // What waits was said before.
        if waiting.parcels.is_empty() && self.post(&bytes, Some(fd))? {
            return Ok(());
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// What lies under this key is not needed any more.
    pub(crate) fn forget(&self, key: &Key) {
        let key = *key;
        self.say(&ToKeeper::Forget { key });
    }

    /// Nothing is needed any more of what lies under keys that begin so.
    pub(crate) fn forget_all(&self, prefix: &Prefix) {
        let prefix = *prefix;
        self.say(&ToKeeper::ForgetAll { prefix });
    }

    /// Tells the keeper something that the herd can live without. (If the keeper is gone, the main
    /// thread hears of it by itself.)
    pub(crate) fn say(&self, message: &ToKeeper) {
        let _unsaid = self.send(message, None);
    }

    /// Tells the keeper something.
    ///
    /// # Errors
    ///
    /// As [`store`](Vault::store).
    pub(crate) fn send(&self, message: &ToKeeper, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).map_err(io::Error::other)?;
        let mut waiting = self.waiting();
        if waiting.parcels.is_empty() && self.post(&bytes, fd)? {
            return Ok(());
        }
        if waiting.parcels.len() >= MAX_WAITING {
            waiting.lost += 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let descriptor = fd.map(fd::duplicate).transpose()?;
        waiting.parcels.push_back(Parcel { bytes, descriptor });
        Ok(())
    }

    /// Sends what waits, as far as the keeper takes it.
    pub(crate) fn flush(&self) {
        let mut waiting = self.waiting();
        while let Some(parcel) = waiting.parcels.front() {
            let descriptor = parcel.descriptor.as_ref().map(AsFd::as_fd);
            match self.post(&parcel.bytes, descriptor) {
                Ok(false) => return,
                // Taken, or nobody is there any more who could.
                Ok(true) | Err(_) => {
                    waiting.parcels.pop_front();
                }
            }
        }
    }

    /// Whether something waits until the keeper reads again.
    pub(crate) fn wants_room(&self) -> bool {
        !self.waiting().parcels.is_empty()
    }

    /// Whether the keeper takes no more.
    #[cfg(test)]
    fn is_deaf(&self) -> bool {
        self.waiting().lost > 0
    }

    /// Where the keeper is heard.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }

    /// Whether it has gone; `false` when there is no room for it now.
    fn post(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        let descriptors = descriptor.as_slice();
        match socket::send(self.0.socket.as_fd(), bytes, descriptors) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if socket::is_too_many_refs(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Each entry is whole or not there: what a panic elsewhere left is in order.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use herder_sys::socket::Wait;
    use herder_wire::keeper::MAX_FRAME;

    use super::*;

    fn vault() -> (Vault, OwnedFd) {
        let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
        (Vault::new(ours), theirs)
    }

    fn next(keeper: &OwnedFd) -> Option<(ToKeeper, usize)> {
        let mut fds = Vec::new();
        let mut bytes = [0; MAX_FRAME];
        let got = socket::receive(keeper.as_fd(), &mut bytes, &mut fds, 1, Wait::DontWait).ok()?;
        let frame = ToKeeper::decode(&bytes[..got.len]).expect("whole");
        Some((frame.expect("known"), fds.len()))
    }

    #[test]
    fn what_a_keeper_does_not_take_waits_in_order_with_its_descriptor() {
        let (vault, keeper) = vault();
        let gift = fd::null().expect("/dev/null");
        let mut stored = 0;
        while !vault.wants_room() {
            let kept = vault.store(&Key::state(), gift.as_fd(), stored);
            kept.expect("kept");
            stored += 1;
        }
        vault.say(&ToKeeper::Beat);
        let now = vault.store_now(&Key::board(), gift.as_fd());
        assert_eq!(now.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for expected in 0..stored {
            let (frame, descriptors) = next(&keeper).expect("it was sent");
            let is_next = matches!(frame, ToKeeper::Store { pid, .. } if pid == expected);
            assert!(is_next && descriptors == 1, "{frame:?} {descriptors}");
            vault.flush();
        }
        assert_eq!(next(&keeper), Some((ToKeeper::Beat, 0)));
        vault
            .store_now(&Key::board(), gift.as_fd())
            .expect("there is room");
        assert!(matches!(next(&keeper), Some((ToKeeper::Store { .. }, 1))));
        assert!(!vault.wants_room() && !vault.is_deaf());
    }

    #[test]
    fn r19_a_keeper_that_never_reads_costs_a_bounded_amount() {
        let (vault, _keeper) = vault();
        let refused = (0..1_000_000).any(|_| vault.send(&ToKeeper::Beat, None).is_err());
        assert!(refused && vault.is_deaf());
        assert_eq!(vault.waiting().parcels.len(), MAX_WAITING);
    }

    #[test]
    fn a_keeper_that_is_gone_holds_nobody_up() {
        let (vault, keeper) = vault();
        drop(keeper);
        vault.say(&ToKeeper::Beat);
        assert!(!vault.wants_room());
    }
}
