//! What `/proc` tells about other processes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::pidfd;

/// How many bytes of memory the process `pid` occupies at the moment (resident, shared included).
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn resident_bytes(pid: i32) -> io::Result<u64> {
    let pid = pidfd::positive(pid)?;
    let statm = fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_pid()))?;
    let pages: u64 = statm
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .ok_or_else(|| io::Error::other("/proc/<pid>/statm has no second number"))?;
    let page = u64::try_from(rustix::param::page_size()).map_err(io::Error::other)?;
    Ok(pages.saturating_mul(page))
}

/// What the process `pid` has started, and those in turn: the nearest first, at most `most`. Nobody when it
/// has ended, or when the kernel does not tell.
#[must_use]
pub fn descendants(pid: i32, most: usize) -> Vec<i32> {
    let mut found = children_of(pid);
    let mut place = 0;
    while place < found.len().min(most) {
        found.extend(children_of(found[place]));
        place += 1;
    }
    found.truncate(most);
    found
}

/// The file that the process `pid` executes. `None` when it has ended, or may not be looked into.
#[must_use]
pub fn executable(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The arguments of the process `pid`, its name first; empty when it has ended.
#[must_use]
pub fn arguments(pid: i32) -> Vec<OsString> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let words = line.split(|byte| *byte == 0);
    words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect()
}

/// Whether the process `pid` stands still, by a signal or a debugger: it heeds none but SIGKILL.
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    // The second field is a name that may contain anything.
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let name_end = stat.iter().rposition(|byte| *byte == b')');
    let state = name_end.and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'T' | b't'))
}

fn children_of(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut found = Vec::new();
    for list in lists {
        let numbers = list.split_ascii_whitespace();
        found.extend(numbers.filter_map(|number| number.parse::<i32>().ok()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_process_is_of_a_plausible_size() {
        let bytes = resident_bytes(crate::process::current_pid()).unwrap();
        assert!((100_000..10_000_000_000).contains(&bytes), "{bytes}");
        assert!(resident_bytes(0).is_err());
    }

    #[test]
    fn what_a_process_has_started_is_found() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo started; wait", "word"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut started = [0; 7];
        io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut started).unwrap();
        let pid = i32::try_from(shell.id()).unwrap();
        let found = descendants(pid, 8);
        assert_eq!(found.len(), 1);
        assert!(descendants(crate::process::current_pid(), 8).contains(&found[0]));
        assert!(descendants(pid, 0).is_empty());
        assert_eq!(arguments(pid).last().unwrap(), "word");
        assert!(executable(pid).unwrap().is_absolute());
        crate::pidfd::PidFd::open(found[0])
            .unwrap()
            .signal(crate::signal::Signal::Kill)
            .unwrap();
        shell.wait().unwrap();
        assert!(arguments(pid).iter().all(|word| word.is_empty()));
        assert!(descendants(pid, 8).is_empty());
    }
}
