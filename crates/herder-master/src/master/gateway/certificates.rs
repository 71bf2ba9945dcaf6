//! Certificates and keys: the master opens the files, for they may be root's alone, and the gateway, which is
//! nobody, reads them. The master itself never does, so that no key is ever in its memory: what it keeps for
//! gateways that are started while the files are broken is a copy that the kernel has made, behind a descriptor.
//!
//! The files are looked at every few seconds, on a thread of its own: a file system that does not answer
//! holds up nobody else. (Those who renew certificates write beside and rename, or turn a symbolic link two
//! directories above, which notifications about a file do not see.)

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use herder_sys::wake::Wake;
use herder_sys::{directory, fd, memory};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{CertificateFiles, MAX_FILE, MAX_REASON, Unopened, Which};
use serde::{Deserialize, Serialize};

use super::MessageError;
use super::kept::Kept;
use super::sets::{Follows, Set, Sets, Standing};
use crate::config::Certificate;

/// How often the files are looked at. They change once in weeks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The files of a proxy's certificates.
pub(super) struct Certificates {
    files: Vec<Certificate>,
    /// As they were before they were opened.
    stamps: Vec<Option<Stamp>>,
    sets: Sets<Vec<Pair>>,
    pub(super) watch: Option<Watch>,
}

/// The files of one certificate.
pub(super) type Pair = Result<Open, Unopened>;

/// What they held when they were opened: copies that nobody can change, made by the kernel.
pub(super) struct Open {
    pub(super) chain: OwnedFd,
    pub(super) key: OwnedFd,
}

/// What the next master has to know of them, beside what they held.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct CertificatesState<'a> {
    stamps: Cow<'a, [Option<Stamp>]>,
    standing: Standing,
    /// The number of the set that lies with the keeper.
    good: Option<u32>,
    next: u32,
}

impl Certificates {
    /// Opens them, as far as that goes. The first set has this number.
    pub(super) fn open(files: &[Certificate], number: u32) -> Certificates {
        Certificates {
            files: files.to_vec(),
            // Before they are opened, so that a change meanwhile is seen as one.
            stamps: stamps(files),
            sets: Sets::new(number, open_all(files)),
            watch: None,
        }
    }

    /// Opens those that another master has looked after.
    pub(super) fn reopen(
        files: &[Certificate],
        left: &CertificatesState<'_>,
        kept: &mut Kept,
    ) -> Certificates {
        let mut certificates = Certificates::open(files, left.next);
        let standing = if *certificates.stamps == *left.stamps {
            left.standing
        } else {
            Standing::Untried
        };
        let good = left.good.and_then(|number| {
            let pairs = kept.take(number, files.len())?;
            Some((number, pairs))
        });
        certificates.sets = certificates.sets.with(standing, good);
        certificates
    }

    /// For the next master.
    pub(super) fn state(&self) -> CertificatesState<'_> {
        CertificatesState {
            stamps: Cow::Borrowed(&self.stamps),
            standing: self.sets.standing(),
            good: self.good().map(|set| set.number),
            next: self.sets.next(),
        }
    }

    /// Which they are.
    pub(super) fn files(&self) -> &[Certificate] {
        &self.files
    }

    /// Whether all of them could be opened.
    pub(super) fn check(&self) -> Result<(), MessageError> {
        for (files, pair) in self.files.iter().zip(self.sets.now()) {
            if let Err(unopened) = pair {
                let path = match unopened.which {
                    Which::Chain => files.chain.clone(),
                    Which::Key => files.key.clone(),
                };
                let reason = unopened.reason.clone();
                return Err(MessageError::Unopened { path, reason });
            }
        }
        Ok(())
    }

    /// The last set with which somebody could serve, where there is anything to serve with.
    pub(super) fn good(&self) -> Option<&Set<Vec<Pair>>> {
        self.sets.good().filter(|_| !self.files.is_empty())
    }

    /// What a gateway is told that has none, each with the descriptors that go with it.
    pub(super) fn for_newcomer(&self) -> Vec<(ToGateway, Vec<OwnedFd>)> {
        self.sets
            .for_newcomer()
            .into_iter()
            .flat_map(messages)
            .collect()
    }

    /// As [`for_newcomer`](Certificates::for_newcomer), for one that serves.
    pub(super) fn for_others(&self) -> Vec<(ToGateway, Vec<OwnedFd>)> {
        messages(self.sets.for_others())
    }

    /// A gateway says what it makes of a set.
    pub(super) fn heard(&mut self, set: u32, said: Standing) -> Follows {
        self.sets.heard(set, said)
    }

    /// The number that no set had so far.
    pub(super) fn next(&self) -> u32 {
        self.sets.next()
    }

    /// Numbers that were given elsewhere are not given again.
    pub(super) fn count_from(&mut self, number: u32) {
        self.sets.count_from(number);
    }

    /// Takes what was found by who looks at the files, and says whether something was.
    pub(super) fn take_found(&mut self) -> bool {
        let Some(found) = self.watch.as_ref().and_then(Watch::take) else {
            return false;
        };
        self.stamps = found.stamps;
        self.sets.replace(found.open);
        true
    }

    /// Looks at them no more: nobody takes what would be found.
    pub(super) fn rest(&mut self) {
        self.watch = None;
    }

    /// Begins to look at them.
    pub(super) fn look_after(&self) -> io::Result<Watch> {
        let (files, known) = (self.files.clone(), self.stamps.clone());
        let (alive, ended) = mpsc::channel();
        let watch = Watch {
            found: Arc::default(),
            bell: Arc::new(Wake::new()?),
            _alive: alive,
        };
        let (found, bell) = (Arc::clone(&watch.found), Arc::clone(&watch.bell));
        thread::Builder::new()
            .name("herder-certificates".to_owned())
            .spawn(move || look(&files, known, &ended, &found, &bell))?;
        Ok(watch)
    }
}

