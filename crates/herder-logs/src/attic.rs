//! What becomes of files that were put away: they are compressed, by a thread that runs only when nobody
//! else wants to, and the oldest are removed.
//!
//! Everything that is to be done is seen from the names in the directory, so whatever a process that
//! was killed has left undone, the next one does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use herder_sys::lock::{Lock, lock};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat, unlinkat};

use crate::name::{self, Packing, PutAway};
use crate::place::{Missing, Place, open_plain};
use crate::settings::{Compression, Rotation};

/// How long a file that somebody still writes to is waited for, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(200);

const BLOCK: usize = 64 * 1024;
const UNFINISHED: &[u8] = b".unfinished";

/// Where the files of one herd that were put away are looked after. Clones are the same attic.
#[derive(Clone, Debug)]
pub struct Attic(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rotation: Rotation,
    families: Vec<Family>,
    state: Mutex<State>,
    rested: Condvar,
}

#[derive(Default, Debug)]
struct State {
    asked: bool,
    running: bool,
}

/// Files that one setting stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Family {
    /// The path as it is set.
    pub path: PathBuf,
    /// Whether it stands for the files of each process.
    pub each: Each,
}

/// Whether each process has its own file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Each {
    /// All have one.
    Shares,
    /// `-SLOT` stands before the extension.
    HasItsOwn,
}

impl Family {
    /// Whether a file of that name is written for this setting.
    pub(crate) fn has(&self, name: &OsStr) -> bool {
        let Some(base) = self.path.file_name() else {
            return false;
        };
        match self.each {
            Each::Shares => base == name,
            Each::HasItsOwn => name::owner(base, name).is_some(),
        }
    }
}

/// A file in the attic.
struct Old {
    name: OsString,
    base: OsString,
    when: PutAway,
    packing: Packing,
    size: u64,
}

impl Attic {
    /// For these files.
    #[must_use]
    pub fn new(rotation: Rotation, families: Vec<Family>) -> Attic {
        Attic(Arc::new(Shared {
            rotation,
            families,
            state: Mutex::default(),
            rested: Condvar::new(),
        }))
    }

    pub(crate) fn rotation(&self) -> &Rotation {
        &self.0.rotation
    }

    /// Removes what is too much, now, and has the rest compressed. What fails is tried again at the
    /// next time.
    pub(crate) fn tidy(&self) {
        self.0.prune();
        if self.0.rotation.compression == Compression::None {
            return;
        }
        let mut state = self.0.lock();
        state.asked = true;
        if state.running {
            return;
        }
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("herder-attic".to_owned());
        state.running = thread.spawn(move || shared.run()).is_ok();
    }

    /// Waits until nothing is being compressed; whether that was so within `timeout`.
    #[must_use]
    pub fn settle(&self, timeout: Duration) -> bool {
        let state = self.0.lock();
        let busy = |state: &mut State| state.running;
        let waited = self.0.rested.wait_timeout_while(state, timeout, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).0.running
    }
}

