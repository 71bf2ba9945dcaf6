//! Sockets in the file system: their mode, and the ones that dead processes leave behind.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::address::Address;
use super::error::ListenError;

/// Which file a path named when the socket was bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The file that is at `path` now; a symbolic link counts as itself.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&fs::symlink_metadata(path)?))
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// Binds `socket` to `path`, so that the file never has more rights than `mode` and in the end has
/// exactly these. Replaces a socket of ours that nobody owns any more, and nothing else.
///
/// A stream socket refuses connections until it listens, so nobody gets in between bind and chmod.
pub(crate) fn bind(socket: &OwnedFd, path: &Path, mode: u32) -> Result<FileIdentity, ListenError> {
    claim(socket, path, mode)?;
    settle_mode(path, mode).map_err(|source| system(path, source))
}

/// Binds; the new file has `mode`, less the umask, from its first moment. (The umask itself belongs
/// to the whole process; changing it would touch files that other threads make.)
fn claim(socket: &OwnedFd, path: &Path, mode: u32) -> Result<(), ListenError> {
    let address = SocketAddrUnix::new(path).map_err(|error| path_error(path, error))?;
    // Linux gives the file the mode of the socket's own inode.
    rustix::fs::fchmod(socket, Mode::from_raw_mode(mode)).map_err(|error| failed(path, error))?;
    match rustix::net::bind(socket, &address) {
        Err(Errno::ADDRINUSE) => {
            remove_stale(path, &address)?;
            rustix::net::bind(socket, &address)
        }
        result => result,
    }
    .map_err(|error| failed(path, error))
}

/// Gives back the bits that the umask took. By descriptor, so that what was put at the path
/// meanwhile cannot lead the change elsewhere.
fn settle_mode(path: &Path, mode: u32) -> io::Result<FileIdentity> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.file_type().is_socket() && metadata.mode() & 0o7777 != mode {
        // Such a descriptor only names the file; this is the way to change what it names.
        let through = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(through, Permissions::from_mode(mode))?;
    }
    Ok(FileIdentity::of(&metadata))
}

/// Removes the socket at `path` when it is ours and nobody answers there.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), ListenError> {
    let found = fs::symlink_metadata(path).map_err(|source| system(path, source))?;
    let kind = found.file_type();
    if !kind.is_socket() {
        let found = match () {
            () if kind.is_symlink() => "a symbolic link",
            () if kind.is_dir() => "a directory",
            () if kind.is_file() => "a regular file",
            () => "a special file",
        };
        return Err(ListenError::NotASocket {
            path: path.to_owned(),
            found,
        });
    }
    if !is_abandoned(address) {
        return Err(in_use(path));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(ListenError::NotOurs {
            path: path.to_owned(),
            owner: found.uid(),
        });
    }
    // Another process may have replaced it in the meantime, as we are about to: leave it its own.
    match FileIdentity::at(path) {
        Ok(now) if now == FileIdentity::of(&found) && is_abandoned(address) => {
            fs::remove_file(path).map_err(|source| system(path, source))
        }
        Ok(_) => Err(in_use(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(system(path, source)),
    }
}

/// Only a refusal proves that no socket is behind the file. A full queue, a socket of another
/// type, or one that we may not connect to, is somebody's.
fn is_abandoned(address: &SocketAddrUnix) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|probe| rustix::net::connect(&probe, address))
        == Err(Errno::CONNREFUSED)
}

fn in_use(path: &Path) -> ListenError {
    ListenError::InUse {
        address: Address::Unix(path).to_string(),
    }
}

fn failed(path: &Path, error: Errno) -> ListenError {
    ListenError::from_errno(Address::Unix(path).to_string(), error, CURE)
}

fn system(path: &Path, source: io::Error) -> ListenError {
    ListenError::System {
        address: Address::Unix(path).to_string(),
        source,
    }
}

fn path_error(path: &Path, error: Errno) -> ListenError {
    match error {
        Errno::NAMETOOLONG => ListenError::PathTooLong {
            path: path.to_owned(),
            max: MAX_PATH,
        },
        error => failed(path, error),
    }
}

const CURE: &str = "the user needs the right to write to its directory";

/// `sun_path` has 108 bytes, one of them for the end.
const MAX_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_born_with_no_more_rights_than_it_shall_have() {
        let path = std::env::temp_dir().join(format!("herder-sys-born-{}", std::process::id()));
        let flags = SocketFlags::CLOEXEC;
        let kinds = [
            (SocketType::STREAM, 0o600),
            (SocketType::DGRAM, 0o600),
            (SocketType::STREAM, 0),
        ];
        for (kind, mode) in kinds {
            let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
            claim(&socket, &path, mode).unwrap();
            let born = fs::metadata(&path).unwrap().mode() & 0o7777;
            fs::remove_file(&path).unwrap();
            assert_eq!(born, mode);
        }
    }
}
