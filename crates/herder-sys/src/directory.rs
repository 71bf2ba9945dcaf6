//! Files beneath a directory that somebody else opened.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, FileType, FlockOperation, Mode, OFlags, ResolveFlags, chmod, flock, fstat, openat2, stat,
};
use rustix::io::{Errno, retry_on_intr};

/// What [`open_beneath`] found.
#[derive(Debug)]
pub enum Found {
    /// A directory.
    Directory,
    /// A regular file, open for reading, and what was known of it at that moment.
    File(File, Metadata),
    /// Something that is no file to be read: a device, a pipe, a socket.
    Other,
}

/// Opens what a relative path names, seen from this directory. Nothing outside of the directory is
/// ever reached: neither by `..`, nor by an absolute path, nor by a symbolic link; links that stay
/// within are followed. It never waits for a pipe's other end.
///
/// # Errors
///
/// `EXDEV` when the path leads outside, `ENOENT` and `ENOTDIR` when there is nothing, `EINVAL` for
/// a path with a zero byte in it, `ELOOP`, `EACCES`, `ENAMETOOLONG`, `EMFILE`.
pub fn open_beneath(directory: BorrowedFd<'_>, path: &Path) -> io::Result<Found> {
    let file = match resolve(directory, path) {
        Ok(file) => File::from(file),
        // A socket, or a device that is not there.
        Err(Errno::NXIO) => return Ok(Found::Other),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    Ok(if metadata.is_file() {
        Found::File(file, metadata)
    } else if metadata.is_dir() {
        Found::Directory
    } else {
        Found::Other
    })
}

/// Opens a directory as such, for [`open_beneath`].
///
/// # Errors
///
/// What `open` answers; `ENOTDIR` when it is none.
pub fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Opens a regular file for reading. It never waits for a pipe's other end.
///
/// # Errors
///
/// What `open` answers; `InvalidInput` when it is something else than a file.
pub fn open_file(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty())) {
        Ok(file) => File::from(file),
        // A socket, or a device that is not there.
        Err(Errno::NXIO) => return Err(no_file()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() {
        Ok(file.into())
    } else {
        Err(no_file())
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no file")
}

/// Locks a directory for whoever holds the descriptor or a duplicate of it, in whatever process: until the
/// last one is closed, nobody else can. The path names this directory when it is locked.
///
/// # Errors
///
/// `WouldBlock` when somebody else has locked it, `NotFound` when it was removed meanwhile; what `open`
/// answers: `ENOTDIR` when it is none, or a symbolic link.
pub fn claim(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    retry_on_intr(|| flock(&directory, FlockOperation::NonBlockingLockExclusive))?;
    let (ours, named) = (fstat(&directory)?, stat(path)?);
    if (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino) {
        Ok(directory)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A socket in somebody else's directory. They may put anything in its place at any time: this is what was
/// there when it was looked at, whatever its path names by now.
#[derive(Debug)]
pub struct PinnedSocket {
    found: OwnedFd,
}

impl PinnedSocket {
    /// Looks at what a path names. Only what is a socket, and has no other name, is one; a symbolic link is
    /// not followed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is no such socket; what `open` answers.
    pub fn at(path: &Path) -> io::Result<PinnedSocket> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let known = fstat(&found)?;
        // A second name may be a hard link to the socket of another.
        if FileType::from_raw_mode(known.st_mode) != FileType::Socket || known.st_nlink != 1 {
            let problem = format!("{} is no socket of its own", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        Ok(PinnedSocket { found })
    }

    /// A path that names this socket and nothing else, for as long as `self` is there. Where `/proc` is not
    /// mounted it names nothing.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.found.as_raw_fd()))
    }
}

/// Changes who may connect to a socket in somebody else's directory, see [`PinnedSocket`].
///
/// # Errors
///
/// `InvalidInput` when it is no such socket; what `open` and `chmod` answer; `NotFound` without `/proc`.
pub fn set_socket_mode(path: &Path, mode: u32) -> io::Result<()> {
    // Not by a descriptor: `fchmod` takes none that was opened so, and the system call that does is younger
    // than the kernels we run on.
    let socket = PinnedSocket::at(path)?;
    Ok(chmod(socket.path(), Mode::from_raw_mode(mode))?)
}

fn resolve(directory: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match retry_on_intr(|| openat2(directory, path, flags, Mode::empty(), within)) {
            // Somebody renamed a directory on the way, and the kernel could not be sure.
            Err(Errno::AGAIN) if left > 0 => {}
            result => return result,
        }
    }
}

/// How often a path is resolved while others rename what it goes through.
const ATTEMPTS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixListener, UnixStream};

    struct Tree {
        root: PathBuf,
        page: OwnedFd,
    }

    impl Tree {
        fn new(name: &str) -> Tree {
            let root = std::env::temp_dir().join(format!("herder-{}-{name}", std::process::id()));
            fs::create_dir_all(root.join("page/sub")).unwrap();
            fs::write(root.join("secret"), "secret").unwrap();
            fs::write(root.join("page/sub/file"), "content").unwrap();
            let page = open_directory(&root.join("page")).unwrap();
            Tree { root, page }
        }

        fn open(&self, path: &str) -> io::Result<Found> {
            open_beneath(self.page.as_fd(), Path::new(path))
        }

        fn error(&self, path: &str) -> Option<Errno> {
            Errno::from_io_error(&self.open(path).unwrap_err())
        }

        fn content(&self, path: &str) -> String {
            let Found::File(mut file, metadata) = self.open(path).unwrap() else {
                panic!("{path} is no file");
            };
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            assert_eq!(metadata.len(), content.len() as u64);
            content
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.root).unwrap();
        }
    }

    #[test]
    fn files_beneath_are_found() {
        let tree = Tree::new("beneath");
        assert_eq!(tree.content("sub/file"), "content");
        assert_eq!(tree.content("sub/../sub/./file"), "content");
        assert!(matches!(tree.open("sub").unwrap(), Found::Directory));
        assert_eq!(tree.error("none"), Some(Errno::NOENT));
        assert_eq!(tree.error("sub/file/x"), Some(Errno::NOTDIR));
        assert_eq!(tree.error("a\0b"), Some(Errno::INVAL));
        assert_eq!(tree.error(""), Some(Errno::NOENT));
    }

    #[test]
    fn nothing_outside_is_reached() {
        let tree = Tree::new("outside");
        symlink("/etc/passwd", tree.root.join("page/absolute")).unwrap();
        symlink("../secret", tree.root.join("page/relative")).unwrap();
        symlink("sub/../../secret", tree.root.join("page/winding")).unwrap();
        symlink(&tree.root, tree.root.join("page/directory")).unwrap();
        let secret = tree.root.join("secret");
        for path in [
            "../secret",
            "sub/../../secret",
            "..",
            "/etc/passwd",
            "absolute",
            "relative",
            "winding",
            "directory/secret",
            secret.to_str().unwrap(),
        ] {
            assert_eq!(tree.error(path), Some(Errno::XDEV), "{path}");
        }
    }

    #[test]
    fn links_within_are_followed_and_loops_end() {
        let tree = Tree::new("within");
        symlink("sub/file", tree.root.join("page/link")).unwrap();
        symlink("../link", tree.root.join("page/sub/back")).unwrap();
        symlink("loop", tree.root.join("page/loop")).unwrap();
        assert_eq!(tree.content("link"), "content");
        assert_eq!(tree.content("sub/back"), "content");
        assert_eq!(tree.error("loop"), Some(Errno::LOOP));
    }

    #[test]
    fn pipes_and_sockets_are_no_files_and_nobody_waits_for_them() {
        let tree = Tree::new("special");
        let fifo = tree.root.join("page/fifo");
        let made = rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0);
        made.unwrap();
        let _listener = UnixListener::bind(tree.root.join("page/socket")).unwrap();
        assert!(matches!(tree.open("fifo").unwrap(), Found::Other));
        assert!(matches!(tree.open("socket").unwrap(), Found::Other));
        let devices = open_directory(Path::new("/dev")).unwrap();
        let null = open_beneath(devices.as_fd(), Path::new("null")).unwrap();
        assert!(matches!(null, Found::Other));
    }

    #[test]
    fn only_a_socket_under_its_own_name_is_opened_to_others() {
        use std::os::unix::fs::PermissionsExt;

        let tree = Tree::new("mode");
        let mode = |name: &str| {
            let metadata = fs::metadata(tree.root.join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        let set = |name: &str| set_socket_mode(&tree.root.join(name), 0o666);
        let _listener = UnixListener::bind(tree.root.join("socket")).unwrap();
        for name in ["socket", "secret"] {
            fs::set_permissions(tree.root.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        symlink("secret", tree.root.join("to-secret")).unwrap();
        symlink("socket", tree.root.join("to-socket")).unwrap();
        let directory = mode("page");
        for wrong in ["secret", "to-secret", "to-socket", "page"] {
            assert_eq!(
                set(wrong).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{wrong}"
            );
        }
        fs::hard_link(tree.root.join("socket"), tree.root.join("second")).unwrap();
        assert!(set("second").is_err());
        assert_eq!(
            (mode("secret"), mode("socket"), mode("page")),
            (0o600, 0o600, directory)
        );
        fs::remove_file(tree.root.join("second")).unwrap();
        set("socket").unwrap();
        assert_eq!(mode("socket"), 0o666);
        assert_eq!(set("none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_looked_at_is_connected_to_whatever_came_in_its_place() {
        let tree = Tree::new("pinned");
        let at = |name: &str| tree.root.join(name);
        let own = UnixListener::bind(at("socket")).unwrap();
        let other = UnixListener::bind(at("other")).unwrap();
        for listener in [&own, &other] {
            listener.set_nonblocking(true).unwrap();
        }
        let pinned = PinnedSocket::at(&at("socket")).unwrap();
        fs::remove_file(at("socket")).unwrap();
        symlink(at("other"), at("socket")).unwrap();
        let error = PinnedSocket::at(&at("socket")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("is no socket of its own"));
        let _client = UnixStream::connect(pinned.path()).unwrap();
        own.accept().unwrap();
        let nobody = other.accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn links_of_proc_lead_nowhere() {
        let own = open_directory(Path::new("/proc/self")).unwrap();
        let error = open_beneath(own.as_fd(), Path::new("fd/0")).unwrap_err();
        let error = Errno::from_io_error(&error);
        assert!(
            matches!(error, Some(Errno::LOOP | Errno::XDEV)),
            "{error:?}"
        );
    }
}
