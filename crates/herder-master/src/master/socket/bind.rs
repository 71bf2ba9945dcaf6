//! Where the herd's socket is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use herder_sys::listener::{Address, ListenError, ListenOptions, Listener};
use herder_sys::user;

/// Its owner's alone.
const MODE: u32 = 0o600;

/// How many may wait until they are let in.
const BACKLOG: u32 = 64;

/// Why there is no herd's socket.
#[derive(Debug, thiserror::Error)]
pub(in crate::master) enum SocketError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the directory {} of the herd's socket cannot be looked at: {error}", path.display())]
    Unseen {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error(
        "the directory {} of the herd's socket lets others in (mode {mode:03o}): make it 700",
        path.display()
    )]
    Public { path: PathBuf, mode: u32 },
    #[error(
        "the directory {} of the herd's socket belongs to user {owner}: make it your own",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("the herd's socket {} has to stand in a directory", path.display())]
    Nowhere { path: PathBuf },
}

/// Listens there, in the place of who listened there before and is dead. A file that is no socket, or not
/// ours, is left alone.
pub(super) fn bind(path: &Path) -> Result<Listener, SocketError> {
    check(path)?;
    let options = ListenOptions {
        backlog: BACKLOG,
        unix_mode: MODE,
    };
    Ok(Listener::bind(Address::Unix(path), &options)?)
}

/// Nobody else may get to the socket, nor put something else in its place.
fn check(path: &Path) -> Result<(), SocketError> {
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(SocketError::Nowhere { path: path.into() }),
    };
    let path = directory.to_owned();
    let found = match fs::metadata(directory) {
        Ok(found) => found,
        Err(error) => return Err(SocketError::Unseen { path, error }),
    };
    let (mode, owner) = (found.mode() & 0o777, found.uid());
    if owner != user::effective_uid() {
        Err(SocketError::Foreign { path, owner })
    } else if mode & 0o077 != 0 {
        Err(SocketError::Public { path, mode })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A private directory, gone at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let name = format!("herder-socket-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).expect("a directory");
            fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("ours");
            Place(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("web.sock")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn r57_it_is_its_owners_alone_and_takes_the_place_of_a_dead_one() {
        let place = Place::new("owner");
        let first = bind(&place.socket()).expect("a socket");
        let mode = fs::symlink_metadata(place.socket()).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let refused = bind(&place.socket()).expect_err("somebody listens");
        assert!(matches!(
            refused,
            SocketError::Listen(ListenError::InUse { .. })
        ));
        drop(first);
        let second = bind(&place.socket()).expect("the first is dead");
        UnixStream::connect(place.socket()).expect("it listens");
        drop(second);
    }

    #[test]
    fn r57_a_directory_that_others_may_enter_is_refused() {
        let place = Place::new("public");
        for mode in [0o755, 0o710, 0o701, 0o770] {
            fs::set_permissions(&place.0, Permissions::from_mode(mode)).expect("ours");
            let said = bind(&place.socket()).expect_err("public").to_string();
            assert!(said.contains(&format!("mode {mode:o}")), "{said}");
            assert!(!place.socket().exists());
        }
        let missing = place.0.join("none/web.sock");
        let said = bind(&missing).expect_err("no directory").to_string();
        assert!(said.contains("none of the herd's socket"), "{said}");
    }

    #[test]
    fn r60_what_is_no_socket_of_ours_stays() {
        let place = Place::new("other");
        fs::write(place.socket(), "precious").expect("a file");
        assert!(bind(&place.socket()).is_err());
        assert_eq!(fs::read(place.socket()).expect("it stays"), b"precious");
        fs::remove_file(place.socket()).expect("ours");
        symlink("/dev/null", place.socket()).expect("a link");
        assert!(bind(&place.socket()).is_err());
        let found = fs::symlink_metadata(place.socket()).expect("it stays");
        assert!(found.is_symlink() && !found.file_type().is_socket());
    }
}
