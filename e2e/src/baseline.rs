//! What must be the same after a test as before it, as far as this test can have changed it.

use crate::lineage::own_pid;
use crate::process;
use crate::scene::Scene;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// What was there at one moment. Tests of other processes run on the same machine at the same time: what is
/// known to be theirs does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Processes of the scene: pid and title.
    processes: BTreeMap<i32, String>,
    /// Sockets, fifos and herder's own directories below the scene's directory.
    files: BTreeSet<PathBuf>,
    /// cgroups whose name begins with `herder`.
    cgroups: BTreeSet<PathBuf>,
    /// Listening TCP sockets of this network namespace: inode and address as the kernel prints it.
    listening: BTreeMap<u64, String>,
    /// How many descriptors of each kind the processes asked for have.
    descriptors: BTreeMap<(i32, String), usize>,
}

impl Baseline {
    /// What is there now, for a test in `scene`.
    pub fn of(scene: &Scene) -> Baseline {
        let processes = scene.processes();
        let mut files = BTreeSet::new();
        special_files(scene.directory(), &mut files);
        Baseline {
            processes: processes
                .into_iter()
                .map(|process| (process.pid, process.title))
                .collect(),
            files,
            cgroups: cgroups(),
            listening: listening(),
            descriptors: BTreeMap::new(),
        }
    }

    /// Adds the descriptors of `pid`, counted by kind (`socket`, `anon_inode:[pidfd]`, `/dev/null` …):
    /// their numbers and inodes change when a worker is replaced, their counts must not.
    pub fn with_descriptors_of(mut self, pid: i32) -> Baseline {
        for target in process::descriptors(pid).unwrap_or_default().into_values() {
            let kind = match target.split_once(":[") {
                Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
                _ => target,
            };
            *self.descriptors.entry((pid, kind)).or_default() += 1;
        }
        self
    }

    /// What `after` has that this has not, and the other way round for descriptors: one line each, to be read
    /// by a person. Empty when all is as it was.
    pub fn difference(&self, after: &Baseline) -> Vec<String> {
        let mut lines = Vec::new();
        for (pid, title) in &after.processes {
            if !self.processes.contains_key(pid) {
                lines.push(format!("process {pid}: {title}"));
            }
        }
        lines.extend(
            after
                .files
                .difference(&self.files)
                .map(|path| format!("file {}", path.display())),
        );
        for path in after.cgroups.difference(&self.cgroups) {
            if !is_foreign_cgroup(path, after) {
                lines.push(format!("cgroup {}", path.display()));
            }
        }
        let new = after
            .listening
            .iter()
            .filter(|(inode, _)| !self.listening.contains_key(inode));
        lines.extend(unowned(new.collect(), after));
        let kinds: BTreeSet<_> = self
            .descriptors
            .keys()
            .chain(after.descriptors.keys())
            .collect();
        for key @ (pid, kind) in kinds {
            let count = |baseline: &Baseline| baseline.descriptors.get(key).copied().unwrap_or(0);
            let (was, is) = (count(self), count(after));
            if was != is {
                lines.push(format!(
                    "descriptors of {pid}: {kind}: {was} before, {is} now"
                ));
            }
        }
        lines
    }
}

/// Fails the test when `after` is not what `before` was.
///
/// # Panics
/// With one line for each difference.
#[track_caller]
pub fn assert_same(before: &Baseline, after: &Baseline) {
    let lines = before.difference(after);
    assert!(lines.is_empty(), "not as before:\n  {}", lines.join("\n  "));
}

fn special_files(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let ours = entry.file_name().to_string_lossy().starts_with("herder");
        if kind.is_socket() || kind.is_fifo() || (kind.is_dir() && ours) {
            found.insert(entry.path());
        }
        if kind.is_dir() {
            special_files(&entry.path(), found);
        }
    }
}

