//! One log file that is written, and put away when it is time.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use herder_sys::lock::{Lock, lock};
use herder_sys::pipe;
use rustix::fs::{AtFlags, RenameFlags, renameat_with, statat};
use rustix::io::Errno;

use crate::attic::Attic;
use crate::name;
use crate::place::{LogError, Missing, Place};
use crate::settings::Rotation;

/// How often it is looked whether the name still leads to the file: somebody may have renamed it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After a file could not be put away, it is not tried again for so long.
const RETRY: Duration = Duration::from_secs(10);

/// How long a file that another herd moves bytes into is waited for.
const SHARE: Duration = Duration::from_secs(1);

/// How many files of one name may be put away within a second.
const NUMBERS: u32 = 10_000;

/// A log file. Several writers, in several processes, may share it: nothing is written over.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    attic: Attic,
    /// `None` = it could not be opened; each write tries again.
    open: Option<Open>,
    /// When the last file was put away, and the next number of that second: a name that was used is not
    /// used again, though it may be free.
    last_away: (String, u32),
}

#[derive(Debug)]
struct Open {
    place: Place,
    file: File,
    /// The same file, for what does not work with files that are open for appending.
    plain: Option<File>,
    identity: (u64, u64),
    /// When it is to be put away because of its age.
    expires: Option<Instant>,
    looked: Instant,
    not_before: Option<Instant>,
}

/// Bytes that were moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Where they stand in the file.
    pub at: u64,
    /// How many; 0 = the pipe has ended.
    pub length: usize,
}

impl Writer {
    /// Opens (or makes) the file, and has the attic look after what earlier processes have left.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is nothing that may be written to.
    pub fn open(path: &Path, attic: &Attic) -> Result<Writer, LogError> {
        let mut writer = Writer::closed(path, attic);
        writer.reopen()?;
        Ok(writer)
    }

    /// Sees whether a file can be opened, or made.
    ///
    /// # Errors
    ///
    /// As those of [`open`](Writer::open).
    pub fn check(path: &Path) -> Result<(), LogError> {
        Writer::open(path, &Attic::new(Rotation::default(), Vec::new())).map(drop)
    }

    /// A writer whose file is opened when something is written.
    #[must_use]
    pub fn closed(path: &Path, attic: &Attic) -> Writer {
        Writer {
            path: path.to_owned(),
            attic: attic.clone(),
            open: None,
            last_away: (String::new(), 0),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file of that name again: another one, if somebody has renamed it.
    ///
    /// # Errors
    ///
    /// As those of [`open`](Writer::open). The file that was open is written on.
    pub fn reopen(&mut self) -> Result<(), LogError> {
        let place = Place::find(&self.path, Missing::IsMade)?;
        self.open = Some(self.prepare(place)?);
        Ok(())
    }

    fn prepare(&self, place: Place) -> Result<Open, LogError> {
        let file = place.append()?;
        share(&file);
        let found = file.metadata().map_err(|error| place.refused(error))?;
        let now = Instant::now();
        let age = self.attic.rotation().age;
        let expires = (!age.is_zero()).then(|| {
            let born = found.created().or_else(|_| found.modified());
            let old = born
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            now + age.saturating_sub(old.unwrap_or_default())
        });
        Ok(Open {
            identity: (found.dev(), found.ino()),
            place,
            file,
            plain: None,
            expires,
            looked: now,
            not_before: None,
        })
    }

    /// Empties the file.
    ///
    /// # Errors
    ///
    /// What `ftruncate` answers.
    pub fn empty(&mut self) -> io::Result<()> {
        self.opened()?.file.set_len(0)
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        if self.open.is_none() {
            self.reopen().map_err(io::Error::other)?;
        }
        Ok(self.open.as_mut().expect("it was just opened"))
    }

    /// When the file is due for its age.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        let open = self.open.as_ref()?;
        open.expires
            .map(|at| open.not_before.map_or(at, |it| at.max(it)))
    }

    /// Whether it is time to put the file away; by how many bytes it is too large. A file that was
    /// renamed or removed by somebody is left alone: a new one is opened.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        let rotation = self.attic.rotation().clone();
        let open = self.open.as_mut()?;
        let found = open.file.metadata().ok()?;
        if found.nlink() == 0 || open.was_renamed(now) {
            // If that fails, what is open is written on.
            let _failed = self.reopen();
            return None;
        }
        if found.len() == 0 {
            open.expires = (!rotation.age.is_zero()).then(|| now + rotation.age);
            return None;
        }
        if open.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let large = rotation.size > 0 && found.len() >= rotation.size;
        let old = open.expires.is_some_and(|at| now >= at);
        (large || old).then(|| found.len().saturating_sub(rotation.size))
    }

