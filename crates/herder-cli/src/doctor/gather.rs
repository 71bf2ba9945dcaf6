//! Looks at the machine. What cannot be seen is left out.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use herder_sys::cgroup::CgroupRoot;
use herder_sys::pidfd::PidFd;
use rustix::fs::Access;

use super::facts::{Answered, Build, Cgroup, Facts};
use super::{home, proxies, services};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks. `home`: `HERDER_HOME`; `daemon`: what it said, if it answers.
pub(crate) fn gather(home: &Path, daemon: Option<Answered>) -> Facts {
    let own = herder_sys::process::current_pid();
    Facts {
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        has_pidfd: PidFd::open(own).is_ok(),
        cgroup: cgroup(),
        capabilities: capabilities(),
        no_kernel_dispatch: herder_master::no_kernel_dispatch(),
        first_free_port: number("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
        somaxconn: number("/proc/sys/net/core/somaxconn"),
        open_files: herder_sys::limits::open_files(),
        datagrams: number("/proc/sys/net/unix/max_dgram_qlen"),
        watches: (
            number("/proc/sys/fs/inotify/max_user_watches"),
            number("/proc/sys/fs/inotify/max_user_instances"),
        ),
        runtime: runtime(),
        home: home::look(home),
        clock: (seconds(SystemTime::now()), installed()),
        nodes: nodes(),
        proxies: proxies::look(daemon.as_ref().map_or(&[], |it| &it.apps)),
        daemon,
        ours: Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            file: program_of(own),
        },
        services: services::look(),
        has_init: crate::startup::Tools::look().init.is_some(),
    }
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Which file a process runs, even if another has its name by now.
pub(super) fn program_of(pid: i32) -> Option<(u64, u64)> {
    let found = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((found.dev(), found.ino()))
}

/// A build that runs as this process.
pub(crate) fn build(version: &str, pid: i32) -> Build {
    Build {
        version: version.to_owned(),
        file: program_of(pid),
    }
}

/// Where a herd would make its groups: version 2 may stand beside version 1.
fn cgroup() -> Cgroup {
    let place = CgroupRoot::place_of("herder-doctor").ok().flatten();
    let Some(directory) = place.as_deref().and_then(Path::parent) else {
        return Cgroup::Absent;
    };
    let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    if may(directory) && may(&directory.join("cgroup.procs")) {
        Cgroup::Open
    } else {
        Cgroup::Closed
    }
}

fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    set.unwrap_or(0)
}

fn runtime() -> Option<(PathBuf, bool)> {
    let path = if herder_sys::user::is_root() {
        PathBuf::from("/run")
    } else {
        PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?)
    };
    let may = rustix::fs::access(&path, Access::WRITE_OK).is_ok();
    Some((path, may))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// When the file of this command was made.
fn installed() -> Option<u64> {
    let found = fs::metadata("/proc/self/exe").ok()?;
    found.modified().ok().map(seconds)
}

/// The node that is found first, and those of version managers.
fn nodes() -> Vec<(PathBuf, String)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for directory in std::env::split_paths(&path) {
        let file = directory.join("node");
        let is_new = |file: &Path| {
            let real = file.canonicalize().ok();
            !found
                .iter()
                .any(|(known, _)| known.canonicalize().ok() == real)
        };
        if is_program(&file) && is_new(&file) {
            let version = version_of(&file);
            found.push((file, version));
        }
    }
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    for managed in [".nvm/versions/node", ".local/share/fnm/node-versions"] {
        let versions = fs::read_dir(home.join(managed))
            .into_iter()
            .flatten()
            .flatten();
        for version in versions {
            let places = ["bin/node", "installation/bin/node"];
            let files = places.map(|place| version.path().join(place));
            let name = version.file_name().to_string_lossy().into_owned();
            let file = files.into_iter().find(|file| is_program(file));
            found.extend(
                file.filter(|file| !found.iter().any(|(it, _)| it == file))
                    .map(|file| (file, name)),
            );
        }
    }
    found
}

fn is_program(file: &Path) -> bool {
    let found = fs::metadata(file);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What a program says of its version; empty = nothing, or not in time.
fn version_of(program: &Path) -> String {
    let started = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        return String::new();
    };
    let end = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > end {
            drop(child.kill());
            drop(child.wait());
            return String::new();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = child.wait_with_output().map(|said| said.stdout);
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
    let line = said.lines().next().unwrap_or_default();
    line.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_looked_at() {
        let place = std::env::temp_dir().join(format!("herder-looked-{}", std::process::id()));
        let facts = gather(&place, None);
        assert!(facts.kernel.contains('.'), "{facts:?}");
        assert!(facts.has_pidfd && facts.open_files.1 > 0);
        assert!(facts.ours.file.is_some() && facts.clock.0 > 1_700_000_000);
        assert_eq!(facts.home.found, None);
        assert!(!place.exists(), "looking changes nothing");
    }

    #[test]
    fn groups_are_found_where_a_herd_makes_them() {
        let name = format!("herder-looked-{}", std::process::id());
        let made = CgroupRoot::create(&name).unwrap();
        assert_eq!(cgroup() == Cgroup::Open, made.is_some());
        if let Some(made) = made {
            made.remove_all().unwrap();
        }
    }

    #[test]
    fn a_program_says_its_version_in_time_or_not_at_all() {
        assert!(!version_of(Path::new("/bin/bash")).is_empty());
        assert_eq!(version_of(Path::new("/no/such/program")), "");
    }
}
