//! The places that a herd needs for its lifetime: a private directory and a cgroup. The keeper
//! removes them, however the master ends.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use herder_core::WorkerId;
use herder_core::spec::AppName;
use herder_sys::cgroup::{Cgroup, CgroupRoot};
use herder_sys::listener::{BoundAddress, Listener};
use herder_sys::reserve::ReservedPort;
use herder_sys::{failpoint, process, user};
use herder_wire::keeper::{Key, ToKeeper};
use herder_wire::proxy::WorkerAddress;
use serde::{Deserialize, Serialize};

use super::crew::MemberId;
use super::gateway::Lodging;
use super::hideout;
use super::legacy::PlacesState;
use crate::estate::Vault;
use crate::keeper::cleanup::Leftovers;
use crate::part::Part;

/// The places of a herd.
pub(super) struct Runtime {
    vault: Vault,
    name: String,
    cgroup: Option<CgroupRoot>,
    directory: Option<PathBuf>,
    /// What locks it. The keeper has a duplicate; this one is for a master that outlives the keeper.
    lock: Option<OwnedFd>,
    /// What the keeper was asked to remove.
    entrusted: Leftovers,
    /// What becomes of a port that was found for a worker.
    ports: Ports,
}

impl Runtime {
    pub(super) fn new(app: &AppName, vault: &Vault) -> io::Result<Runtime> {
        let mut runtime = Runtime {
            vault: vault.clone(),
            name: format!("herder-{app}-{}", process::current_pid()),
            cgroup: None,
            directory: None,
            lock: None,
            entrusted: Leftovers::default(),
            ports: Ports::default(),
        };
        // Without a cgroup the process groups must do; that is no reason not to run. The keeper hears of it
        // before it is there: a master that dies in between leaves nothing.
        if let Ok(Some(path)) = CgroupRoot::place_of(&runtime.name) {
            let path = path.as_os_str().as_bytes().to_vec();
            runtime.entrust(ToKeeper::Cgroup(path))?;
            failpoint::hit("master.cgroup");
            runtime.cgroup = CgroupRoot::create(&runtime.name).unwrap_or(None);
        }
        Ok(runtime)
    }

    /// The places that an earlier master made. The keeper knows of them.
    pub(super) fn restored(
        app: &AppName,
        vault: &Vault,
        places: PlacesState<'_>,
        lock: Option<OwnedFd>,
    ) -> Runtime {
        let cgroup = places.cgroup.map(PathBuf::from);
        let directory = places.directory.map(PathBuf::from);
        let mut entrusted = Leftovers::default();
        let bytes = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
        if let Some(path) = &cgroup {
            entrusted.note(ToKeeper::Cgroup(bytes(path)));
        }
        if let Some(path) = &directory {
            entrusted.note(ToKeeper::Directory(bytes(path)));
        }
        Runtime {
            vault: vault.clone(),
            name: format!("herder-{app}-{}", process::current_pid()),
            cgroup: cgroup.map(CgroupRoot::at),
            directory,
            lock,
            entrusted,
            ports: places.ports,
        }
    }

    /// Where the herd's processes are grouped.
    pub(super) fn cgroup_path(&self) -> Option<&Path> {
        self.cgroup.as_ref().map(CgroupRoot::path)
    }