    /// Puts the file away and begins another.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed, or no other one can be made: then all is as it was, and it is not
    /// due for a while.
    pub fn put_away(&mut self, now: Instant) -> Result<(), LogError> {
        let Some(mut open) = self.open.take() else {
            return self.reopen();
        };
        if open.is_elsewhere() {
            // Another herd that shares it was faster.
            self.open = Some(open);
            return self.reopen();
        }
        let replaced = self.replace(&open);
        match replaced {
            Ok(next) => {
                self.open = Some(next);
                // Its lock goes with it, so that it can be compressed.
                drop(open);
                self.attic.tidy();
                Ok(())
            }
            Err(error) => {
                open.not_before = Some(now + RETRY);
                self.open = Some(open);
                Err(error)
            }
        }
    }

    fn replace(&mut self, open: &Open) -> Result<Open, LogError> {
        let place = &open.place;
        let stamp = name::stamp(jiff::Timestamp::now());
        let mut number = match &self.last_away {
            (last, next) if *last == stamp => *next,
            _ => 0,
        };
        let away = loop {
            let away = name::put_away(&place.name, &stamp, number);
            let gz = name::compressed(&away);
            let taken = statat(&place.directory, &gz, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            let rename = |from, to| rename_new(place.directory(), from, to);
            match if taken {
                Err(Errno::EXIST)
            } else {
                rename(&place.name, &away)
            } {
                Ok(()) => break away,
                Err(Errno::EXIST) if number < NUMBERS => number += 1,
                Err(error) => return Err(place.refused(error)),
            }
        };
        let next = Place::find(&self.path, Missing::IsMade).and_then(|place| self.prepare(place));
        self.last_away = (stamp, number + 1);
        if next.is_err() {
            // It is written on, so it had better have its name.
            let _lost = rename_new(place.directory(), &away, &place.name);
        }
        next
    }

    /// Moves up to `length` bytes from a pipe to the end of the file, within the kernel. `None` =
    /// that is not possible here: copy them.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the pipe is empty; what writing answers: then nothing was moved.
    pub fn splice(&mut self, pipe: BorrowedFd<'_>, length: usize) -> io::Result<Option<Moved>> {
        let open = self.opened()?;
        // Between asking for the end and writing there, nobody else may write.
        if lock(open.file.as_fd(), Lock::Alone).is_err() {
            return Ok(None);
        }
        let moved = open.splice(pipe, length);
        share(&open.file);
        match moved {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(None),
            moved => moved,
        }
    }

    /// Whether the file ends with a whole line. An empty one does.
    ///
    /// # Errors
    ///
    /// What reading answers.
    pub fn ends_whole(&mut self) -> io::Result<bool> {
        let file = &self.opened()?.file;
        let Some(last) = file.metadata()?.len().checked_sub(1) else {
            return Ok(true);
        };
        let mut byte = [0];
        Ok(file.read_at(&mut byte, last)? == 0 || byte == *b"\n")
    }

    /// Reads what was moved, as far as it is still there.
    #[must_use]
    pub fn read_back(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self
            .open
            .as_ref()
            .and_then(|open| open.file.read_at(&mut bytes, at).ok());
        bytes.truncate(read.unwrap_or(0));
        bytes
    }
}

impl Open {
    fn was_renamed(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.looked) < LOOK_EVERY {
            return false;
        }
        self.looked = now;
        self.is_elsewhere()
    }

    fn is_elsewhere(&self) -> bool {
        let place = &self.place;
        match statat(&place.directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => (found.st_dev, found.st_ino) != self.identity,
            Err(Errno::NOENT) => true,
            Err(_) => false,
        }
    }

    fn splice(&mut self, pipe: BorrowedFd<'_>, length: usize) -> io::Result<Option<Moved>> {
        if self.plain.is_none() {
            match self.place.rewrite() {
                Ok((file, found)) if (found.st_dev, found.st_ino) == self.identity => {
                    self.plain = Some(file);
                }
                // Another one has its name now, or none.
                Ok(_) | Err(_) => return Ok(None),
            }
        }
        let Some(plain) = &self.plain else {
            return Ok(None);
        };
        let at = plain.metadata()?.len();
        let length = pipe::splice_to_file(pipe, plain.as_fd(), at, length)?;
        Ok(Some(Moved { at, length }))
    }
}

impl Write for Writer {
    /// Writes at the end of the file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.opened()?.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A [`Writer`] that puts its file away by itself: each write begins with a line.
#[derive(Debug)]
pub struct LineWriter(pub Writer);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let now = Instant::now();
        if self.0.due(now).is_some() {
            // It grows on, and is tried again.
            let _failed = self.0.put_away(now);
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets others write too. While another herd moves bytes into the file, that takes a moment; where files
/// have no locks, nobody moves bytes.
fn share(file: &File) {
    let begin = Instant::now();
    while let Err(error) = lock(file.as_fd(), Lock::Shared)
        && error.kind() == io::ErrorKind::WouldBlock
        && begin.elapsed() < SHARE
    {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Renames to a name that nobody has.
fn rename_new(
    directory: BorrowedFd<'_>,
    from: &std::ffi::OsStr,
    to: &std::ffi::OsStr,
) -> rustix::io::Result<()> {
    match renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
        // A file system that cannot do it in one step.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if statat(directory, to, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Err(Errno::EXIST);
            }
            rustix::fs::renameat(directory, from, directory, to)
        }
        done => done,
    }
}
