//! The service manager, if the herd has one: it hears what the master has to say, holds the listeners
//! so that they outlive the keeper, and hears that the herd lives.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use herder_sys::fd;
use herder_sys::manager::Voice;
use herder_wire::keeper::{Key, Prefix};

use super::complain;
use super::shelf::Shelf;

/// What the keeper has to do with the service manager.
#[derive(Default)]
pub(super) struct Service {
    voice: Voice,
}

impl Service {
    /// Takes what the service manager has given. What it holds for the herd goes onto the shelf.
    pub(super) fn take(shelf: &mut Shelf) -> Service {
        match Voice::take() {
            Ok((voice, descriptors)) => {
                unpack(descriptors, shelf);
                Service { voice }
            }
            Err(error) => {
                complain(&format!(
                    "what the service manager gave is not used: {error}"
                ));
                Service::default()
            }
        }
    }

    /// Passes on what the master has to say.
    pub(super) fn pass_on(&mut self, text: String) {
        report(self.voice.say(text));
    }

    /// The herd ends.
    pub(super) fn announce_end(&mut self) {
        self.tell("STOPPING=1".to_owned(), None);
    }

    /// Something is about to be stored in place of `before`: if it is a listener, the manager gets it too.
    pub(super) fn give(&mut self, key: &Key, fd: BorrowedFd<'_>, before: Option<BorrowedFd<'_>>) {
        if !self.voice.is_heard() || key.as_listener().is_none() {
            return;
        }
        // It would keep both.
        if before.is_some_and(|before| !fd::is_same_file(before, fd).unwrap_or(false)) {
            self.take_back(key);
        }
        match fd::duplicate(fd) {
            Ok(fd) => self.tell(format!("FDSTORE=1\nFDNAME={key}"), Some(fd)),
            Err(error) => {
                complain(&format!("the service manager does not get {key}: {error}"));
            }
        }
    }

    /// The master forgets something.
    pub(super) fn forget(&mut self, key: &Key, shelf: &Shelf) {
        if key.as_listener().is_some() && shelf.get(key).is_some() {
            self.take_back(key);
        }
    }

    /// The master forgets everything that begins so.
    pub(super) fn forget_all(&mut self, prefix: &Prefix, shelf: &Shelf) {
        let mut from = 0;
        while let Some((place, key, _)) = shelf.at_or_behind(from) {
            if key.as_listener().is_some() && key.is_under(prefix) {
                self.take_back(&key);
            }
            from = place + 1;
        }
    }

    fn take_back(&mut self, key: &Key) {
        self.tell(format!("FDSTOREREMOVE=1\nFDNAME={key}"), None);
    }

    /// When there is something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.voice.deadline()
    }

    /// Says that the herd lives, when it is time.
    pub(super) fn beat(&mut self, now: Instant) {
        self.voice.beat(now);
    }

    /// Nobody can say now that the herd lives.
    pub(super) fn skip_beat(&mut self, now: Instant) {
        self.voice.skip_beat(now);
    }

    /// Says again what the manager did not take, when it is time.
    pub(super) fn retry(&mut self, now: Instant) {
        report(self.voice.retry(now));
    }

    fn tell(&mut self, text: String, fd: Option<OwnedFd>) {
        report(self.voice.tell(text, fd));
    }
}

fn report(told: io::Result<()>) {
    if let Err(error) = told {
        complain(&format!("the service manager cannot be told: {error}"));
    }
}

/// Puts what the manager holds onto the shelf: what the herd once gave it under the name that it had, and
/// listeners that others made in the places that are left, in their order.
fn unpack(descriptors: Vec<(String, OwnedFd)>, shelf: &mut Shelf) {
    let own = |name: &str| Key::parse(name).filter(|key| key.as_listener().is_some());
    let (known, foreign): (Vec<_>, Vec<_>) = descriptors
        .into_iter()
        .partition(|(name, _)| own(name).is_some());
    for (name, fd) in known {
        if let Some(key) = own(&name) {
            put(shelf, key, fd);
        }
    }
    let mut place = 0;
    for (_, fd) in foreign {
        // The herd had it before, and gave it back under its own name.
        if holds(shelf, &fd) {
            continue;
        }
        while shelf.get(&Key::listener(place)).is_some() {
            place += 1;
        }
        put(shelf, Key::listener(place), fd);
    }
}

fn put(shelf: &mut Shelf, key: Key, fd: OwnedFd) {
    if shelf.store(key, fd, 0).is_err() {
        complain(&format!("{key} has no place"));
    }
}

fn holds(shelf: &Shelf, fd: &OwnedFd) -> bool {
    let mut from = 0;
    while let Some((place, key, _)) = shelf.at_or_behind(from) {
        let held = shelf.get(&key);
        if held.is_some_and(|held| fd::is_same_file(held, fd.as_fd()).unwrap_or(false)) {
            return true;
        }
        from = place + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use herder_sys::socket;

    use super::*;

    fn socket() -> OwnedFd {
        socket::stream_pair().expect("a pair").0
    }

    fn is(shelf: &Shelf, place: u32, fd: &OwnedFd) -> bool {
        let found = shelf.get(&Key::listener(place)).expect("it lies there");
        fd::is_same_file(found, fd.as_fd()).expect("both are open")
    }

    #[test]
    fn r29_listeners_come_back_to_their_places_and_new_ones_get_the_rest() {
        let [web, api, old, new] = [socket(), socket(), socket(), socket()];
        let copy = |fd: &OwnedFd| fd::duplicate(fd.as_fd()).expect("a descriptor");
        let mut shelf = Shelf::new();
        let given = [
            ("web.socket", &web),
            ("unknown", &new),
            ("herd.listener.2", &api),
            ("herd.listener.0", &web),
            ("herd.state", &old),
        ];
        let given = given.map(|(name, fd)| (name.to_owned(), copy(fd)));
        unpack(Vec::from(given), &mut shelf);
        assert!(is(&shelf, 0, &web) && is(&shelf, 1, &new));
        assert!(is(&shelf, 2, &api) && is(&shelf, 3, &old));
        assert!(shelf.get(&Key::state()).is_none());
    }
}
