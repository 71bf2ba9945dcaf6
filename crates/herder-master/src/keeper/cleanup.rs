//! The things a master makes in the file system, and that must not outlive it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use herder_sys::cgroup;
use herder_wire::keeper::ToKeeper;

/// How many things are remembered: a master has a few per app. More would be a leak, not a herd.
const MAX_LEFTOVERS: usize = 4096;

/// What to remove when the master has gone.
#[derive(Default)]
pub(crate) struct Leftovers {
    cgroups: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    socket_files: BTreeMap<PathBuf, (u64, u64)>,
}

impl Leftovers {
    /// Remembers one thing.
    pub(crate) fn note(&mut self, frame: ToKeeper) {
        if self.count() >= MAX_LEFTOVERS {
            // Programs may make ever new socket files, which are gone when their workers are.
            self.socket_files
                .retain(|path, (device, inode)| is_there(path, *device, *inode));
        }
        if self.count() >= MAX_LEFTOVERS {
            return;
        }
        match frame {
            ToKeeper::Cgroup(path) => push_new(&mut self.cgroups, to_path(&path)),
            ToKeeper::Directory(path) => push_new(&mut self.directories, to_path(&path)),
            ToKeeper::SocketFile { path, dev, inode } => {
                self.socket_files.insert(to_path(&path), (dev, inode));
            }
            ToKeeper::Beat
            | ToKeeper::Forget { .. }
            | ToKeeper::ForgetAll { .. }
            | ToKeeper::Grace { .. }
            | ToKeeper::HandOver
            | ToKeeper::InCharge
            | ToKeeper::Leaving
            | ToKeeper::Notify { .. }
            | ToKeeper::Obeyed { .. }
            | ToKeeper::Rest
            | ToKeeper::Store { .. }
            | ToKeeper::Watchdog { .. } => {}
        }
    }

    fn count(&self) -> usize {
        self.cgroups.len() + self.directories.len() + self.socket_files.len()
    }

    /// Removes what is still there. What cannot be removed is left and named: the herd has ended,
    /// and a remnant must not turn that into a failure.
    pub(crate) fn remove(&self) {
        for path in &self.cgroups {
            say(path, cgroup::remove_tree(path));
        }
        for path in &self.directories {
            say(path, std::fs::remove_dir_all(path));
        }
        for (path, (device, inode)) in &self.socket_files {
            say(path, remove_socket(path, *device, *inode));
        }
    }
}

/// A master that takes over says again what the one before has said.
fn push_new(paths: &mut Vec<PathBuf>, path: PathBuf) {
    if !paths.contains(&path) {
        paths.push(path);
    }
}

/// Removes the socket file only while it is the one that the master made: another herd may have
/// taken the path since.
fn remove_socket(path: &Path, device: u64, inode: u64) -> io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    let ours = found.file_type().is_socket() && found.dev() == device && found.ino() == inode;
    if ours {
        std::fs::remove_file(path)
    } else {
        Ok(())
    }
}

fn is_there(path: &Path, device: u64, inode: u64) -> bool {
    let found = std::fs::symlink_metadata(path);
    found.is_ok_and(|found| found.dev() == device && found.ino() == inode)
}

fn say(path: &Path, result: io::Result<()>) {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            super::complain(&format!("cannot remove {}: {error}", path.display()));
        }
        _ => {}
    }
}

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn socket_file(path: &Path, inode: u64, dev: u64) -> ToKeeper {
        ToKeeper::SocketFile {
            path: path.as_os_str().as_bytes().to_vec(),
            dev,
            inode,
        }
    }

    #[test]
    fn files_that_are_gone_take_no_room_from_others() {
        let mut leftovers = Leftovers::default();
        for number in 0..MAX_LEFTOVERS as u64 {
            let path = format!("/nonexistent/{number}.sock");
            leftovers.note(socket_file(Path::new(&path), number, 1));
        }
        let path = std::env::temp_dir().join(format!("herder-left-{}", std::process::id()));
        let _listener = UnixListener::bind(&path).expect("a free path");
        let found = std::fs::symlink_metadata(&path).expect("it is there");
        leftovers.note(socket_file(&path, found.ino(), found.dev()));
        leftovers.remove();
        assert!(!path.exists());
    }
}
