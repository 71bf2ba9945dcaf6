//! `HERDER_HOME`: whose it is, and its files. Everything is opened relative to a descriptor of its
//! directory, and no symbolic link is followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// The longest file that is read.
const MAX_FILE: u64 = 64 << 20;

/// The longest path of a Unix socket.
const MAX_SOCKET: usize = 107;

/// The home, with its directories.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    root: OwnedFd,
    state: OwnedFd,
    herds: OwnedFd,
    run: OwnedFd,
}

/// Whether a file is on the disk before the call returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durable {
    /// It is.
    Yes,
    /// It will be.
    Later,
}

impl Home {
    /// Makes its directories if they are missing. The caller holds its lock.
    /// A group that may look can pass through, and sees nothing else.
    pub(crate) fn open(path: &Path, read_group: Option<u32>) -> Result<Home, Problem> {
        let root = open_root(path)?;
        let opened = match read_group {
            None => rustix::fs::fchmod(&root, Mode::RWXU),
            Some(group) => {
                let group = rustix::fs::Gid::from_raw(group);
                let owned = rustix::fs::fchown(&root, None, Some(group));
                owned.and_then(|()| rustix::fs::fchmod(&root, Mode::RWXU | Mode::XGRP))
            }
        };
        opened.map_err(|error| unusable(path, &error.into()))?;
        let named = |error: io::Error, name: &str| unusable(&path.join(name), &error);
        let below = |parent: &OwnedFd, name: &str| directory(parent.as_fd(), name);
        let state = below(&root, "state").map_err(|error| named(error, "state"))?;
        let herds = below(&state, "herds").map_err(|error| named(error, "state/herds"))?;
        let run = below(&root, "run").map_err(|error| named(error, "run"))?;
        below(&root, "logs").map_err(|error| named(error, "logs"))?;
        Ok(Home {
            path: path.to_owned(),
            root,
            state,
            herds,
            run,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// For the lists.
    pub(crate) fn state(&self) -> BorrowedFd<'_> {
        self.state.as_fd()
    }

    /// For orders and complaints of herds.
    pub(crate) fn herds(&self) -> BorrowedFd<'_> {
        self.herds.as_fd()
    }

    /// For sockets and locks of herds.
    pub(crate) fn run(&self) -> BorrowedFd<'_> {
        self.run.as_fd()
    }

    pub(crate) fn run_path(&self) -> PathBuf {
        self.path.join("run")
    }

    pub(crate) fn logs_path(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The control socket of a home.
    pub(crate) fn socket_of(home: &Path) -> PathBuf {
        home.join("herder.sock")
    }

    /// A herd's order.
    pub(crate) fn order_path(&self, name: &str) -> PathBuf {
        self.path.join("state/herds").join(order_name(name))
    }

    /// Whether the socket of a herd of that name can have its path.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), Problem> {
        let path = self.run_path().join(format!("{name}.sock"));
        let length = path.as_os_str().len();
        if length <= MAX_SOCKET {
            return Ok(());
        }
        let text = format!(
            "the path of its socket, {}, has {length} bytes, and the kernel takes {MAX_SOCKET}",
            path.display()
        );
        let hint = "give the app a shorter name, or set HERDER_HOME to a shorter path";
        Err(Problem::new(ProblemKind::Invalid, text)
            .hint(hint)
            .place("name"))
    }
}

/// The file name of a herd's order.
pub(crate) fn order_name(name: &str) -> String {
    format!("{name}.json")
}

/// The directory itself: made if it is missing; else it is ours and closed to others.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, Problem> {
    if !path.is_absolute() {
        let text = format!("{} is no absolute path", path.display());
        return Err(Problem::new(ProblemKind::Invalid, text).place("HERDER_HOME"));
    }
    let made = match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
        Err(Errno::NOENT) => path
            .parent()
            .map_or(Err(Errno::NOENT.into()), std::fs::create_dir_all)
            .and_then(|()| Ok(rustix::fs::mkdirat(CWD, path, Mode::RWXU)?)),
        made => made.map_err(io::Error::from),
    };
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(unusable(path, &error));
        }
        _ => {}
    }
    let root = open_directory(CWD, path).map_err(|error| unusable(path, &error))?;
    check_root(path, root.as_fd())?;
    Ok(root)
}