fn cgroups() -> BTreeSet<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found = BTreeSet::new();
    for line in mounts.lines().filter(|line| line.contains(" - cgroup2 ")) {
        if let Some(mount) = line.split(' ').nth(4) {
            herder_directories(Path::new(mount), &mut found);
        }
    }
    found
}

fn herder_directories(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with("herder") {
            found.insert(entry.path());
        }
        herder_directories(&entry.path(), found);
    }
}

/// Whether the cgroup is of a herd that is not of this test, or a process that is not of this test lives
/// in it or below it.
fn is_foreign_cgroup(path: &Path, after: &Baseline) -> bool {
    if is_of_a_foreign_master(path, after) {
        return true;
    }
    let members = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let foreign = |pid: i32| !after.processes.contains_key(&pid);
    members
        .lines()
        .filter_map(|line| line.parse().ok())
        .any(foreign)
        || fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                entry.file_type().is_ok_and(|kind| kind.is_dir())
                    && is_foreign_cgroup(&entry.path(), after)
            })
}

/// A herd's cgroup is called `herder-NAME-PID` by its master, and is empty while no worker lives.
fn is_of_a_foreign_master(path: &Path, after: &Baseline) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let master = name
        .rsplit_once('-')
        .and_then(|(_, pid)| pid.parse().ok())
        .and_then(process::Process::of);
    master.is_some_and(|master| master.is_alive() && !after.processes.contains_key(&master.pid))
}

fn listening() -> BTreeMap<u64, String> {
    const LISTEN: &str = "0A";
    let mut found = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table)
            .unwrap_or_default()
            .lines()
            .skip(1)
        {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let (Some(address), Some(&LISTEN), Some(inode)) = (
                fields.get(1),
                fields.get(3),
                fields.get(9).and_then(|text| text.parse().ok()),
            ) {
                found.insert(inode, (*address).to_owned());
            }
        }
    }
    found
}

/// Those listening sockets that no stranger holds: ours, or (worse) on their way in some message.
fn unowned(sockets: Vec<(&u64, &String)>, after: &Baseline) -> Vec<String> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let mut foreign = BTreeSet::new();
    for process in process::all() {
        // The test's own listeners are the test's own business; they end with it.
        if process.pid == own_pid() || !after.processes.contains_key(&process.pid) {
            foreign.extend(
                process::descriptors(process.pid)
                    .unwrap_or_default()
                    .into_values(),
            );
        }
    }
    // What was closed while we looked has no holder either.
    let still = listening();
    sockets
        .into_iter()
        .filter(|(inode, _)| still.contains_key(inode))
        .filter(|(inode, _)| !foreign.contains(&format!("socket:[{inode}]")))
        .map(|(_, address)| format!("listening socket {address} (address:port in hexadecimal)"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_file_is_a_difference_until_it_is_removed() {
        let scene = Scene::new("baseline_files");
        let before = Baseline::of(&scene);
        let path = scene.directory().join("left.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut lines = before.difference(&Baseline::of(&scene));
        // Other tests of the machine come and go.
        lines.retain(|line| line.starts_with("file"));
        assert_eq!(lines, [format!("file {}", path.display())]);
        drop(listener);
        fs::remove_file(path).unwrap();
        crate::wait::until(
            std::time::Duration::from_secs(5),
            "all is as before",
            || {
                before
                    .difference(&Baseline::of(&scene))
                    .is_empty()
                    .then_some(())
            },
        );
    }

    #[test]
    fn a_descriptor_is_a_difference_by_kind() {
        let scene = Scene::new("baseline_fds");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let before = Baseline::of(&scene).with_descriptors_of(pid);
        let after = Baseline::of(&scene);
        let start = format!("descriptors of {pid}: ");
        assert!(
            before
                .difference(&after)
                .iter()
                .any(|line| line.starts_with(&start))
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn this_process_listens_where_the_kernel_says() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = format!("0100007F:{:04X}", listener.local_addr().unwrap().port());
        assert!(listening().values().any(|address| *address == port));
        let scene = Scene::new("baseline_listen");
        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        drop(scene);
        drop(second);
    }
}
