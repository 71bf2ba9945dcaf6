//! What `/proc` tells about other processes.

use std::fs;
use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_process_is_of_a_plausible_size() {
        let bytes = resident_bytes(crate::process::current_pid()).unwrap();
        assert!((100_000..10_000_000_000).contains(&bytes), "{bytes}");
        assert!(resident_bytes(0).is_err());
    }
}
