//! Certificates and keys: the master opens the files, for they may be root's alone, and the gateway, which is
//! nobody, reads them. The master itself never does, so that no key is ever in its memory.
//!
//! The files are looked at every few seconds, on a thread of its own: a file system that does not answer
//! holds up nobody else. (Those who renew certificates write beside and rename, or turn a symbolic link two
//! directories above, which notifications about a file do not see.)

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use herder_sys::epoll::Interest;
use herder_sys::wake::Wake;
use herder_sys::{directory, fd};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{CertificateFiles, MAX_REASON, Unopened, Which};

use super::MessageError;
use crate::config::Certificate;
use crate::event::HerdEvent;
use crate::master::Master;
use crate::master::crew::MemberId;
use crate::master::delivery::Delivery;
use crate::master::token::Source as Token;

/// How often the files are looked at. They change once in weeks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The files of a proxy's certificates.
pub(super) struct Certificates {
    files: Vec<Certificate>,
    /// As they were before they were opened.
    stamps: Vec<Option<Stamp>>,
    /// How often they were opened.
    set: u32,
    open: Vec<Pair>,
    watch: Option<Watch>,
}

/// The files of one certificate.
type Pair = Result<Open, Unopened>;

struct Open {
    chain: OwnedFd,
    key: OwnedFd,
}

impl Certificates {
    /// Opens them, as far as that goes.
    pub(super) fn open(files: &[Certificate]) -> Certificates {
        Certificates {
            files: files.to_vec(),
            // Before they are opened, so that a change meanwhile is seen as one.
            stamps: stamps(files),
            set: 1,
            open: open_all(files),
            watch: None,
        }
    }

    /// Which they are.
    pub(super) fn files(&self) -> &[Certificate] {
        &self.files
    }

    /// Whether all of them could be opened.
    pub(super) fn check(&self) -> Result<(), MessageError> {
        for (files, pair) in self.files.iter().zip(&self.open) {
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

    /// What a gateway is told, each with the descriptors that go with it.
    fn messages(&self) -> Vec<(ToGateway, Vec<OwnedFd>)> {
        let messages = (0..).zip(&self.open).map(|(place, pair)| {
            let (unopened, descriptors) = match pair.as_ref().map(duplicates) {
                Ok(Ok(both)) => (None, both),
                Ok(Err(error)) => (Some(unopened(Which::Chain, &error)), Vec::new()),
                Err(unopened) => (Some(unopened.clone()), Vec::new()),
            };
            let files = CertificateFiles {
                set: self.set,
                place,
                unopened,
            };
            (ToGateway::Certificate(Box::new(files)), descriptors)
        });
        messages.collect()
    }

    /// Looks at them no more: nobody takes what would be found.
    pub(super) fn rest(&mut self) {
        self.watch = None;
    }

    /// Begins to look at them.
    fn watch(&self) -> io::Result<Watch> {
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

/// What looks at the files.
struct Watch {
    /// Those that were opened anew.
    found: Arc<Mutex<Option<Vec<Pair>>>>,
    /// Rings when there are some.
    bell: Arc<Wake>,
    /// The thread ends when this is gone.
    _alive: mpsc::Sender<()>,
}

impl Watch {
    fn take(&self) -> Option<Vec<Pair>> {
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
    found: &Mutex<Option<Vec<Pair>>>,
    bell: &Wake,
) {
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = stamps(files);
        if now != known {
            known = now;
            let open = open_all(files);
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
            bell.wake();
        }
    }
}

/// When a file was changed last, as far as can be seen: another file under its name is a change too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
        opened.map_err(|error| unopened(which, &error))
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

impl Master {
    /// Has a gateway read the certificates, and sees to it that it hears of others.
    pub(super) fn show_certificates(&mut self, gateway: MemberId) {
        let Delivery::Gateway(reception) = &self.delivery else {
            return;
        };
        if !self.is_up_to_date(gateway) {
            return;
        }
        let messages = reception.settings.certificates.messages();
        if messages.is_empty() {
            return;
        }
        for (message, descriptors) in messages {
            self.say_with(gateway, &message, descriptors);
        }
        self.watch_certificates();
    }

    /// Sees to it that changes of the files are seen.
    pub(super) fn watch_certificates(&mut self) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let certificates = &mut reception.settings.certificates;
        if certificates.files.is_empty() || certificates.watch.is_some() {
            return;
        }
        let begun = certificates.watch().and_then(|watch| {
            let token = Token::Certificates.token();
            self.epoll
                .add(watch.bell.as_fd(), token, Interest::READABLE)?;
            Ok(watch)
        });
        match begun {
            Ok(watch) => certificates.watch = Some(watch),
            Err(error) => {
                let text = format!("nobody sees when certificates change: {error}");
                self.tell(HerdEvent::Warning { text });
            }
        }
    }

    /// They have changed.
    pub(in crate::master) fn on_certificates(&mut self) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let certificates = &mut reception.settings.certificates;
        let Some(open) = certificates.watch.as_ref().and_then(Watch::take) else {
            return;
        };
        certificates.open = open;
        certificates.set = certificates.set.wrapping_add(1);
        for gateway in self.gateways() {
            // By other settings they are others.
            if self.is_up_to_date(gateway) {
                self.show_certificates(gateway);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

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
        let certificates = Certificates::open(&[place.pair()]);
        assert!(certificates.check().is_ok());
        let mut messages = certificates.messages();
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
        let certificates = Certificates::open(std::slice::from_ref(&pair));
        let said = certificates
            .check()
            .expect_err("there is no key")
            .to_string();
        assert!(
            said.contains("it.key: cannot be opened: No such file"),
            "{said}"
        );
        let (message, descriptors) = certificates.messages().remove(0);
        let ToGateway::Certificate(files) = message else {
            panic!("{message:?}");
        };
        let which = files.unopened.map(|it| it.which);
        assert_eq!((which, descriptors.len()), (Some(Which::Key), 0));

        fs::create_dir(&pair.key).expect("ours");
        let said = Certificates::open(&[pair])
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
        let certificates = Certificates::open(std::slice::from_ref(&pair));
        let watch = certificates.watch().expect("a thread");
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
        let open = found.remove(0).expect("both are there");
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