impl Shared {
    /// Nothing panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        // Where it is not allowed, it competes with the others.
        let _not_allowed = herder_sys::sched::idle_this_thread();
        loop {
            self.lock().asked = false;
            self.compress_all();
            self.prune();
            let mut state = self.lock();
            if !state.asked {
                state.running = false;
                self.rested.notify_all();
                return;
            }
        }
    }

    /// The files of a family that were put away, and what those that are written have in all.
    fn look(&self, family: &Family) -> io::Result<(Place, Vec<Old>, u64)> {
        let place = Place::find(&family.path, Missing::Fails).map_err(io::Error::other)?;
        let (mut old, mut live) = (Vec::new(), 0);
        for name in list(place.directory())? {
            let size = || size(place.directory(), &name);
            if family.has(&name) {
                live += size();
            } else if let Some((base, when, packing)) = name::parse(&name)
                && family.has(&base)
            {
                let size = size();
                old.push(Old {
                    name,
                    base,
                    when,
                    packing,
                    size,
                });
            }
        }
        old.sort_by(|one, other| (&one.when, &one.name).cmp(&(&other.when, &other.name)));
        Ok((place, old, live))
    }

    /// Removes what is beyond the number to be kept, and the oldest while all are too large together.
    fn prune(&self) {
        let mut left: Vec<(Arc<Place>, Old)> = Vec::new();
        let mut total = 0;
        let keep = usize::try_from(self.rotation.keep).unwrap_or(usize::MAX);
        for family in &self.families {
            let Ok((place, old, live)) = self.look(family) else {
                continue;
            };
            let place = Arc::new(place);
            total += live;
            let mut of_base: BTreeMap<OsString, Vec<Old>> = BTreeMap::new();
            for old in old {
                of_base.entry(old.base.clone()).or_default().push(old);
            }
            for mut old in of_base.into_values() {
                // Plain and compressed are one, while it is being done.
                let moments: BTreeSet<PutAway> = old.iter().map(|it| it.when.clone()).collect();
                let surplus = moments.len().saturating_sub(keep);
                let first = moments.into_iter().nth(surplus);
                let is_kept = |it: &Old| first.as_ref().is_some_and(|first| it.when >= *first);
                for gone in old.extract_if(.., |it| !is_kept(it)) {
                    remove(place.directory(), &gone.name);
                }
                total += old.iter().map(|it| it.size).sum::<u64>();
                left.extend(old.into_iter().map(|it| (Arc::clone(&place), it)));
            }
        }
        if self.rotation.total == 0 {
            return;
        }
        left.sort_by(|(_, one), (_, other)| one.when.cmp(&other.when));
        for (place, old) in left {
            if total <= self.rotation.total {
                return;
            }
            remove(place.directory(), &old.name);
            total = total.saturating_sub(old.size);
        }
    }

    fn compress_all(&self) {
        let begin = Instant::now();
        loop {
            let mut busy = false;
            for family in &self.families {
                let Ok((place, old, _)) = self.look(family) else {
                    continue;
                };
                remove_unfinished(family, &place);
                for old in old.iter().filter(|it| it.packing == Packing::Plain) {
                    match compress(place.directory(), &old.name) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => busy = true,
                        // A full disk, for instance: it stays as it is until the next time.
                        Ok(()) | Err(_) => {}
                    }
                }
            }
            // Somebody else may not know yet that the file was put away.
            if !busy || begin.elapsed() > PATIENCE {
                return;
            }
            thread::sleep(GLANCE);
        }
    }
}

pub(crate) fn list(directory: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = openat(directory, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(open)? {
        names.push(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned());
    }
    Ok(names)
}

fn size(directory: BorrowedFd<'_>, name: &OsStr) -> u64 {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .ok()
        .and_then(|found| u64::try_from(found.st_size).ok())
        .unwrap_or(0)
}

fn remove(directory: BorrowedFd<'_>, name: &OsStr) {
    // What is not there need not go; what cannot go is tried again at the next time.
    let _gone = unlinkat(directory, name, AtFlags::empty());
}

/// Removes what a process has left that was killed while it compressed: whoever does it now has a lock
/// on the file that is compressed.
fn remove_unfinished(family: &Family, place: &Place) {
    for name in list(place.directory()).unwrap_or_default() {
        let Some(finished) = name.as_bytes().strip_suffix(UNFINISHED) else {
            continue;
        };
        let Some((base, ..)) = name::parse(OsStr::from_bytes(finished)) else {
            continue;
        };
        let plain = finished.strip_suffix(b".gz").map(OsStr::from_bytes);
        let Some(plain) = plain.filter(|_| family.has(&base)) else {
            continue;
        };
        let source = open_plain(place.directory(), plain, OFlags::RDWR);
        match source {
            Ok((file, _)) if lock(file.as_fd(), Lock::Alone).is_err() => {}
            Ok(_) | Err(_) => remove(place.directory(), &name),
        }
    }
}

/// Compresses a file, and removes it.
///
/// # Errors
///
/// `WouldBlock` when somebody still writes to it.
fn compress(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let (source, _) = open_plain(directory, name, OFlags::RDWR).map_err(io::Error::other)?;
    lock(source.as_fd(), Lock::Alone)?;
    let finished = name::compressed(name);
    let mut unfinished = finished.clone();
    unfinished.push(OsStr::from_bytes(UNFINISHED));
    remove(directory, &unfinished);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let target = openat(directory, &unfinished, flags, Mode::from_raw_mode(0o640))?;
    let written = pack(source, File::from(target));
    let placed = written.and_then(|()| {
        Ok(rustix::fs::renameat(
            directory,
            &unfinished,
            directory,
            &finished,
        )?)
    });
    match placed {
        Ok(()) => remove(directory, name),
        Err(_) => remove(directory, &unfinished),
    }
    placed
}

fn pack(mut source: File, target: File) -> io::Result<()> {
    let mut packer = GzEncoder::new(target, flate2::Compression::default());
    let mut block = vec![0; BLOCK];
    loop {
        let length = source.read(&mut block)?;
        if length == 0 {
            return packer.finish()?.sync_all();
        }
        packer.write_all(&block[..length])?;
    }
}
