//! The places that a herd needs for its lifetime: a private directory and a cgroup. The keeper
//! removes them, however the master ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use herder_core::WorkerId;
use herder_core::spec::AppName;
use herder_sys::cgroup::{Cgroup, CgroupRoot};
use herder_sys::listener::{BoundAddress, Listener};
use herder_sys::{fd, process, random, socket, user};
use herder_wire::keeper::ToKeeper;

use crate::keeper::cleanup::Leftovers;

/// The places of a herd.
pub(super) struct Runtime {
    keeper: OwnedFd,
    name: String,
    cgroup: Option<CgroupRoot>,
    directory: Option<PathBuf>,
    /// What the keeper was asked to remove.
    entrusted: Leftovers,
}

impl Runtime {
    pub(super) fn new(app: &AppName, keeper: &OwnedFd) -> io::Result<Runtime> {
        let name = format!("herder-{app}-{}", process::current_pid());
        let mut runtime = Runtime {
            keeper: fd::duplicate(keeper.as_fd())?,
            name,
            cgroup: None,
            directory: None,
            entrusted: Leftovers::default(),
        };
        // Without a cgroup the process groups must do; that is no reason not to run.
        runtime.cgroup = CgroupRoot::create(&runtime.name).unwrap_or(None);
        if let Some(root) = &runtime.cgroup {
            let path = root.path().as_os_str().as_bytes().to_vec();
            runtime.entrust(ToKeeper::Cgroup(path))?;
        }
        Ok(runtime)
    }

    /// Tells the keeper what to clean up, before it is needed.
    pub(super) fn entrust(&mut self, what: ToKeeper) -> io::Result<()> {
        let mut bytes = Vec::new();
        what.encode(&mut bytes).map_err(io::Error::other)?;
        self.entrusted.note(what);
        socket::send(self.keeper.as_fd(), &bytes, &[])?;
        Ok(())
    }

    /// What the keeper was asked to remove. It is for a master that has outlived its keeper.
    pub(super) fn entrusted(&self) -> &Leftovers {
        &self.entrusted
    }

    /// Has the keeper remove a listener's socket file.
    pub(super) fn entrust_socket(&mut self, listener: &Listener) -> io::Result<()> {
        let BoundAddress::Unix(path) = listener.local() else {
            return Ok(());
        };
        let path = std::path::absolute(path)?;
        let found = std::fs::symlink_metadata(&path)?;
        self.entrust(ToKeeper::SocketFile {
            path: path.as_os_str().as_bytes().to_vec(),
            dev: found.dev(),
            inode: found.ino(),
        })
    }

    /// A cgroup for one worker, where there are cgroups.
    pub(super) fn worker_cgroup(&self, id: WorkerId) -> Option<Cgroup> {
        let root = self.cgroup.as_ref()?;
        root.child(&format!("worker-{}", id.incarnation)).ok()
    }

    /// The herd's private directory, made when it is first needed.
    pub(super) fn directory(&mut self) -> io::Result<&Path> {
        if self.directory.is_none() {
            let name = format!("herder-{}-{:016x}", process::current_pid(), random::seed());
            let path = base_directory(candidates()).join(name);
            self.entrust(ToKeeper::Directory(path.as_os_str().as_bytes().to_vec()))?;
            // Others may pass (a worker of another user finds its socket), but not look around.
            std::fs::DirBuilder::new().mode(0o711).create(&path)?;
            self.directory = Some(path);
        }
        self.directory
            .as_deref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The longest base directory, in bytes. A socket's path has 107, of which `/herder-PID-RANDOM/notify-ID` takes
/// up to 31 + 27.
const MAX_BASE: usize = 48;

/// Where private directories may belong, the best first: the user's runtime directory, root's, the one for
/// temporary files.
fn candidates() -> Vec<PathBuf> {
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let run = user::is_root().then(|| PathBuf::from("/run"));
    let temporary = [std::env::temp_dir(), PathBuf::from("/tmp")];
    given.into_iter().chain(run).chain(temporary).collect()
}

/// The first that is there and leaves room for the rest of a socket's path; the last when none does.
fn base_directory(mut candidates: Vec<PathBuf>) -> PathBuf {
    let fits =
        |path: &PathBuf| path.is_absolute() && path.as_os_str().len() <= MAX_BASE && path.is_dir();
    let place = candidates.iter().position(fits);
    candidates.swap_remove(place.unwrap_or(candidates.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_directory_is_there_and_leaves_room_for_a_socket() {
        let base = |paths: &[&str]| base_directory(paths.iter().map(PathBuf::from).collect());
        let long = format!("/tmp{}", "/.".repeat(MAX_BASE / 2));
        assert_eq!(base(&["/run", "/tmp"]), Path::new("/run"));
        assert_eq!(base(&["run", "/no/such", &long, "/tmp"]), Path::new("/tmp"));
        assert_eq!(base(&["/no/such", "/neither"]), Path::new("/neither"));
    }
}