    /// The herd's private directory, if it has one.
    pub(super) fn directory_path(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Where things are stored for the next master.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Tells the keeper what to clean up, before it is needed. (If it is dead, this master is going to hear of
    /// it, and does its work.)
    pub(super) fn entrust(&mut self, what: ToKeeper) -> io::Result<()> {
        let sent = self.vault.send(&what, None);
        self.entrusted.note(what);
        or_without_keeper(sent)
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

    /// A cgroup for one member, where there are cgroups.
    pub(super) fn member_cgroup(&self, id: MemberId) -> Option<Cgroup> {
        let root = self.cgroup.as_ref()?;
        let kind = match id.part {
            Part::Gateway => "gateway".to_owned(),
            Part::Library(library) => format!("library-{}", library.name),
            Part::Workers => "worker".to_owned(),
        };
        root.child(&format!("{kind}-{}", id.worker.incarnation))
            .ok()
    }

    /// The herd's private directory, made when it is first needed.
    pub(super) fn directory(&mut self, visitor: Visitor) -> io::Result<&Path> {
        if self.directory.is_none() {
            self.directory = Some(self.make_directory(visitor)?);
        }
        self.directory
            .as_deref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A port for a worker.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn lodge_at_port(&self) -> io::Result<Lodging> {
        let port = ReservedPort::new()?;
        let address = WorkerAddress::Tcp(port.address());
        let hold = (self.ports == Ports::Kept).then_some(port);
        Ok(Lodging { address, hold })
    }

    /// A worker ended before it listened, and found its port like this.
    pub(super) fn reconsider_ports(&mut self, found: Ports) {
        self.ports = found.other();
    }

    /// What becomes of a port that was found for a worker.
    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// A path for a worker's Unix socket, in a directory that is that worker's `user` and may be passed by
    /// `group` alone.
    ///
    /// # Errors
    /// When there can be no such directory.
    pub(super) fn lodge_at_path(
        &mut self,
        id: WorkerId,
        user: Option<u32>,
        group: Option<u32>,
    ) -> io::Result<Lodging> {
        const OWNER: u32 = 0o700;
        const GROUP_PASSES: u32 = 0o710;
        let visitor = match (user, group) {
            (None, None) => Visitor::Ourselves,
            (Some(_), _) | (_, Some(_)) => Visitor::Another,
        };
        // Generations may have different users.
        let name = user.map_or_else(|| "w".to_owned(), |user| format!("w{user}"));
        let directory = self.directory(visitor)?.join(name);
        match fs::DirBuilder::new().mode(OWNER).create(&directory) {
            Ok(()) => {
                std::os::unix::fs::chown(&directory, user, group)?;
                if group.is_some() {
                    let mode = Permissions::from_mode(GROUP_PASSES);
                    fs::set_permissions(&directory, mode)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let path = directory.join(id.incarnation.to_string());
        let path = path.as_os_str().as_bytes().to_vec();
        if path.len() > MAX_SOCKET_PATH {
            let text = "the path of the herd's directory is too long for a socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let address = WorkerAddress::Unix(path);
        Ok(Lodging {
            address,
            hold: None,
        })
    }

    fn make_directory(&mut self, visitor: Visitor) -> io::Result<PathBuf> {
        let mut failure = None;
        // One may be full, or not writable.
        for base in base_directories(candidates(), visitor) {
            hideout::sweep(&base);
            let announce = |path: &Path| {
                let path = path.as_os_str().as_bytes().to_vec();
                self.entrust(ToKeeper::Directory(path))
            };
            match hideout::make_in(&base, announce) {
                Ok((path, lock)) => {
                    self.keep_locked(lock)?;
                    return Ok(path);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// As long as the keeper or a master lives, nobody takes the directory for a dead herd's.
    fn keep_locked(&mut self, lock: OwnedFd) -> io::Result<()> {
        let stored = self.vault.store(&Key::directory(), lock.as_fd(), 0);
        self.lock = Some(lock);
        or_without_keeper(stored)
    }
}

/// What becomes of a port that was found for a worker.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Ports {
    /// It is kept until the worker listens.
    #[default]
    Kept,
    /// It is let go before the worker is started, which may not be able to share it.
    LetGo,
}

impl Ports {
    /// What is tried after an end that this may have caused. A program that ends the same way when it finds
    /// its port free ends for another reason, and the port had better be kept.
    fn other(self) -> Ports {
        match self {
            Ports::Kept => Ports::LetGo,
            Ports::LetGo => Ports::Kept,
        }
    }
}

/// Who comes to the private directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitor {
    /// Another user: the workers have one of their own.
    Another,
    /// The master's own user.
    Ourselves,
}

fn or_without_keeper(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        sent => sent,
    }
}

/// The longest path of a socket, in bytes.
pub(super) const MAX_SOCKET_PATH: usize = 107;

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

/// Those that are there, leave room for the rest of a socket's path, and let the visitor pass; the last
/// when none does.
fn base_directories(mut candidates: Vec<PathBuf>, visitor: Visitor) -> Vec<PathBuf> {
    let last = candidates.last().cloned();
    candidates.retain(|path| {
        let bytes = path.as_os_str().as_bytes();
        // Paths stand in a list that these two structure.
        let plain = !bytes.iter().any(|byte| matches!(byte, b':' | b'='));
        let fits = path.is_absolute() && bytes.len() <= MAX_BASE && plain && path.is_dir();
        fits && (visitor == Visitor::Ourselves || lets_others_pass(path))
    });
    if candidates.is_empty() {
        candidates.extend(last);
    }
    candidates
}

fn lets_others_pass(path: &Path) -> bool {
    const OTHERS_PASS: u32 = 0o001;
    path.ancestors().all(|directory| {
        std::fs::metadata(directory).is_ok_and(|found| found.mode() & OTHERS_PASS != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(paths: &[&str], visitor: Visitor) -> Vec<PathBuf> {
        base_directories(paths.iter().map(PathBuf::from).collect(), visitor)
    }

    #[test]
    fn a_port_is_kept_again_when_letting_it_go_does_not_help() {
        assert_eq!(Ports::Kept.other(), Ports::LetGo);
        assert_eq!(Ports::LetGo.other(), Ports::Kept);
    }

    #[test]
    fn a_base_directory_is_there_and_leaves_room_for_a_socket() {
        let base = |paths: &[&str]| bases(paths, Visitor::Ourselves);
        let long = format!("/tmp{}", "/.".repeat(MAX_BASE / 2));
        assert_eq!(base(&["/run", "/tmp"]), ["/run", "/tmp"].map(PathBuf::from));
        assert_eq!(
            base(&["run", "/no/such", &long, "/tmp"]),
            [Path::new("/tmp")]
        );
        assert_eq!(
            base(&["/no/such", "/neither"]),
            [Path::new("/neither")],
            "an error that names something"
        );
    }

    #[test]
    fn a_worker_of_another_user_can_reach_its_socket() {
        let private = std::env::temp_dir().join(format!("hr-{}", process::current_pid()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&private)
            .expect("a directory");
        let text = private.to_str().expect("plain").to_owned();
        assert_eq!(
            bases(&[&text, "/tmp"], Visitor::Another),
            [Path::new("/tmp")]
        );
        assert_eq!(
            bases(&[&text], Visitor::Ourselves),
            [private.as_path()],
            "who owns it passes"
        );
        std::fs::remove_dir_all(&private).expect("ours");
    }
}
