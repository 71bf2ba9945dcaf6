//! A keeper's store in the hand of a test.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herder_sys::fd;
use herder_sys::socket::{self, Wait};
use herder_wire::keeper::{Key, MAX_FRAME, ToKeeper};

use super::Pieces;
use crate::estate::Vault;

const PATIENCE: Duration = Duration::from_secs(10);

/// What a vault puts things into. It is looked after until the vault is gone.
pub(super) struct Safe(Arc<Mutex<BTreeMap<Key, OwnedFd>>>);

impl Safe {
    /// An empty one, and the way into it.
    pub(super) fn new() -> (Safe, Vault) {
        let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
        let stored = Arc::default();
        let keeper = Arc::clone(&stored);
        std::thread::spawn(move || keep(&theirs, &keeper));
        (Safe(stored), Vault::new(ours))
    }

    /// What lies under this key, as soon as it does.
    pub(super) fn get(&self, key: Key) -> OwnedFd {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let stored = self.0.lock().expect("whole");
            if let Some(found) = stored.get(&key) {
                return fd::duplicate(found.as_fd()).expect("a descriptor");
            }
            drop(stored);
            std::thread::yield_now();
        }
        panic!("nothing lies under {key}");
    }

    /// All listeners of Node programs.
    pub(super) fn node_listeners(&self) -> Vec<(u64, OwnedFd)> {
        let stored = self.0.lock().expect("whole");
        let listener = |(key, found): (&Key, &OwnedFd)| {
            let copy = fd::duplicate(found.as_fd()).expect("a descriptor");
            Some((key.as_node()?, copy))
        };
        stored.iter().filter_map(listener).collect()
    }

    /// All groups of sockets.
    pub(super) fn groups(&self) -> BTreeMap<u64, Pieces> {
        let stored = self.0.lock().expect("whole");
        let mut groups: BTreeMap<u64, Pieces> = BTreeMap::new();
        for (key, found) in stored.iter() {
            if let Some((group, piece)) = key.as_group() {
                let copy = fd::duplicate(found.as_fd()).expect("a descriptor");
                groups.entry(group).or_default().push((piece, copy));
            }
        }
        groups
    }

    /// Waits until nothing lies under this key.
    pub(super) fn await_end_of(&self, key: Key) {
        let deadline = Instant::now() + PATIENCE;
        while self.0.lock().expect("whole").contains_key(&key) {
            assert!(Instant::now() < deadline, "{key} was not forgotten");
            std::thread::yield_now();
        }
    }
}

fn keep(socket: &OwnedFd, stored: &Mutex<BTreeMap<Key, OwnedFd>>) {
    let (mut bytes, mut fds) = ([0; MAX_FRAME], Vec::new());
    loop {
        let received = socket::receive(socket.as_fd(), &mut bytes, &mut fds, 1, Wait::Block);
        let Some(length) = received.ok().map(|it| it.len).filter(|len| *len > 0) else {
            return;
        };
        let frame = ToKeeper::decode(&bytes[..length]).expect("a frame");
        let mut stored = stored.lock().expect("whole");
        if let Some(ToKeeper::Store { key, .. }) = frame {
            stored.insert(key, fds.pop().expect("a descriptor"));
        } else if let Some(ToKeeper::Forget { key }) = frame {
            stored.remove(&key);
        } else if let Some(ToKeeper::ForgetAll { prefix }) = frame {
            stored.retain(|key, _| !key.as_str().starts_with(prefix.as_str()));
        }
    }
}
