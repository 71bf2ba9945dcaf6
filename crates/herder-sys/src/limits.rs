//! Resource limits of this process.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit};

/// No limit at all.
pub const UNLIMITED: u64 = u64::MAX;

/// The limits that an application can set for its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Bytes of address space.
    AddressSpace,
    /// Bytes of a core dump; 0 = none is written.
    Core,
    /// Seconds of processor time.
    CpuSeconds,
    /// Bytes of the data segment.
    Data,
    /// Bytes of a file that is written.
    FileSize,
    /// Bytes of memory that may be locked.
    LockedMemory,
    /// Open descriptors.
    OpenFiles,
    /// Processes and threads of the user.
    Processes,
    /// Bytes of the main thread's stack.
    Stack,
}

/// What this process was started with, before it was raised.
static INHERITED: OnceLock<(u64, u64)> = OnceLock::new();

/// Raises the number of descriptors that we may open as far as we may, and tells how many.
///
/// # Errors
/// None on Linux: a process may always go up to its hard limit.
pub fn raise_open_files() -> io::Result<u64> {
    let (_, hard) = *INHERITED.get_or_init(open_files);
    set(Limit::OpenFiles, hard, hard)?;
    Ok(hard)
}

/// How many descriptors we may open: (now, at most). [`UNLIMITED`] where there is no limit.
#[must_use]
pub fn open_files() -> (u64, u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    (
        limit.current.unwrap_or(UNLIMITED),
        limit.maximum.unwrap_or(UNLIMITED),
    )
}

/// How many descriptors we might open when we were started: what our children are to have.
#[must_use]
pub fn inherited_open_files() -> (u64, u64) {
    INHERITED.get().copied().unwrap_or_else(open_files)
}

/// Sets one limit, soft and hard.
pub(crate) fn set(limit: Limit, soft: u64, hard: u64) -> io::Result<()> {
    let resource = match limit {
        Limit::AddressSpace => Resource::As,
        Limit::Core => Resource::Core,
        Limit::CpuSeconds => Resource::Cpu,
        Limit::Data => Resource::Data,
        Limit::FileSize => Resource::Fsize,
        Limit::LockedMemory => Resource::Memlock,
        Limit::OpenFiles => Resource::Nofile,
        Limit::Processes => Resource::Nproc,
        Limit::Stack => Resource::Stack,
    };
    let finite = |value: u64| (value != UNLIMITED).then_some(value);
    rustix::process::setrlimit(
        resource,
        Rlimit {
            current: finite(soft),
            maximum: finite(hard),
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_rises_to_the_hard_one() {
        let before = open_files();
        let hard = raise_open_files().unwrap();
        assert_eq!(open_files(), (hard, hard));
        assert_eq!(inherited_open_files(), before);
    }
}
