//! What masters have stored for the masters to come.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_wire::keeper::{Key, Prefix};

/// How much can be stored: a herd of five hundred members has eight things each. More would be a leak.
pub(super) const PLACES: usize = 4096;

/// A fixed number of places. What lies in one stays there until the master forgets it.
pub(super) struct Shelf {
    places: Vec<Option<Item>>,
    refused: u64,
}

struct Item {
    key: Key,
    fd: OwnedFd,
    pid: i32,
    end: End,
}

/// What is known of the end of the process that an item belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The living master was told that it ended so.
    Told(i32),
    /// It has not ended, or there is none.
    Unknown,
    /// It has ended so, and nobody was told.
    Untold(i32),
}

/// Nothing can be stored: every place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// For the first time.
    First,
    /// As before.
    Again,
}

impl Shelf {
    pub(super) fn new() -> Shelf {
        Shelf {
            places: Vec::with_capacity(PLACES),
            refused: 0,
        }
    }

    /// Stores a descriptor in place of what lay there under this key.
    ///
    /// # Errors
    ///
    /// When no place is left.
    pub(super) fn store(&mut self, key: Key, fd: OwnedFd, pid: i32) -> Result<(), Refusal> {
        let mut item = Item {
            key,
            fd,
            pid,
            end: End::Unknown,
        };
        if let Some(known) = self.items_mut().find(|known| known.key == key) {
            // Who stores the same process again has not heard of its end because of that.
            if known.pid == pid {
                item.end = known.end;
            }
            *known = item;
            return Ok(());
        }
        if let Some(place) = self.places.iter_mut().find(|place| place.is_none()) {
            *place = Some(item);
            return Ok(());
        }
        if self.places.len() < PLACES {
            self.places.push(Some(item));
            return Ok(());
        }
        self.refused += 1;
        Err(match self.refused {
            1 => Refusal::First,
            _ => Refusal::Again,
        })
    }

    /// Removes what lies under this key.
    pub(super) fn forget(&mut self, key: &Key) {
        self.forget_if(|item| item.key == *key);
    }

    /// Removes what lies under keys that begin so.
    pub(super) fn forget_all(&mut self, prefix: &Prefix) {
        self.forget_if(|item| item.key.is_under(prefix));
    }

    /// What lies under this key.
    pub(super) fn get(&self, key: &Key) -> Option<BorrowedFd<'_>> {
        let found = self.items().find(|item| item.key == *key);
        found.map(|item| item.fd.as_fd())
    }

    /// The first that lies at the place `from` or behind: its place, its key and its process.
    pub(super) fn at_or_behind(&self, from: usize) -> Option<(usize, Key, i32)> {
        let mut rest = self.places.iter().enumerate().skip(from);
        rest.find_map(|(place, item)| {
            let item = item.as_ref()?;
            Some((place, item.key, item.pid))
        })
    }

    /// Whether something of this process is stored whose end is not known yet.
    pub(super) fn awaits_end_of(&self, pid: i32) -> bool {
        self.items()
            .any(|item| item.pid == pid && item.end == End::Unknown)
    }

    /// A process has ended.
    pub(super) fn note_end(&mut self, pid: i32, status: i32) {
        let mut items = self.items_mut();
        if let Some(item) = items.find(|item| item.pid == pid && item.end == End::Unknown) {
            item.end = End::Untold(status);
        }
    }

    /// The process and the status of an end that the living master was not told of.
    pub(super) fn untold(&self) -> Option<(i32, i32)> {
        self.items().find_map(|item| match item.end {
            End::Untold(status) => Some((item.pid, status)),
            End::Told(_) | End::Unknown => None,
        })
    }

    /// The living master was told of this end.
    pub(super) fn tell(&mut self, pid: i32) {
        for item in self.items_mut().filter(|item| item.pid == pid) {
            if let End::Untold(status) = item.end {
                item.end = End::Told(status);
                return;
            }
        }
    }

    /// Another master begins: what the one before was told may have died with it.
    pub(super) fn untell(&mut self) {
        for item in self.items_mut() {
            if let End::Told(status) = item.end {
                item.end = End::Untold(status);
            }
        }
    }

    fn forget_if(&mut self, wanted: impl Fn(&Item) -> bool) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(&wanted) {
                *place = None;
            }
        }
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.places.iter().flatten()
    }

    fn items_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.places.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use herder_sys::fd;
    use herder_wire::keeper::MemberItem;

    use super::*;

    fn null() -> OwnedFd {
        fd::null().expect("/dev/null")
    }

    fn pidfd(life: u64) -> Key {
        Key::member(0, 0, life, MemberItem::Pidfd)
    }

    #[test]
    fn a_key_has_one_descriptor_and_is_forgotten_with_its_prefix() {
        let mut shelf = Shelf::new();
        for pid in [0, 0, 7] {
            shelf.store(pidfd(1), null(), pid).expect("room");
        }
        shelf.store(pidfd(11), null(), 8).expect("room");
        shelf.store(Key::state(), null(), 0).expect("room");
        assert_eq!(shelf.at_or_behind(0), Some((0, pidfd(1), 7)));
        shelf.forget_all(&Prefix::member(0, 0, 1));
        assert!(shelf.get(&pidfd(1)).is_none());
        assert_eq!(shelf.at_or_behind(0), Some((1, pidfd(11), 8)));
        shelf.forget(&pidfd(11));
        assert_eq!(shelf.at_or_behind(0), Some((2, Key::state(), 0)));
        assert!(shelf.at_or_behind(3).is_none());
    }

    #[test]
    fn r19_a_full_shelf_refuses_and_never_grows() {
        let (mut shelf, any) = (Shelf::new(), null());
        herder_sys::limits::raise_open_files().expect("up to the hard limit");
        let room = shelf.places.capacity();
        for number in 0..PLACES as u64 {
            let fd = fd::duplicate(any.as_fd()).expect("a descriptor");
            shelf.store(Key::node(number), fd, 0).expect("room");
        }
        let more = Key::node(PLACES as u64);
        assert_eq!(shelf.store(more, null(), 0), Err(Refusal::First));
        assert_eq!(shelf.store(more, null(), 0), Err(Refusal::Again));
        assert_eq!(shelf.store(Key::node(5), null(), 0), Ok(()));
        assert_eq!(shelf.places.capacity(), room);
        shelf.forget(&Key::node(9));
        assert_eq!(shelf.store(more, null(), 0), Ok(()));
    }

    #[test]
    fn an_end_is_told_to_each_master_until_it_is_forgotten() {
        let mut shelf = Shelf::new();
        shelf.store(pidfd(1), null(), 7).expect("room");
        assert!(shelf.awaits_end_of(7) && !shelf.awaits_end_of(8));
        shelf.note_end(8, 0);
        assert_eq!(shelf.untold(), None);
        shelf.note_end(7, 9);
        assert!(!shelf.awaits_end_of(7));
        assert_eq!(shelf.untold(), Some((7, 9)));
        shelf.tell(7);
        assert_eq!(shelf.untold(), None);
        shelf.untell();
        // Its number is another's now, and who stores it again has heard nothing.
        shelf.store(pidfd(2), null(), 7).expect("room");
        shelf.store(pidfd(1), null(), 7).expect("room");
        assert!(shelf.awaits_end_of(7));
        assert_eq!(shelf.untold(), Some((7, 9)));
        shelf.forget(&pidfd(1));
        assert_eq!(shelf.untold(), None);
    }
}
