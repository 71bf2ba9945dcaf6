//! Files beneath a directory that somebody else opened.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, ResolveFlags, flock, fstat, openat2, stat};
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
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

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