/// What a gateway is told of a set.
fn messages(set: &Set<Vec<Pair>>) -> Vec<(ToGateway, Vec<OwnedFd>)> {
    let messages = (0..).zip(&*set.files).map(|(place, pair)| {
        let (unopened, descriptors) = match pair.as_ref().map(duplicates) {
            Ok(Ok(both)) => (None, both),
            Ok(Err(error)) => (Some(unopened(Which::Chain, &error)), Vec::new()),
            Err(unopened) => (Some(unopened.clone()), Vec::new()),
        };
        let files = CertificateFiles {
            set: set.number,
            place,
            unopened,
        };
        (ToGateway::Certificate(Box::new(files)), descriptors)
    });
    messages.collect()
}

/// What looks at the files.
pub(super) struct Watch {
    /// Those that were opened anew.
    found: Arc<Mutex<Option<Found>>>,
    /// Rings when there are some.
    pub(super) bell: Arc<Wake>,
    /// The thread ends when this is gone.
    _alive: mpsc::Sender<()>,
}

/// Files that have changed.
struct Found {
    stamps: Vec<Option<Stamp>>,
    open: Vec<Pair>,
}

impl Watch {
    fn take(&self) -> Option<Found> {
        self.bell.clear();
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.take()
    }
}

/// Opens the files whenever they have changed, until nobody wants to know.
fn look(
    files: &[Certificate],
    mut known: Vec<Option<Stamp>>,
    ended: &mpsc::Receiver<()>,
    found: &Mutex<Option<Found>>,
    bell: &Wake,
) {
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = stamps(files);
        if now != known {
            known.clone_from(&now);
            let (stamps, open) = (now, open_all(files));
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(Found { stamps, open });
            bell.wake();
        }
    }
}

/// When a file was changed last, as far as can be seen: another file under its name is a change too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Its rights count as well: they may be what was wrong.
    changed: (i64, i64),
}

