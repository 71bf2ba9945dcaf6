use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, StorageBackend};

use super::file::File;
use super::{Journal, ROOM};
use crate::clock::Clock;
use crate::state::{Condition, Durability, Local, Put, StateError};

/// A disk that can be full.
#[derive(Clone, Debug, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    is_full: Arc<AtomicBool>,
    /// How often it was full when somebody wanted something.
    refused: Arc<AtomicUsize>,
}

impl Disk {
    fn journal(&self) -> Journal {
        let disk = self.clone();
        let open = move || Database::builder().create_with_backend(disk.clone());
        Journal::start(File::opened_by("disk".as_ref(), open).unwrap()).unwrap()
    }

    fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap()
    }

    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.bytes()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check()?;
        self.bytes().resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let start = usize::try_from(offset).unwrap();
        self.bytes()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn namespace(journal: &Journal, durability: Durability) -> Local {
    Local::in_memory(1 << 30, Clock::new(), Box::new(|_| {}))
        .kept_in(journal, "s", durability)
        .unwrap()
}

fn put(value: &str) -> Put {
    Put {
        value: Bytes::copy_from_slice(value.as_bytes()),
        ttl: None,
        condition: Condition::Always,
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_when_it_has_room_again() {
    let disk = Disk::default();
    let space = namespace(&disk.journal(), Durability::Immediate);
    space.put("a", put("1")).await.unwrap();
    disk.fill(true);
    for value in ["2", "3"] {
        let error = space.put("b", put(value)).await.unwrap_err();
        assert!(matches!(error, StateError::NotKept(_)), "{error}");
    }
    assert_eq!(space.get("b").unwrap().value, "3", "it was done");
    disk.fill(false);
    // Until the disk is tried again, the answer is what it was.
    while space.put("c", put("4")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(space);
    let after = namespace(&disk.journal(), Durability::Immediate);
    let read = ["a", "b", "c"].map(|key| after.get(key).unwrap().value);
    assert_eq!(read, ["1", "3", "4"]);
}

#[tokio::test]
async fn a_disk_that_has_room_again_needs_no_further_change() {
    let disk = Disk::default();
    let space = namespace(&disk.journal(), Durability::Eventual);
    disk.fill(true);
    space.put("a", put("1")).await.unwrap();
    while disk.refused.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.fill(false);
    let kept = || {
        let copy = Disk {
            bytes: Arc::new(Mutex::new(disk.bytes().clone())),
            ..Disk::default()
        };
        namespace(&copy.journal(), Durability::Eventual).get("a")
    };
    let kept = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match kept() {
                Some(versioned) => break versioned,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    assert_eq!(kept.await.unwrap().value, "1");
}

#[tokio::test]
async fn what_a_full_disk_keeps_waiting_is_bounded_and_then_nothing_is_done() {
    let disk = Disk::default();
    let space = namespace(&disk.journal(), Durability::Eventual);
    disk.fill(true);
    let value = "x".repeat(1 << 20);
    let mut taken = 0;
    let error = loop {
        match space.put("a", put(&value)).await {
            Ok(_revision) => taken += value.len(),
            Err(error) => break error,
        }
        assert!(taken <= ROOM + value.len(), "{taken} bytes wait");
    };
    assert!(matches!(error, StateError::NotDone(_)), "{error}");
    let revision = space.get("a").unwrap().revision;
    space.put("a", put("1")).await.unwrap_err();
    assert_eq!(
        space.get("a").unwrap().revision,
        revision,
        "nothing is done"
    );
    disk.fill(false);
}

#[tokio::test]
async fn whoever_lets_a_journal_go_finds_everything_on_the_disk() {
    let disk = Disk::default();
    let space = namespace(&disk.journal(), Durability::Eventual);
    for number in 0..1000 {
        space.put(&format!("{number}"), put("1")).await.unwrap();
    }
    drop(space);
    let after = namespace(&disk.journal(), Durability::Eventual);
    assert_eq!(after.scan_all().len(), 1000);
}
