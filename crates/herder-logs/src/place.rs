//! Where a log file stands: its directory, held open, and its name in it.
//!
//! Whoever may write to that directory, or to one above it, could put something else in the file's
//! place: a symbolic link to a file of ours, a pipe that nobody reads. So a name is never followed: the
//! directory is found step by step, over symbolic links of root and of ourselves only, and what is
//! opened in it has to be a plain file of ours, with no other name.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawMode, Stat, fstat, openat, statat};
use rustix::io::Errno;

/// The permissions of a directory that is made, and of a file.
const DIRECTORY_MODE: RawMode = 0o750;
const FILE_MODE: RawMode = 0o640;

/// How many symbolic links a path may go through, as the kernel has it.
const LINKS: usize = 40;

/// Why a log file is not opened.
#[derive(Debug, thiserror::Error)]
#[error("the log file {path} cannot be opened: {problem}", path = path.display())]
pub struct LogError {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub problem: Refusal,
}

/// What is wrong with a log file.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file belongs to somebody who could read what is written, or change it.
    #[error("it belongs to user {0}, and would have to be ours or root's")]
    Foreign(u32),
    /// A symbolic link on the way belongs to somebody who could let it lead elsewhere.
    #[error("{path} is a symbolic link of user {owner}, who could let it lead elsewhere", path = .0.display(), owner = .1)]
    ForeignLink(PathBuf, u32),
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file has more than one name.
    #[error("it has other names as well (hard links), so it could be any file")]
    Linked,
    /// It is a directory, a pipe, a socket or a device.
    #[error("it is {0}, no plain file")]
    NotAFile(&'static str),
    /// It is a symbolic link.
    #[error("it is a symbolic link: name the file itself")]
    SymbolicLink,
    /// Everybody may write to the directory.
    #[error("everybody may write to its directory: chmod o-w {path}", path = .0.display())]
    Writable(PathBuf),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Refusal {
        Refusal::Io(error.into())
    }
}

impl Refusal {
    /// Whether the file is just not there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Refusal::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// What becomes of directories that are not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    Fails,
    IsMade,
}

/// A directory, held open, and a name in it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) name: OsString,
    pub(crate) path: PathBuf,
}

impl Place {
    /// Finds the directory of an absolute path.
    pub(crate) fn find(path: &Path, missing: Missing) -> Result<Place, LogError> {
        Place::seek(path, missing).map_err(|problem| LogError {
            path: path.to_owned(),
            problem,
        })
    }

    fn seek(path: &Path, missing: Missing) -> Result<Place, Refusal> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        };
        let directory = walk(parent, missing)?;
        let found = fstat(&directory)?;
        let (everybody, sticky) = (found.st_mode & 0o002 != 0, found.st_mode & 0o1000 != 0);
        if everybody && !sticky {
            return Err(Refusal::Writable(parent.to_owned()));
        }
        Ok(Place {
            directory,
            name: name.to_owned(),
            path: path.to_owned(),
        })
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens the file for reading and appending; it is made when it is not there.
    pub(crate) fn append(&self) -> Result<File, LogError> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let file = open_plain(self.directory(), &self.name, flags);
        file.map(|(file, _)| file).map_err(|it| self.refused(it))
    }

    /// Opens the same file once more, for writing at a place.
    pub(crate) fn rewrite(&self) -> Result<(File, Stat), LogError> {
        let file = open_plain(self.directory(), &self.name, OFlags::WRONLY);
        file.map_err(|it| self.refused(it))
    }

    pub(crate) fn refused(&self, problem: impl Into<Refusal>) -> LogError {
        LogError {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }
}

/// Opens a plain file of ours (or root's) that has no other name.
pub(crate) fn open_plain(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
) -> Result<(File, Stat), Refusal> {
    // To open a device may do something; so it is looked at first.
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => check(&found)?,
        Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::from_raw_mode(FILE_MODE)) {
        Err(Errno::LOOP) => return Err(Refusal::SymbolicLink),
        file => file?,
    };
    let found = fstat(&file)?;
    check(&found)?;
    Ok((File::from(file), found))
}

fn check(found: &Stat) -> Result<(), Refusal> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Refusal::SymbolicLink),
        FileType::Fifo => return Err(Refusal::NotAFile("a pipe")),
        FileType::Socket => return Err(Refusal::NotAFile("a socket")),
        FileType::Directory => return Err(Refusal::NotAFile("a directory")),
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            return Err(Refusal::NotAFile("a device"));
        }
    }
    if !is_trusted(found.st_uid) {
        return Err(Refusal::Foreign(found.st_uid));
    }
    if found.st_nlink > 1 {
        return Err(Refusal::Linked);
    }
    Ok(())
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Opens a directory as such, going over the links that can be trusted.
fn walk(path: &Path, missing: Missing) -> Result<OwnedFd, Refusal> {
    const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    let root = || openat(CWD, "/", LOOK | OFlags::DIRECTORY, Mode::empty());
    let mut here = if path.is_absolute() {
        root()?
    } else {
        openat(CWD, ".", LOOK | OFlags::DIRECTORY, Mode::empty())?
    };
    let mut passed = PathBuf::from("/");
    let mut left: VecDeque<OsString> = steps(path);
    let mut links = 0;
    while let Some(step) = left.pop_front() {
        let next = match openat(&here, &step, LOOK, Mode::empty()) {
            Err(Errno::NOENT) if missing == Missing::IsMade => {
                match rustix::fs::mkdirat(&here, &step, Mode::from_raw_mode(DIRECTORY_MODE)) {
                    Ok(()) | Err(Errno::EXIST) => openat(&here, &step, LOOK, Mode::empty())?,
                    Err(error) => return Err(error.into()),
                }
            }
            next => next?,
        };
        let found = fstat(&next)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                passed.push(&step);
                here = next;
            }
            FileType::Symlink => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP.into());
                }
                if !is_trusted(found.st_uid) {
                    return Err(Refusal::ForeignLink(passed.join(&step), found.st_uid));
                }
                let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    here = root()?;
                    passed = PathBuf::from("/");
                }
                for step in steps(&target).into_iter().rev() {
                    left.push_front(step);
                }
            }
            FileType::BlockDevice
            | FileType::CharacterDevice
            | FileType::Fifo
            | FileType::RegularFile
            | FileType::Socket
            | FileType::Unknown => return Err(Errno::NOTDIR.into()),
        }
    }
    Ok(here)
}

fn steps(path: &Path) -> VecDeque<OsString> {
    let named = |step| match step {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
    };
    path.components().filter_map(named).collect()
}