/// Of all files as they are now; nothing where there is none.
fn stamps(files: &[Certificate]) -> Vec<Option<Stamp>> {
    let paths = files.iter().flat_map(|it| [&it.chain, &it.key]);
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some(Stamp {
            inode: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    };
    paths.map(stamp).collect()
}

fn open_all(files: &[Certificate]) -> Vec<Pair> {
    let open = |path: &Path, which| {
        let opened = directory::open_file(path);
        let opened = opened.map_err(|error| unopened(which, &error))?;
        // Where the kernel cannot copy, the file itself has to do: it is what it was unless somebody writes
        // into it.
        let copy = memory::copied(opened.as_fd(), MAX_FILE + 1);
        Ok(copy.unwrap_or(opened))
    };
    let pairs = files.iter().map(|it| {
        let chain = open(&it.chain, Which::Chain)?;
        let key = open(&it.key, Which::Key)?;
        Ok(Open { chain, key })
    });
    pairs.collect()
}

fn unopened(which: Which, error: &io::Error) -> Unopened {
    let mut reason = error.to_string();
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    Unopened { which, reason }
}

fn duplicates(open: &Open) -> io::Result<Vec<OwnedFd>> {
    [&open.chain, &open.key]
        .into_iter()
        .map(|it| fd::duplicate(it.as_fd()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use herder_sys::epoll::Interest;
    use herder_sys::process;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("hc-{name}-{}", process::current_pid()));
            fs::create_dir(&path).expect("ours");
            Place(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).expect("ours");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
            path
        }

        fn pair(&self) -> Certificate {
            Certificate {
                chain: self.write("it.crt", "chain"),
                key: self.write("it.key", "key"),
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _left = fs::remove_dir_all(&self.0);
        }
    }

    fn text(descriptor: OwnedFd) -> String {
        let mut text = String::new();
        let mut file = fs::File::from(descriptor);
        file.read_to_string(&mut text).expect("it is open");
        text
    }

    #[test]
    fn a_gateway_gets_the_chain_and_the_key_that_only_we_may_read() {
        let place = Place::new("both");
        let certificates = Certificates::open(&[place.pair()], 1);
        assert!(certificates.check().is_ok());
        let mut messages = certificates.for_newcomer();
        let (message, mut descriptors) = messages.remove(0);
        assert!(messages.is_empty());
        let files = CertificateFiles {
            set: 1,
            place: 0,
            unopened: None,
        };
        assert_eq!(message, ToGateway::Certificate(Box::new(files)));
        let key = descriptors.pop().expect("the key");
        let chain = descriptors.pop().expect("the chain");
        assert_eq!((text(chain).as_str(), text(key).as_str()), ("chain", "key"));
    }

    #[test]
    fn what_cannot_be_opened_is_named_and_nobody_waits_for_a_pipe() {
        let place = Place::new("none");
        let pair = place.pair();
        fs::remove_file(&pair.key).expect("ours");
        let certificates = Certificates::open(std::slice::from_ref(&pair), 1);
        let said = certificates
            .check()
            .expect_err("there is no key")
            .to_string();
        assert!(
            said.contains("it.key: cannot be opened: No such file"),
            "{said}"
        );
        let (message, descriptors) = certificates.for_newcomer().remove(0);
        let ToGateway::Certificate(files) = message else {
            panic!("{message:?}");
        };
        let which = files.unopened.map(|it| it.which);
        assert_eq!((which, descriptors.len()), (Some(Which::Key), 0));

        fs::create_dir(&pair.key).expect("ours");
        let said = Certificates::open(&[pair], 1)
            .check()
            .expect_err("a directory");
        assert!(said.to_string().contains("it is no file"), "{said}");
    }

    #[test]
    fn every_change_of_a_file_is_seen() {
        let place = Place::new("stamps");
        let pair = [place.pair()];
        let mut seen = vec![stamps(&pair)];
        let mut changed = || {
            let now = stamps(&pair);
            assert!(!seen.contains(&now), "{now:?}");
            seen.push(now);
        };
        place.write("new", "chain");
        fs::rename(place.0.join("new"), &pair[0].chain).expect("ours");
        changed();
        fs::remove_file(&pair[0].key).expect("ours");
        changed();
        place.write("it.key", "another key");
        changed();
    }

    #[test]
    fn who_looks_after_the_files_opens_new_ones_and_ends_when_nobody_wants_them() {
        let place = Place::new("watch");
        let pair = place.pair();
        let certificates = Certificates::open(std::slice::from_ref(&pair), 1);
        let watch = certificates.look_after().expect("a thread");
        place.write("new", "renewed");
        fs::rename(place.0.join("new"), &pair.chain).expect("ours");
        let epoll = herder_sys::epoll::Epoll::new().expect("an epoll");
        let bell = watch.bell.as_fd();
        epoll.add(bell, 1, Interest::READABLE).expect("a bell");
        let mut events = herder_sys::epoll::Events::with_capacity(1);
        epoll
            .wait(&mut events, Some(Duration::from_secs(60)))
            .expect("it rings");
        let mut found = watch.take().expect("new files");
        let open = found.open.remove(0).expect("both are there");
        assert_eq!(text(open.chain), "renewed");
        let thread = Arc::downgrade(&watch.found);
        drop(watch);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while thread.strong_count() > 0 {
            assert!(std::time::Instant::now() < deadline, "the thread lives on");
            thread::yield_now();
        }
    }
}
