//! Processes as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// One process at the moment it was looked at. `pid` and `started` together are its identity:
/// a pid alone is given again after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// The number of its parent, 1 for most orphans.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// One letter as in `ps`: `R`, `S`, `T` (stopped), `Z` (ended, not yet reaped) ….
    pub state: char,
    /// When it was started, in clock ticks since boot.
    pub started: u64,
    /// Its title as `ps` shows it: the arguments with blanks between, or the short name in brackets.
    pub title: String,
}

impl Process {
    /// Looks at one process; `None` when there is none of that number.
    pub fn of(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(path(pid, "stat")).ok()?;
        // The short name stands in brackets and may itself hold blanks and brackets.
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Process {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            title: title(pid, name),
        })
    }

    /// Whether it has not ended. A zombie has: it only waits for its parent to ask.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    /// Whether this very process, not a later one with its pid, is still alive.
    pub fn lives_on(&self) -> bool {
        Process::of(self.pid).is_some_and(|now| now.started == self.started && now.is_alive())
    }
}

/// All processes of the machine, by pid.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<Process> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::of)
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Those of `all` that descend from `ancestor`, parents before children.
pub fn descendants(ancestor: i32, all: &[Process]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            parents.push(child.pid);
            found.push(child.clone());
        }
    }
    found
}

/// Whether the environment the process was started with holds `variable` (as `NAME=value`).
/// `false` also when it cannot be read.
pub fn environment_holds(pid: i32, variable: &str) -> bool {
    fs::read(path(pid, "environ")).is_ok_and(|bytes| {
        bytes
            .split(|byte| *byte == 0)
            .any(|held| held == variable.as_bytes())
    })
}

/// The open descriptors of a process and what each leads to (`socket:[4711]`, `/dev/null` …).
///
/// # Errors
/// When there is no such process or it belongs to somebody else.
pub fn descriptors(pid: i32) -> io::Result<BTreeMap<i32, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path(pid, "fd"))? {
        let entry = entry?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // Closed between the listing and the look: not open.
        if let (Some(number), Ok(target)) = (number, fs::read_link(entry.path())) {
            found.insert(number, target.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// The memory a process has in RAM, in bytes; `None` when it is gone.
pub fn resident_bytes(pid: i32) -> Option<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The memory that a process has for itself, in bytes: without the pages of its executable, which are
/// many in a build for debugging. `None` when the process is gone.
pub fn own_bytes(pid: i32) -> Option<u64> {
    status_bytes(pid, "RssAnon:")
}

fn status_bytes(pid: i32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(path(pid, "status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The processor time all threads of a process have used, to the nanosecond. Threads that have ended
/// are not in it, nor what happened in interrupts; zero when the process is gone.
pub fn processor_time(pid: i32) -> Duration {
    let Ok(tasks) = fs::read_dir(path(pid, "task")) else {
        return Duration::ZERO;
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse().ok())
        .map(Duration::from_nanos)
        .sum()
}

fn path(pid: i32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

fn title(pid: i32, name: &str) -> String {
    let bytes = fs::read(path(pid, "cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let words = words.trim();
    if words.is_empty() {
        format!("[{name}]")
    } else {
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio, id};

    fn own() -> i32 {
        i32::try_from(id()).unwrap()
    }

    #[test]
    fn a_child_is_found_with_its_parent_and_marker() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env("KIT_MARK", "blue")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = descendants(own(), &all())
            .into_iter()
            .find(|process| process.pid == pid)
            .unwrap();
        assert_eq!((found.parent, found.is_alive()), (own(), true));
        crate::wait::until(Duration::from_secs(5), "the child has executed", || {
            (Process::of(pid)?.title == "sleep 60").then_some(())
        });
        assert!(environment_holds(pid, "KIT_MARK=blue"));
        assert!(!environment_holds(pid, "KIT_MARK=blu"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!found.lives_on());
        assert_eq!(Process::of(pid), None);
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("true").stdout(Stdio::null()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let zombie = crate::wait::until(Duration::from_secs(5), "`true` has ended", || {
            Process::of(pid).filter(|process| process.state == 'Z')
        });
        assert!(!zombie.is_alive() && !zombie.lives_on());
        child.wait().unwrap();
    }

    #[test]
    fn this_process_has_descriptors_memory_and_has_worked() {
        assert!(descriptors(own()).unwrap().contains_key(&0));
        assert!(resident_bytes(own()).unwrap() > 100_000);
        assert!(processor_time(own()) > Duration::ZERO);
        assert!(descriptors(i32::MAX).is_err());
    }
}