fn check_root(path: &Path, root: BorrowedFd<'_>) -> Result<(), Problem> {
    let found = rustix::fs::fstat(root).map_err(|error| unusable(path, &error.into()))?;
    let us = rustix::process::geteuid().as_raw();
    if found.st_uid != us {
        let text = format!(
            "{} belongs to the user {}, and this is the user {us}",
            path.display(),
            found.st_uid
        );
        let hint = "set HERDER_HOME to a directory of your own";
        return Err(Problem::new(ProblemKind::Forbidden, text).hint(hint));
    }
    if !herder_sys::user::is_somebody(us) {
        let text = format!(
            "the user {us} stands for all those that this user namespace does not know: nobody could be \
             told from the owner of {}",
            path.display()
        );
        let hint =
            "run herder as a user of the namespace, as with: unshare --user --map-current-user";
        return Err(Problem::new(ProblemKind::Forbidden, text).hint(hint));
    }
    // Members of a read group may pass through, to the socket: everything else is closed to them.
    if found.st_mode & 0o067 != 0 {
        let text = format!(
            "{} is open to others (mode {:o}), who could command the daemon",
            path.display(),
            found.st_mode & 0o777
        );
        let hint = format!("chmod 700 {}", path.display());
        return Err(Problem::new(ProblemKind::Forbidden, text).hint(hint));
    }
    Ok(())
}

/// A directory below another one: made if it is missing; else it is ours and closed to others.
fn directory(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let directory = open_directory(parent, Path::new(name))?;
    let found = is_ours(directory.as_fd(), FileType::Directory)?;
    // Nobody else gets here, except where something was mounted.
    if found.st_mode & 0o022 != 0 {
        let mode = found.st_mode & 0o7777;
        let text = format!("others may write to it (mode {mode:o}): chmod 700");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(directory)
}

fn open_directory(parent: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, path, flags, Mode::empty())?)
}

/// Something else than a file of ours is an error, whoever put it there.
fn is_ours(file: BorrowedFd<'_>, kind: FileType) -> io::Result<Stat> {
    let found = rustix::fs::fstat(file)?;
    let us = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(found.st_mode) != kind {
        return Err(io::Error::other("it is not what it should be"));
    }
    if found.st_uid != us && found.st_uid != 0 {
        let text = format!("it belongs to the user {}", found.st_uid);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(found)
}

/// Opens a regular file of ours. One that is written to has no other name.
pub(crate) fn open_file(
    directory: BorrowedFd<'_>,
    name: &str,
    flags: OFlags,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(directory, name, flags, mode)?;
    let found = is_ours(file.as_fd(), FileType::RegularFile)?;
    if found.st_nlink > 1 && flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
        let text = "it has other names as well (hard links), so it could be any file";
        return Err(io::Error::other(text));
    }
    Ok(file)
}

/// What a file holds. None = there is none.
pub(crate) fn read(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match open_file(directory, name, OFlags::RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    let mut file = File::from(file).take(MAX_FILE + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(
            "it is larger than anything that was written there",
        ));
    }
    Ok(Some(bytes))
}

/// Writes a file as a whole, or leaves the one before.
pub(crate) fn write(
    directory: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    durable: Durable,
) -> io::Result<()> {
    let draft = draft(directory, name, bytes, durable)?;
    rustix::fs::renameat(directory, draft, directory, name)?;
    if durable == Durable::Yes {
        rustix::fs::fsync(directory)?;
    }
    Ok(())
}

/// As [`write`], and the one before stays as `NAME.bak`, where that is possible.
pub(crate) fn replace(directory: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = draft(directory, name, bytes, Durable::Yes)?;
    // Not every file can have two names: one of another user, or on some file systems.
    let _kept = back_up(directory, name);
    rustix::fs::renameat(directory, new, directory, name)?;
    Ok(rustix::fs::fsync(directory)?)
}

/// At each moment there is a file of that name, once there was one.
fn back_up(directory: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let (old, backup) = (format!(".{name}.old"), format!("{name}.bak"));
    remove(directory, &old)?;
    rustix::fs::linkat(directory, name, directory, &old, AtFlags::empty())?;
    Ok(rustix::fs::renameat(directory, &old, directory, backup)?)
}

fn draft(
    directory: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    durable: Durable,
) -> io::Result<String> {
    let draft = format!(".{name}.new");
    remove(directory, &draft)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(open_file(directory, &draft, flags)?);
    let mut written = file.write_all(bytes);
    if durable == Durable::Yes {
        written = written.and_then(|()| file.sync_all());
    }
    if let Err(error) = written {
        // It is no use to anybody, and where the disk is full it takes room.
        let _left = remove(directory, &draft);
        return Err(error);
    }
    Ok(draft)
}

/// Removes a file if it is there.
pub(crate) fn remove(directory: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The names in a directory.
pub(crate) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str() {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// That something of the home cannot be used.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Problem {
    let kind = if error.kind() == io::ErrorKind::PermissionDenied {
        ProblemKind::Forbidden
    } else {
        ProblemKind::Internal
    };
    let text = format!("{} cannot be used: {error}", path.display());
    let problem = Problem::new(kind, text);
    match Errno::from_io_error(error) {
        Some(Errno::LOOP | Errno::NOTDIR) => {
            problem.hint("herder follows no symbolic links here: set HERDER_HOME to the real path")
        }
        _ => problem,
    }
}
